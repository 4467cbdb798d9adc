"""Long computations inside a fragment that give way to the person who has moved on.

Streamlit interrupts a running script for a rerun of the whole page, but never one rerun of a fragment for another
(``_fragment_run_should_not_preempt_script`` in its ``script_requests.py``): a control would have to wait until
everything the last move asked for is computed, wanted or not. So a fragment computes what nobody waits for in small
pieces, and looks between them.
"""

from __future__ import annotations

from streamlit.runtime.scriptrunner import get_script_run_ctx


class Overtaken(Exception):
    """A control was moved meanwhile: what is being computed is out of date, and the next run is waiting."""


def draws_the_whole_page() -> bool:
    """Whether this run draws the page from its beginning, and not a fragment of it that stands there already."""
    return not getattr(get_script_run_ctx(suppress_warning=True), "fragment_ids_this_run", None)


def give_way() -> None:
    """Raise :class:`Overtaken` when another rerun is waiting for this one of a fragment to end.

    Whoever catches it still has to draw every widget of the fragment: one that is not drawn loses its value. A run of
    the whole page goes on: cut short by a click on a widget that it has only just drawn, it left others switched off.
    """
    # No public way to ask: where a later Streamlit keeps it elsewhere, controls wait as long as they did before.
    requests = getattr(get_script_run_ctx(suppress_warning=True), "script_requests", None)
    if not draws_the_whole_page() and getattr(getattr(requests, "_state", None), "name", None) == "RERUN":
        raise Overtaken
