"""Which run a page follows: the newest, the one that was just started, or what a person or a link chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.names import NAME, one_line
from sagvae_core.run_folder import RunFolder
from sagvae_core.runs import is_shipped


def choose(label: str, runs: Mapping[str, RunFolder], key: str, next_key: str,
           on_change: Callable[[], None] | None = None, format_func: Callable[[str], str] = str) -> str:
    """The name of the run that is followed, by a picker with the newest first, shipped ones last.

    Args:
        label: of the picker. runs: name -> run, at least one.
        key: of the picker, and in the page's address.
        next_key: where other code leaves the name of a run that is to be followed from now on.
        on_change: called when another run is followed.
        format_func: name -> what the picker says.
    """
    wanted = st.session_state.pop(next_key, None)
    if wanted in runs:
        st.session_state[key] = wanted
        if on_change is not None:
            on_change()
    ordered = sorted(runs, key=lambda name: (is_shipped(runs[name]), -_created(runs[name])))
    if st.session_state.get(key) not in runs:
        st.session_state[key] = ordered[0]
    return st.selectbox(label, ordered, key=key, bind="query-params", persist_state="session", on_change=on_change,
                        format_func=lambda name: one_line(format_func(name), NAME))


def _created(run: RunFolder) -> float:
    try:
        return run.status.created
    except (ValueError, OSError):
        return 0.0
