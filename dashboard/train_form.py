"""The Train page's form: what to train, on what, and from which settings."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import jobs, parts, resources, state
from dashboard.names import SENTENCE, plain
from sagvae_core.data import DATASETS
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import MODELS, run_config
from sagvae_core.runs import RunConfig, check_name, find_run, free_name, is_taken, runs_folder
from sagvae_core.settings import apply_overrides, parse_setting, with_epochs

QUICK = {"karate": 40, "digits": 30, "mnist": 12, "fashion": 12}  # epochs that show something within a coffee on a CPU


@st.fragment  # a name is checked while it is typed: nothing else is drawn again for it
def new_run() -> None:
    """The form and its button."""
    seeded = st.session_state.get(state.SEEDED)
    with parts.guard():
        answer = _from_recipe() if seeded is None else _from_run(seeded)
        left, right = st.columns([1, 4], vertical_alignment="center")
        start = left.button("Start training", type="primary", icon=":material/play_arrow:", width="stretch",
                            disabled=answer is None)
        ahead = len(jobs.active())
        right.caption(f"Trains on {_device()}." + (
            f" {ahead} {'run trains or waits' if ahead == 1 else 'runs train or wait'} already, one at a time on a "
            "device: yours starts by itself after." if ahead else ""))
        if start and answer is not None:
            name, config = answer
            jobs.start(name, config)
            st.session_state[state.WATCHED] = name
            st.session_state.pop(state.SEEDED, None)
            state.add(state.CREATED, 1)
            st.rerun()


@st.cache_data(show_spinner=False)
def _device() -> str:
    return jobs.device()


def _from_recipe() -> tuple[str, RunConfig] | None:
    """Name and configuration by data set and model, or None with a sentence when they cannot be used."""
    columns = st.columns(4)
    dataset = columns[0].selectbox("Data", list(DATASETS), 1, key="new_data",
                                   format_func=lambda name: DATASETS[name].title)
    roles = ["sagvae", "identity"] if dataset == "karate" else list(MODELS)
    model = columns[1].selectbox("Model", roles, key="new_model", format_func=MODELS.get)
    usual = run_config(dataset, model).train.total_epochs
    epochs = columns[2].number_input("Epochs", 1, 2000, min(usual, QUICK[dataset]), key=f"epochs_{dataset}",
                                     help=f"The shipped recipe takes {usual}.")
    name = _name(columns[3], f"{dataset}-{model}")
    with st.expander("More settings"):
        seed, overrides = _settings(dataset, model)
    try:
        config = with_epochs(run_config(dataset, model, seed=seed, overrides=overrides | _typed()), epochs)
    except SagvaeError as error:
        parts.complain(error)
        return None
    _say_if_downloaded(dataset)
    return None if name is None else (name, config)


def _from_run(seeded: str) -> tuple[str, RunConfig] | None:
    """Name and configuration by an earlier run's settings."""
    top = st.columns([4, 1], vertical_alignment="center")
    top[1].button("Back to recipes", icon=":material/close:", on_click=st.session_state.pop, args=(state.SEEDED, None),
                  width="stretch", key="unseed")
    try:
        config = find_run(seeded).config
    except SagvaeError as error:
        parts.complain(error)
        return None
    data = DATASETS[config.data.name].title if config.data.name in DATASETS else config.data.name
    model = MODELS.get(config.role, config.role)
    top[0].markdown(f":material/content_copy: All settings of **{plain(seeded)}**, {plain(model)} on {plain(data)}. "
                    "Change what you like:")
    columns = st.columns(3)
    name = _name(columns[0], seeded)
    epochs = columns[1].number_input("Epochs", 1, 10**6, config.train.total_epochs, key=f"epochs_of_{seeded}")
    seed = columns[2].number_input("Seed", 0, 10**6, min(config.train.seed, 10**6), key=f"seed_of_{seeded}",
                                   help="Weights, order of rows, sampling.")
    with st.expander("More settings"):
        _text_area()
    try:
        config = apply_overrides(config, {"train.seed": seed} | _typed())
        if epochs != config.train.total_epochs:
            config = with_epochs(config, epochs)
    except SagvaeError as error:
        parts.complain(error)
        return None
    _say_if_downloaded(config.data.name)
    return None if name is None else (name, config)


def _name(column: Any, stem: str) -> str | None:
    """The name that is typed, or None with a word below it when no new run can have it."""
    name = column.text_input("Name", free_name(runs_folder(), stem[:60]), max_chars=64, live=True,
                             key=f"name_{stem.replace('-', '_')}_{state.get(state.CREATED, 0)}")
    problem = ""
    try:
        check_name(name)
        if is_taken(runs_folder(), name):
            problem = f"“{name}” is taken; “{free_name(runs_folder(), name[:60])}” is free."
    except SagvaeError as error:
        problem = str(error)
    if problem:
        column.markdown(f":small[:red[{plain(problem, SENTENCE)}]]")  # of a caption the red would be faint
    return None if problem else name


def _settings(dataset: str, model: str) -> tuple[int, dict[str, Any]]:
    """Seed and changed settings from the fields that many people want."""
    more = st.columns(4)
    overrides: dict[str, Any] = {}
    seed = more[0].number_input("Seed", 0, 10**6, 0, key="new_seed", help="Weights, order of rows, sampling.")
    if DATASETS[dataset].image_shape is not None:
        nodes = DATASETS[dataset].num_nodes
        default = run_config(dataset, model).data.perturbation.pixels
        pixels = more[1].slider("Noisy pixels", 0, nodes, default, key=f"new_noise_{dataset}",
                                help="Damage of the training images. Only denoising autoencoders see clean ones.")
        overrides |= {"data.perturbation.kind": "uniform" if pixels else "none", "data.perturbation.pixels": pixels}
        overrides["data.train_rows"] = more[2].number_input(
            "Training rows", 100, 55_000 if nodes > 100 else 1000, 5000 if nodes > 100 else 1000, 100,
            key=f"rows_{dataset}")
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
    _text_area()
    return seed, overrides


def _text_area() -> None:
    st.text_area("Any other setting, one NAME=VALUE a line", key="new_settings", height=80,
                 placeholder="model.hidden=[32,32]\ntrain.stages.0.learning_rate=0.003")


def _typed() -> dict[str, Any]:
    """What stands in the text area; raises SagvaeError."""
    text = st.session_state.get("new_settings") or ""
    return dict(parse_setting(line) for line in text.splitlines() if line.strip())


def _say_if_downloaded(dataset: str) -> None:
    if dataset in DATASETS and not resources.available(dataset):
        st.info(f"{DATASETS[dataset].title} is not on this machine and would be downloaded first. To use a copy you "
                "have, set SAGVAE_DATA to its folder; the small digits need no files.", icon=":material/download:")
