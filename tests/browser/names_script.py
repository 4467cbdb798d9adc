"""Every hostile name in every element of ours that reads Markdown, and a few that read text."""

import streamlit as st
from strangers import NAMES

from dashboard import figures_robustness, names, parts, pictures

st.header("Names")
for place, name in enumerate(NAMES):
    text = names.plain(name, names.SENTENCE)
    with st.container(key=f"name_{place}"):
        st.markdown(text)
        st.caption(f"Before it. {text}")
        parts.complain(name)
        st.metric(text, "1", text, delta_description=text, help=text)
        st.pills("Pills", [text], key=f"pills_{place}")
        st.segmented_control("Buttons", [text], key=f"buttons_{place}")
        st.progress(0.5, text)
        st.button(text, key=f"button_{place}")
        st.selectbox("Box", [names.one_line(name)], key=f"box_{place}")
        st.html(pictures.comparison_grid([pictures.Row(name, [[0.0] * 4], name)], (2, 2)))
lines = [figures_robustness.Line(name, [[place], [place + 1]]) for place, name in enumerate(NAMES)]
st.plotly_chart(figures_robustness.sweep([0, 1], lines, "x", "y", height=1600), key="chart")
