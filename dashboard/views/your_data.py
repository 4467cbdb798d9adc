"""Your data: upload a table, say what its columns are, and see which of them belong together."""

import streamlit as st

from dashboard import parts, state
from dashboard.names import NAME, one_line
from dashboard.your_data_form import new_fit
from dashboard.your_data_watch import watch
from sagvae_core.relation_runs import RelationRun, list_relation_runs


def follow() -> None:
    """The fit that is watched, the newest by default."""
    named = {run.name: run for run in list_relation_runs()}
    if not named:
        st.info("No table was fitted yet. Upload one above, or try an example.", icon=":material/table_chart:")
        return
    wanted = st.session_state.pop(state.FIT_NEXT, None)
    if wanted in named:
        st.session_state[state.FIT] = wanted
    ordered = sorted(named, key=lambda name: -created(named[name]))
    if st.session_state.get(state.FIT) not in named:
        st.session_state[state.FIT] = ordered[0]
    name = st.selectbox("Fit", ordered, key=state.FIT, bind="query-params", persist_state="session",
                        format_func=lambda name: one_line(name, NAME))
    with parts.guard():
        watch(named[name])


def created(run: RelationRun) -> float:
    try:
        return run.status.created
    except (ValueError, OSError):
        return 0.0


parts.heading("Your data", "Which columns of your table belong together? Upload it, check what was recognised, and "
              "start. The fit is a process of its own: closing this page does not stop it.")
with st.container(border=True):
    new_fit()
with parts.guard():
    follow()
