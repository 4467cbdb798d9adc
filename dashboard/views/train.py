"""Train: choose data, model and a few settings, start; watch the losses, the pictures and the graph while it trains."""

import streamlit as st

from dashboard import jobs, listing, parts, state
from dashboard.names import plain
from dashboard.run_choice import choose
from dashboard.train_form import new_run
from dashboard.train_watch import badge, watch
from sagvae_core.archive import import_run
from sagvae_core.runs import runs_folder

SHOWN = 6  # runs of the queue
LARGEST = 100  # MB of a run's file, as much as the server takes: a large model has 5, all that goes with it 45 more


def queue() -> None:
    """Runs that train or wait, where there are several: the one on top has the device."""
    active = jobs.active()
    if len(active) < 2:
        return
    with st.container(border=True):
        st.caption("Training now, and waiting: one at a time on a device")
        for run, status in active[:SHOWN]:
            columns = st.columns([4, 3, 1, 1], vertical_alignment="center")
            columns[0].markdown(f"**{plain(run.name)}** {badge(status)}")
            said = [parts.time_left(status.eta_seconds)] if status.state == "running" else []
            columns[1].caption(" · ".join(filter(None, [*said, plain(status.device_key)])))
            fit = run.kind == "relations"  # of a table: it has no checkpoint to pause at
            if columns[2].button("Watch", key=f"watch_{run.name}", width="stretch"):
                st.session_state[state.FIT_NEXT if fit else state.NEXT] = run.name
                if fit:
                    st.switch_page("views/your_data.py")
                st.rerun()  # all of the page: a click in here draws this part alone
            asks = "stop" if fit else "pause"
            columns[3].button(asks.capitalize(), key=f"pause_{run.name}", on_click=run.request, args=(asks,),
                              width="stretch", disabled=run.requested() is not None)
        if len(active) > SHOWN:
            st.caption(f"… and {len(active) - SHOWN} more.")


@st.fragment(run_every=3.0)
def live_queue(names: list[str]) -> None:
    """The queue while there is one; the page is drawn anew when another is in it."""
    with parts.guard():
        if [run.name for run, _ in jobs.active()] != names:
            st.rerun()
        queue()


def follow() -> None:
    """The run that is watched."""
    runs, problems = listing.named_runs(runs_folder())
    named = {run.name: run for run in runs}
    if not named:
        parts.warn_of(problems)
        st.info("Nothing trained here yet. Start above: the small digits take about a minute on a CPU.",
                icon=":material/model_training:")
        return
    damage = {run.name: sentence for run in runs if (sentence := listing.problem(run)) is not None}
    warnings = st.container()  # filled below: what is wrong with the run that is watched its own view says
    name = choose("Run", named, state.WATCHED, state.NEXT, forget_frame)
    problems += [f"{other}: {sentence}" for other, sentence in damage.items() if other != name]
    with warnings:
        parts.warn_of(problems)
    with parts.guard():
        watch(named[name], named, damage.get(name))


def forget_frame() -> None:
    """Another run has other snapshots."""
    for key in (state.FRAME, state.PLAYED):
        st.session_state.pop(key, None)


def bring() -> None:
    """A run from a file that this page, or `sagvae runs export`, has written elsewhere."""
    with st.expander("Open a run from a file", icon=":material/upload:"), parts.guard():
        file = st.file_uploader("A file that ends in .sagvae.zip", ["zip"], max_upload_size=LARGEST,
                                key=f"import_{state.get(state.IMPORTED, 0)}",
                                help="Written by “Download the run” or `sagvae runs export`. Everything in it is "
                                     "checked before it is used; nothing in it is executed.")
        if file is not None:
            run = import_run(file, runs_folder())
            st.session_state[state.NEXT] = run.name
            state.add(state.IMPORTED, 1)
            st.toast(f"Opened as {plain(run.name)}", icon=":material/check:")
            st.rerun()


parts.heading("Train", "Choose data and a model, start, and watch the graph grow. It trains in a process of its own: "
              "closing this page does not stop it.")
with st.container(border=True):
    new_run()
with parts.guard():
    active = [run.name for run, _ in jobs.active()]
    if active:
        live_queue(active)
    follow()
    bring()
