"""Your data: upload a table, say what its columns are, and see which of them belong together."""

import streamlit as st

from dashboard import parts, state
from dashboard.run_choice import choose
from dashboard.your_data_form import new_fit
from dashboard.your_data_watch import watch
from sagvae_core.errors import SagvaeError
from sagvae_core.relation_runs import RelationRun, list_relation_runs
from sagvae_core.runs import is_shipped


def follow() -> None:
    """The fit that is watched, the newest by default."""
    named = {run.name: run for run in list_relation_runs()}
    if not named:
        st.info("No table was fitted yet. Upload one above, or try an example.", icon=":material/table_chart:")
        return
    if all(map(is_shipped, named.values())):
        st.caption("Finished fits of two example tables, to see what you will get. Yours will stand here too.")
    name = choose("What is shown below", named, state.FIT, state.FIT_NEXT, format_func=lambda name: called(named[name]))
    with parts.guard():
        watch(named[name])


def called(run: RelationRun) -> str:
    """What the picker says of a fit: of a shipped one its table."""
    if not is_shipped(run):
        return run.name
    try:
        return f"{run.settings.source} (example)"
    except SagvaeError:  # the view below says it
        return run.name


parts.heading("Your data", "Which columns of your table belong together? Upload it, check what was recognised, and "
              "start. The fit is a process of its own: closing this page does not stop it.")
with st.container(border=True):
    new_fit()
st.subheader("Fits", anchor=False)
with parts.guard():
    follow()
