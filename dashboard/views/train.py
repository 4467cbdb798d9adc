"""Train: choose data, model and a few settings, start; watch the losses, the pictures and the graph while it trains."""

import shutil

import numpy as np
import streamlit as st

from dashboard import figures, jobs, parts, pictures, resources, state
from sagvae_core.checkpoint import read_json
from sagvae_core.data import DATASETS
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import MODELS, run_config
from sagvae_core.runs import Run, RunConfig, check_name, free_name, list_runs, runs_folder
from sagvae_core.settings import parse_setting, with_epochs

DARK = parts.is_dark()
STATES = {"queued": ("schedule", "gray"), "running": ("progress_activity", "blue"), "finished": ("check", "green"),
          "stopped": ("pause", "orange"), "failed": ("error", "red"), "interrupted": ("warning", "orange")}
QUICK = {"karate": 40, "digits": 30, "mnist": 12, "fashion": 12}  # epochs that show something within a coffee on a CPU


def settings() -> tuple[str, RunConfig] | None:
    """The form's answer: name and configuration, or None with a sentence when it cannot be used."""
    columns = st.columns(4, vertical_alignment="bottom")
    dataset = columns[0].selectbox("Data", list(DATASETS), 1, key="new_data",
                                   format_func=lambda name: DATASETS[name].title)
    roles = ["sagvae", "identity"] if dataset == "karate" else list(MODELS)
    model = columns[1].selectbox("Model", roles, key="new_model", format_func=MODELS.get)
    usual = run_config(dataset, model).train.total_epochs
    epochs = columns[2].number_input("Epochs", 1, 2000, min(usual, QUICK[dataset]), key=f"epochs_{dataset}",
                                     help=f"The shipped recipe takes {usual}.")
    name = columns[3].text_input("Name", free_name(runs_folder(), f"{dataset}-{model}"),
                                 key=f"name_{dataset}_{model}_{state.get('created', 0)}", max_chars=64)
    overrides: dict = {}
    with st.expander("More settings"):
        more = st.columns(4)
        seed = more[0].number_input("Seed", 0, 10**6, 0, key="new_seed", help="Weights, order of rows, sampling.")
        if DATASETS[dataset].image_shape is not None:
            nodes = DATASETS[dataset].num_nodes
            default = run_config(dataset, model).data.perturbation.pixels
            pixels = more[1].slider("Noisy pixels", 0, nodes, default, key=f"new_noise_{dataset}",
                                    help="Damage of the training images. Only denoising autoencoders see clean "
                                         "ones.")
            overrides |= {"data.perturbation.kind": "uniform" if pixels else "none", "data.perturbation.pixels": pixels}
            rows = more[2].number_input("Training rows", 100, 55_000 if nodes > 100 else 1000,
                                        5000 if nodes > 100 else 1000, 100, key=f"rows_{dataset}")
            overrides["data.train_rows"] = rows
        if model in ("sagvae", "identity"):
            bounds = [(index, stage.kl_z_weight) for index, stage
                      in enumerate(run_config(dataset, model, overrides=overrides).train.stages)
                      if stage.objective == "elbo"]
            usual_kl = bounds[-1][1]
            kl = more[3].number_input("Weight of KL(z)", 0.0, 10.0, usual_kl, 0.05, key=f"kl_{dataset}_{model}",
                                      help="Of the code's KL term in eq. 9. Left as it is, every stage of the recipe "
                                           "keeps its own; this is the last one's.")
            if kl != usual_kl:
                overrides |= {f"train.stages.{index}.kl_z_weight": kl for index, _ in bounds}
        text = st.text_area("Any other setting, one NAME=VALUE a line", key="new_settings", height=80,
                            placeholder="model.hidden=[32,32]\ntrain.stages.0.learning_rate=0.003")
    try:
        overrides |= dict(parse_setting(line) for line in text.splitlines() if line.strip())
        check_name(name)
        config = with_epochs(run_config(dataset, model, seed=seed, overrides=overrides), epochs)
    except SagvaeError as error:
        st.error(str(error), icon=":material/error:")
        return None
    if not resources.available(dataset):
        st.info(f"{DATASETS[dataset].title} is not on this machine and would be downloaded first. To use a copy you "
                "have, set SAGVAE_DATA to its folder; the small digits need no files.", icon=":material/download:")
    return name, config


def new_run() -> None:
    """The form and its button."""
    answer = settings()
    busy = jobs.running()
    left, right = st.columns([1, 4], vertical_alignment="center")
    start = left.button("Start training", type="primary", icon=":material/play_arrow:", width="stretch",
                        disabled=answer is None or bool(busy))
    right.caption(f"Trains on {device()}." + (f" {busy[0].name} is training: one at a time." if busy else ""))
    if start and answer is not None:
        with parts.guard():
            name, config = answer
            jobs.start(name, config)
            st.session_state[state.WATCHED] = name
            state.add("created", 1)
            st.rerun()


