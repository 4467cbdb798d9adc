"""Entry point of the app: the frame and its pages; nothing else."""

from pathlib import Path

import streamlit as st

from dashboard import resources

ICON = str(Path(__file__).parent / "icon.png")  # a file of ours: a named icon would be fetched from another host

resources.leave_room()
st.set_page_config(page_title="SAG-VAE Studio", page_icon=ICON, layout="wide")
st.logo(ICON, size="large")
st.html("<style>[data-testid=stMainBlockContainer]{padding-top:3.2rem;max-width:1500px}</style>")

st.navigation([
    st.Page("views/overview.py", title="Overview", icon=":material/home:", default=True),
    st.Page("views/relations.py", title="Relations", icon=":material/hub:", url_path="relations"),
    st.Page("views/your_data.py", title="Your data", icon=":material/table_chart:", url_path="your_data"),
    st.Page("views/robustness.py", title="Robustness", icon=":material/shield:", url_path="robustness"),
    st.Page("views/sampling.py", title="Sampling", icon=":material/casino:", url_path="sampling"),
    st.Page("views/evidence.py", title="Evidence", icon=":material/fact_check:", url_path="evidence"),
    st.Page("views/train.py", title="Train", icon=":material/model_training:", url_path="train"),
], position="top").run()
