"""Entry point of the app: the frame and its pages; nothing else."""

import streamlit as st

st.set_page_config(page_title="SAG-VAE Studio", page_icon=":material/hub:", layout="wide")

st.navigation([
    st.Page("views/overview.py", title="Overview", icon=":material/home:", default=True),
    st.Page("views/relations.py", title="Relations", icon=":material/hub:", url_path="relations"),
    st.Page("views/robustness.py", title="Robustness", icon=":material/shield:", url_path="robustness"),
    st.Page("views/train.py", title="Train", icon=":material/model_training:", url_path="train"),
]).run()
