"""The Train page's view of one run: where it is, what can be done with it, and its curves."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping

import streamlit as st

from dashboard import curves, figures, jobs, parts, state
from dashboard.names import SENTENCE, one_line, plain
from dashboard.train_snapshots import INTERVAL, PLAY, mode_of, snapshots
from sagvae_core.archive import archive_name, export_run
from sagvae_core.errors import SagvaeError
from sagvae_core.run_status import ACTIVE, Status
from sagvae_core.runs import Run

STATES = {"queued": ("schedule", "gray"), "running": ("progress_activity", "blue"), "paused": ("pause", "orange"),
          "finished": ("check", "green"), "stopped": ("stop", "green"), "failed": ("error", "red"),
          "interrupted": ("warning", "orange")}
_TICK, _SLOW = 1.0, 2.5  # seconds between two looks at where a run is, and at its curves, which change once an epoch


def badge(status: Status) -> str:
    """The state as a coloured badge, in Markdown."""
    icon, colour = STATES[status.state]
    return f":{colour}-badge[:material/{icon}: {status.state}]"


def watch(run: Run, others: Mapping[str, Run]) -> None:
    """All about one run; what may change while it trains looks again every second."""
    try:
        state_now, _ = run.status.state, run.config
    except SagvaeError as error:
        _broken(run, error)
        return
    active = state_now in ACTIVE
    st.fragment(_where, run_every=_TICK if active else None)(run, state_now, st.session_state.get(state.SEEDED))
    every = _SLOW if active else None
    _curves_and_rivals(run, others, every)
    if active or run.snapshot_epochs:
        mode = mode_of(run, active)
        st.fragment(snapshots, run_every=INTERVAL if mode == PLAY else every)(run, mode)


def _broken(run: Run, error: SagvaeError) -> None:
    """A run with a damaged file: its sentence, and the two ways out."""
    parts.complain(error)
    columns = st.columns([4, 1.25, 1.25], vertical_alignment="center")
    columns[1].button("Go on", icon=":material/play_arrow:", on_click=_resume, args=(run,), key="resume",
                      width="stretch", help="From its last checkpoint: a damaged status is written anew.")
    with columns[2].popover("More", icon=":material/more_horiz:", width="stretch"):
        _deletion(run)


# ---------------------------------------------------------------------------------------------------- where it is

def _where(run: Run, state_before: str, seeded_before: str | None) -> None:
    if not run.folder.is_dir() or st.session_state.get(state.SEEDED) == run.name != seeded_before:
        st.rerun()  # deleted, or the form above is to start from it: a click in here draws this part alone
    with parts.guard():
        status = run.status
        if status.state != state_before:
            st.rerun()  # begun or ended: buttons and pickers elsewhere on the page are others now
        columns = st.columns([4, 1.25, 1.25, 1.25], vertical_alignment="center")
        columns[0].markdown(f"**{plain(run.name)}** {badge(status)}")
        _buttons(columns[1:], run, status)
        if status.state == "running":
            _progress(status)
        elif status.state == "queued":
            st.info(_in_line(run), icon=":material/schedule:")
        elif status.state in ("failed", "interrupted"):
            words = status.error or jobs.last_words(run)
            (st.error if status.state == "failed" else st.warning)(plain(words, SENTENCE), icon=":material/error:")
        if status.metrics and status.state in ("finished", "stopped"):
            _held_out(status)
        elif status.state not in ACTIVE and status.saved_step:
            st.caption(f"Goes on from step {status.saved_step:,} of {status.total_steps:,}.")


def _buttons(columns: list, run: Run, status: Status) -> None:
    if status.state in ACTIVE and status.pid is not None:
        asked = run.requested()
        columns[0].button("Pause", icon=":material/pause:", on_click=run.request, args=("pause",), key="pause",
                          width="stretch", disabled=asked is not None,
                          help="After the current step: writes a checkpoint and frees the device.")
        columns[1].button("Stop", icon=":material/stop:", on_click=run.request, args=("stop",), key="stop",
                          width="stretch", disabled=asked is not None,
                          help="After the current step: ends the training and keeps the model as it is then.")
    elif status.state != "finished":
        columns[1].button("Go on", icon=":material/play_arrow:", on_click=_resume, args=(run,), key="resume",
                          width="stretch", help="From its last checkpoint, once the device is free.")
    with columns[2].popover("More", icon=":material/more_horiz:", width="stretch"):
        st.button("Use these settings", icon=":material/content_copy:", on_click=state.put, width="stretch",
                  args=(state.SEEDED, run.name), key="seed_from", help="For a new run, in the form above.")
        st.download_button("Download the run", data=lambda: _archive(run), file_name=archive_name(run), key="export",
                           mime="application/zip", icon=":material/download:", on_click="ignore", width="stretch",
                           help="One file with settings, curves, snapshots and the model. Any copy of this app opens "
                                "it, below on this page.")
        if status.state not in ACTIVE:
            st.divider()
            _deletion(run)


def _deletion(run: Run) -> None:
    st.write("Delete this run and its model? This can't be undone.")
    st.button("Delete for good", type="primary", icon=":material/delete:", on_click=_delete, args=(run,), key="delete",
              width="stretch")


def _resume(run: Run) -> None:
    with parts.guard():
        jobs.resume(run)


def _delete(run: Run) -> None:
    with parts.guard():
        run.delete()
        for key in (state.WATCHED, state.FRAME, state.PLAYED):
            st.session_state.pop(key, None)


def _archive(run: Run) -> bytes:
    file = io.BytesIO()
    export_run(run, file)
    return file.getvalue()


def _progress(status: Status) -> None:
    share = status.step / status.total_steps if status.total_steps else 0.0
    if status.total_steps and status.step >= status.total_steps:
        words = "Trained. Measuring it on rows it never saw …"
    elif not status.total_steps:
        words = "Reading the data …"
    else:
        words = (f"Epoch {status.epoch + 1} of {status.total_epochs} · {parts.duration(status.eta_seconds)} left · "
                 f"step {status.step:,} of {status.total_steps:,}")
    st.progress(min(share, 1.0), words)
    details = [plain(status.device).replace("1 threads", "1 thread"),
               f"{status.memory / 2**30:.1f} GB of memory" if status.memory else "",
               f"nothing before step {status.saved_step:,} can be lost" if status.saved_step else ""]
    st.caption(" · ".join(filter(None, details)))
    named = [(key, curves.WORDS[key]) for key in curves.TERMS if key in status.terms]
    for column, (key, words) in zip(st.columns(4), named, strict=False):
        column.metric(words, f"{status.terms[key]:,.1f}", help="In nats a row, the mean over this epoch so far.")


def _in_line(run: Run) -> str:
    ahead = []
    for other, status in jobs.active():
        if other.name == run.name:
            break
        ahead.append(f"{plain(other.name)} ({status.state})")
    if run.status.pid is None:
        return "It was made and never started. “Go on” starts it."
    return ("Waits for " + ", ".join(ahead) + ". " if ahead else "About to begin. ") + (
        "It starts by itself, also when this page is closed.")


def _held_out(status: Status) -> None:
    names = [name for name in parts.METRICS if name in status.metrics]
    for column, name in zip(st.columns(max(len(names), 4)), names, strict=False):
        with column:
            parts.metric(name, status.metrics[name])
    ended = "" if status.state == "finished" else f" Stopped in epoch {status.epoch + 1} of {status.total_epochs}."
    st.caption(f"On {status.metrics.get('test_rows', 0):,.0f} rows it never saw. Trained in "
               f"{parts.duration(status.seconds)} on {plain(status.device)}.{ended} It is in the pickers of the other "
               "pages now.")


# ---------------------------------------------------------------------------------------------------- curves

def _curves_and_rivals(run: Run, others: Mapping[str, Run], every: float | None) -> None:
    rivals = {name: other for name, other in others.items() if name != run.name}
    chosen: list[str] = []
    if rivals:
        if set(st.session_state.get(state.COMPARED, ())) - set(rivals):
            st.session_state[state.COMPARED] = [name for name in st.session_state[state.COMPARED] if name in rivals]
        chosen = st.multiselect("Compare with", list(rivals), key=state.COMPARED, format_func=one_line,
                                max_selections=5, placeholder="Curves of other runs in the same picture")
    st.fragment(_curves, run_every=every)(run, [rivals[name] for name in chosen])


def _say_what_is_trained(run: Run, epochs: int) -> None:
    """Where the bound ends and the second decoder begins: its curve is another one."""
    before = itertools.takewhile(lambda stage: stage.objective == "elbo", run.config.train.stages)
    start = sum(stage.epochs for stage in before)
    if epochs > start:
        st.caption(f"Up to epoch {start} the ELBO finds the graph; from then on the completion, a second decoder, "
                   "learns over that graph alone. What stands as ELBO there is its log-likelihood of hidden pixels, on "
                   "a scale of its own, and there is no KL. Thin lines part the stages of the recipe.")


def _curves(run: Run, rivals: list[Run]) -> None:
    dark = parts.is_dark()
    with parts.guard():
        rows = {one.name: curves.flat(one.records) for one in (run, *rivals)}
        own = rows[run.name]
        if not own:
            if run.status.state == "running":
                st.caption("The first epoch is on its way …")
                st.skeleton(height=260)
            return
        words = curves.labels([row for one in rows.values() for row in one])
        if rivals:
            key = parts.one_of("What is compared", list(words), state.TERM, "elbo" if "elbo" in words else None,
                               format_func=words.get, label_visibility="collapsed")
            st.plotly_chart(figures.compare_curves(rows, key, words[key], dark), key="rivals",
                            alt=f"{words[key]} of {len(rows)} runs by epoch")
            return
        st.plotly_chart(figures.training_curves(own, dark=dark), key="curves", alt="Terms of the ELBO by epoch")
        _say_what_is_trained(run, len(own))
        more = curves.second_row(own)
        if more:
            st.plotly_chart(figures.training_curves(own, more, words, dark=dark), key="more_curves",
                            alt="Attention gates, temperature and edges by epoch")
