"""One fit of a person's own table: where it is, what it found, and what can be done with it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import jobs, parts, relation_results, state
from dashboard.names import SENTENCE, plain
from dashboard.train_watch import badge, in_line
from sagvae_core.errors import SagvaeError
from sagvae_core.graph_files import RelationGraph
from sagvae_core.known_graph import read_known_graph
from sagvae_core.relation_fits import METHODS
from sagvae_core.relation_runs import RelationRun, RelationSettings
from sagvae_core.run_status import ACTIVE, Status
from sagvae_core.runs import is_shipped

_TICK = 1.0  # seconds between two looks at where a fit is
_KNOWN = 20  # MB of a known graph


def watch(run: RelationRun) -> None:
    """All about one fit; what may change while it is fitted looks again every second."""
    try:
        settings, state_now = run.settings, run.status.state
    except SagvaeError as error:
        parts.complain(error)
        if not is_shipped(run):
            with st.popover("Delete", icon=":material/delete:"):
                _deletion(run)
        return
    done = _done(run, settings)
    st.fragment(_where, run_every=_TICK if state_now in ACTIVE else None)(run, settings, state_now, done)
    if done:
        _found(run, settings, done)


def _done(run: RelationRun, settings: RelationSettings) -> dict[str, bool]:
    """The methods that have found something by now, and whether their resamples are still to come."""
    found = {method: not run.has_graph(method) for method in settings.methods}
    return {method: first for method, first in found.items() if run.has_graph(method, first)}


def _where(run: RelationRun, settings: RelationSettings, state_before: str,
           done_before: dict[str, bool]) -> None:
    if not run.folder.is_dir():
        st.rerun()  # deleted: a click in here draws this part alone
    with parts.guard():
        status = run.status
        if status.state != state_before or _done(run, settings) != done_before:
            st.rerun()  # begun, ended, or one more method is done
        mine = not is_shipped(run)
        columns = st.columns([4, 1.25, 1.25], vertical_alignment="center") if mine else [st.container()]
        columns[0].markdown(f"**{plain(run.name)}** {badge(status)} {plain(_about(settings), SENTENCE)}")
        if mine:
            _buttons(columns[1:], run, status)
        if status.state == "running":
            st.progress(min(1.0, status.step / max(1, status.total_steps)), _progress(run, settings, status))
        elif status.state == "queued":
            st.info(in_line(run), icon=":material/schedule:")
        elif status.state in ("failed", "interrupted"):
            words = status.error or jobs.last_words(run)
            (st.error if status.state == "failed" else st.warning)(plain(words, SENTENCE), icon=":material/error:")
        elif status.state == "stopped" and not done_before:
            st.caption("Stopped before a method was done.")
        if status.note:
            st.warning(plain(status.note, SENTENCE), icon=":material/info:")
        if settings.left_out:
            said = "; ".join(f"{name}: {why}" for name, why in settings.left_out.items())
            st.caption(plain(f"Left out: {said}.", SENTENCE))


def _about(settings: RelationSettings) -> str:
    names = ", ".join(METHODS[method] for method in settings.methods)
    return f"{settings.source}, {len(settings.kinds):,} columns · {names}" + (
        f" · {settings.resamples} resamples" if settings.resamples else "")


def _progress(run: RelationRun, settings: RelationSettings, status: Status) -> str:
    each = 1 + settings.resamples
    place, fits = divmod(min(status.step, each * len(settings.methods) - 1), each)
    method = METHODS[settings.methods[place]]
    since = run.elapsed
    said = [f"{method}, all rows: the longest fit" if fits == 0 else
            f"{method}, {fits - 1} of {settings.resamples} resamples",
            f"{parts.duration(status.seconds + since)} so far"]
    if status.eta_seconds is not None and fits:
        said.append(parts.time_left(max(0.0, status.eta_seconds - since)))
    return " · ".join(said)


def _buttons(columns: list, run: RelationRun, status: Status) -> None:
    if status.state in ACTIVE and status.pid is not None:
        columns[0].button("Stop", icon=":material/stop:", on_click=run.request, args=("stop",), key="fit_stop",
                          width="stretch", disabled=run.requested() is not None,
                          help="Ends the fit. What methods that are done have found is kept.")
    elif status.state != "finished":
        columns[0].button("Go on", icon=":material/play_arrow:", on_click=_resume, args=(run,), key="fit_resume",
                          width="stretch", help="Fits the methods that are not done.")
    if status.state not in ACTIVE or status.pid is None:
        with columns[1].popover("Delete", icon=":material/delete:", width="stretch"):
            _deletion(run)


def _resume(run: RelationRun) -> None:
    with parts.guard():
        jobs.resume(run)


def _deletion(run: RelationRun) -> None:
    st.write("Delete this fit, with its copy of the table? This can't be undone.")
    st.button("Delete for good", type="primary", icon=":material/delete:", on_click=_delete, args=(run,),
              key="fit_delete", width="stretch")


def _delete(run: RelationRun) -> None:
    with parts.guard():
        run.delete()
        st.session_state.pop(state.FIT, None)


def _found(run: RelationRun, settings: RelationSettings, done: dict[str, bool]) -> None:
    graphs = {}
    for method, first in done.items():
        try:
            stamp = run.graph_path(method, first).stat().st_mtime_ns
            graphs[method] = _graph(str(run.folder), method, first, stamp)
        except (SagvaeError, OSError) as error:
            if first and run.has_graph(method):
                st.rerun()  # its resamples were done at this very moment
            parts.complain(f"{METHODS[method]}: {error}")
    if waiting := [METHODS[method] for method, first in done.items() if first]:
        st.info(f"{' and '.join(waiting)}: what all rows say. How often each pair is chosen, and intervals, come with "
                "the resamples.", icon=":material/hourglass_top:")
    known = _known(run, settings)
    relation_results.show(graphs, run.name, METHODS, known)


@st.cache_resource(max_entries=10, show_spinner=False)
def _graph(folder: str, method: str, first: bool, stamp: int) -> RelationGraph:
    return RelationRun(folder).graph(method, first)


def _known(run: RelationRun, settings: RelationSettings) -> np.ndarray | None:
    """A graph to compare with, where a person has one."""
    with st.expander("Compare with a graph you know", icon=":material/rule:"), parts.guard():
        file = st.file_uploader(
            "An edge list or a square matrix of 0 and 1 as CSV, or GraphML, with the names of these columns",
            ["csv", "tsv", "txt", "graphml", "xml"], key=f"known_{run.name}", max_upload_size=_KNOWN)
        if file is None:
            return None
        known = read_known_graph(file.getvalue(), file.name, tuple(settings.kinds))
        count = int(np.triu(known, 1).sum())
        st.caption(f"{count:,} {'edge' if count == 1 else 'edges'} read. See “Against the known graph” below.")
        return known
    return None