@st.cache_data(show_spinner=False)
def device() -> str:
    return jobs.device()


def watch(run: Run) -> None:
    """One run: where it is, its curves, pictures and graph."""
    status, records = run.status, run.records
    icon, colour = STATES[status.state]
    top = st.columns([5, 1, 1], vertical_alignment="center")
    top[0].markdown(f"**{parts.plain(run.name)}** :{colour}-badge[:material/{icon}: {status.state}]")
    if status.state == "running":
        top[2].button("Stop", icon=":material/stop:", on_click=run.request_stop, key="stop", width="stretch",
                      help="After the current step; the last epoch's checkpoint stays.")
        share = status.step / status.total_steps if status.total_steps else 0.0
        st.progress(min(share, 1.0), f"Epoch {status.epoch + 1} of {status.total_epochs} · "
                    f"{parts.duration(status.eta_seconds)} left · {status.device}")
    elif status.state in ("queued", "stopped", "interrupted", "failed"):
        top[2].button("Go on", icon=":material/play_arrow:", on_click=jobs.resume, args=(run,), key="resume",
                      width="stretch", disabled=bool(jobs.running()))
        if status.error:
            st.error(status.error, icon=":material/error:")
    elif status.metrics:
        names = [name for name in parts.METRICS if name in status.metrics]
        for column, name in zip(st.columns(max(len(names), 4)), names, strict=False):
            with column:
                parts.metric(name, status.metrics[name])
        st.caption(f"On {status.metrics.get('test_rows', 0):,} rows it never saw. Trained in "
                   f"{parts.duration(status.seconds)} on {status.device}. It is in the pickers of the other pages now.")
    if records:
        st.plotly_chart(figures.training_curves(records, dark=DARK), key="curves", alt="Terms of the ELBO by epoch")
    elif status.state == "running":
        st.caption("The first epoch is on its way …")
        st.skeleton(height=260)
    snapshot(run)


def snapshot(run: Run) -> None:
    """Reconstructions of held-out rows and the graph, as of the last epoch."""
    tensors = run.snapshot()
    shape = DATASETS[run.config.data.name].image_shape if run.config.data.name in DATASETS else None
    if tensors is None:
        return
    left, right = st.columns(2, gap="large")
    if shape is not None:
        with left:
            st.caption("Held-out images: as the model sees them, its reconstruction, the original")
            rows = [pictures.Row(label, tensors[name].flatten(1).numpy()) for label, name in
                    (("Input", "inputs"), ("Model", "reconstruction"), ("Original", "clean"))]
            st.html(pictures.comparison_grid(rows, shape, dark=DARK, size=52))
    if "edge_percent" in tensors:
        with right if shape is not None else left:
            st.caption("The graph so far: probability of each edge")
            st.plotly_chart(figures.adjacency_heatmap(tensors["edge_percent"].numpy().astype(np.float32) / 100,
                                                      dark=DARK), key="live_matrix", alt="Edge probabilities so far")


def follow() -> None:
    """The run that is watched, redrawn every second while it trains and once more when it ends."""
    runs = {run.name: run for run in list_runs(runs_folder())}
    if not runs:
        st.info("Nothing trained here yet. Start above: the small digits take about a minute on a CPU.",
                icon=":material/model_training:")
        return
    newest = max(runs, key=lambda name: _created(runs[name]))
    if st.session_state.get(state.WATCHED) not in runs:
        st.session_state[state.WATCHED] = newest
    columns = st.columns([4, 1], vertical_alignment="bottom")
    name = columns[0].selectbox("Run", sorted(runs, key=lambda name: -_created(runs[name])), key=state.WATCHED,
                                bind="query-params", persist_state="session")
    with columns[1].popover("Delete", icon=":material/delete:", width="stretch",
                            disabled=any(run.name == name for run in jobs.running())):
        st.write("Delete this run and its model? This can't be undone.")
        if st.button("Delete for good", type="primary"):
            shutil.rmtree(runs[name].folder)
            del st.session_state[state.WATCHED]
            st.rerun()
    run = runs[name]
    with parts.guard():
        if run.status.state in ("running", "queued"):
            live(run)
        else:
            watch(run)  # no fragment: its "Go on" redraws the page, which then starts the timer


@st.fragment(run_every=1.0)
def live(run: Run) -> None:
    """The panel of a run that trains."""
    with parts.guard():
        watch(run)
        if run.status.state not in ("running", "queued"):
            st.rerun()  # ended: the timer stops, and the pickers learn of the new model


def _created(run: Run) -> float:
    try:
        return float(read_json(run.folder / "status.json")["created"])
    except (SagvaeError, KeyError, TypeError, ValueError):
        return 0.0


parts.heading("Train", "Choose data and a model, start, and watch the graph grow. It trains in a process of its own: "
              "closing this page does not stop it.")
with st.container(border=True):
    new_run()
follow()
