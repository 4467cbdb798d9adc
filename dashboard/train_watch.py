"""The Train page's view of one run: where it is, and what can be done with it."""

from __future__ import annotations

import io
from collections.abc import Mapping

import streamlit as st

from dashboard import curves, jobs, parts, state
from dashboard.names import SENTENCE, plain
from dashboard.train_curves import curves_and_rivals
from dashboard.train_snapshots import INTERVAL, PLAY, mode_of, snapshots
from sagvae_core.archive import archive_name, export_run
from sagvae_core.errors import SagvaeError
from sagvae_core.run_folder import RunFolder
from sagvae_core.run_status import ACTIVE, Status
from sagvae_core.runs import Run

STATES = {"queued": ("schedule", "gray"), "running": ("progress_activity", "blue"), "paused": ("pause", "orange"),
          "finished": ("check", "green"), "stopped": ("stop", "green"), "failed": ("error", "red"),
          "interrupted": ("warning", "orange")}
_ENDS = "Paused, it goes on later where it was. Stopped, it has ended early and its model is kept."
_TICK, _SLOW = 1.0, 2.5  # seconds between two looks at where a run is, and at its curves, which change once an epoch


def badge(status: Status) -> str:
    """The state as a coloured badge, in Markdown."""
    icon, colour = STATES[status.state]
    return f":{colour}-badge[:material/{icon}: {status.state}]"


def watch(run: Run, others: Mapping[str, Run], problem: str | None) -> None:
    """All about one run, and first what is wrong with it; what may change while it trains looks again every second."""
    try:
        state_now, _ = run.status.state, run.config
    except SagvaeError as error:
        _broken(run, error)
        return
    if problem is not None:
        parts.complain(problem)
    active = state_now in ACTIVE
    st.fragment(_where, run_every=_TICK if active else None)(run, state_now, st.session_state.get(state.SEEDED),
                                                             problem is not None)
    every = _SLOW if active else None
    curves_and_rivals(run, others, every)
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

def _where(run: Run, state_before: str, seeded_before: str | None, damaged: bool) -> None:
    if not run.folder.is_dir() or st.session_state.get(state.SEEDED) == run.name != seeded_before:
        st.rerun()  # deleted, or the form above is to start from it: a click in here draws this part alone
    with parts.guard():
        status = run.status
        if status.state != state_before:
            st.rerun()  # begun or ended: buttons and pickers elsewhere on the page are others now
        columns = st.columns([4, 1.25, 1.25, 1.25], vertical_alignment="center")
        columns[0].markdown(f"**{plain(run.name)}** {badge(status)}")
        _buttons(columns[1:], run, status, damaged)
        if status.state == "running":
            _progress(status)
        elif status.state == "queued":
            st.info(in_line(run), icon=":material/schedule:")
        elif status.state in ("failed", "interrupted"):
            words = status.error or jobs.last_words(run)
            (st.error if status.state == "failed" else st.warning)(plain(words, SENTENCE), icon=":material/error:")
        if status.note is not None:
            st.info(plain(status.note, SENTENCE), icon=":material/info:")
        if status.metrics and status.state in ("finished", "stopped"):
            _held_out(status, damaged)
        elif status.state not in ACTIVE:
            _to_go_on(status)


def _buttons(columns: list, run: Run, status: Status, damaged: bool) -> None:
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
                           disabled=damaged,
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
        words = (f"Epoch {status.epoch + 1} of {status.total_epochs} · {parts.time_left(status.eta_seconds)} · "
                 f"step {status.step:,} of {status.total_steps:,}")
    st.progress(min(share, 1.0), words)
    details = [parts.machine(status.device),
               f"{status.memory / 2**30:.1f} GB of memory" if status.memory else "",
               f"nothing before step {status.saved_step:,} can be lost" if status.saved_step else ""]
    st.caption(" · ".join(filter(None, details)))
    st.caption(_ENDS)
    named = [(key, curves.WORDS[key]) for key in curves.TERMS if key in status.terms]
    for column, (key, words) in zip(st.columns(4), named, strict=False):
        column.metric(words, f"{status.terms[key]:,.1f}", help="In nats a row, the mean over this epoch so far.")


def _to_go_on(status: Status) -> None:
    """What became of a training that is at rest without a model, and where it would go on."""
    said = ["Paused: it can go on where it was, as if nothing had happened."] if status.state == "paused" else []
    if status.saved_step:
        said.append(f"Goes on from step {status.saved_step:,} of {status.total_steps:,}.")
    if said:
        st.caption(" ".join(said))


def in_line(run: RunFolder) -> str:
    """What a run that is queued waits for, as Markdown."""
    ahead = []
    for other, status in jobs.active():
        if other.name == run.name:
            break
        ahead.append(f"{plain(other.name)} ({status.state})")
    if run.status.pid is None:
        return "It was made and never started. “Go on” starts it."
    return ("Waits for " + ", ".join(ahead) + ". " if ahead else "About to begin. ") + (
        "It starts by itself, also when this page is closed.")


def _held_out(status: Status, damaged: bool) -> None:
    names = [name for name in parts.METRICS if name in status.metrics]
    for column, name in zip(st.columns(max(len(names), 4)), names, strict=False):
        with column:
            parts.metric(name, status.metrics[name])
    ended = "" if status.state == "finished" else (
        f" Stopped: it ended early, in epoch {status.epoch + 1} of {status.total_epochs}, and its model is kept.")
    found = "" if damaged else " It is in the pickers of the other pages now."
    st.caption(f"On {status.metrics.get('test_rows', 0):,.0f} rows it never saw. Trained in "
               f"{parts.duration(status.seconds)} on {parts.machine(status.device)}.{ended}{found}")
