"""The Train page's curves of one run, alone or beside those of others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import streamlit as st

from dashboard import curves, figures, parts, state
from dashboard.names import one_line
from sagvae_core.runs import Run

_BROKEN = ("A curve is broken where the next stage measures something else by the same name: with another likelihood, "
           "with other weights of KL, or of values hidden in another way.")


def curves_and_rivals(run: Run, others: Mapping[str, Run], every: float | None) -> None:
    """The run's curves, with those of other runs where some are chosen; drawn again ``every`` so many seconds."""
    rivals = {name: other for name, other in others.items() if name != run.name}
    chosen: list[str] = []
    if rivals:
        if set(st.session_state.get(state.COMPARED, ())) - set(rivals):
            st.session_state[state.COMPARED] = [name for name in st.session_state[state.COMPARED] if name in rivals]
        chosen = st.multiselect("Compare with", list(rivals), key=state.COMPARED, format_func=one_line,
                                max_selections=5, placeholder="Curves of other runs in the same picture")
    st.fragment(_curves, run_every=every)(run, [rivals[name] for name in chosen])


def _say_what_is_trained(run: Run, own: list[dict]) -> None:
    """What the thin lines are, and where the bound ends and the second decoder begins."""
    if len({row.get("stage", 0) for row in own}) < 2:
        return
    said = "Thin lines part the stages of the recipe. " + _BROKEN
    bounds = list(itertools.takewhile(lambda stage: stage.objective == "elbo", run.config.train.stages))
    start = sum(stage.epochs for stage in bounds)
    if len(own) > start:
        said += (f" Up to epoch {start} the ELBO finds the graph; from then on the completion, a second decoder, "
                 "learns over that graph alone: what stands as ELBO there is its log-likelihood of hidden values, and "
                 "no KL is part of it.")
    st.caption(said)


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
            breaks = {one.name: curves.breaks(one.config.train.stages).get(key, ()) for one in (run, *rivals)}
            st.plotly_chart(figures.compare_curves(rows, key, words[key], dark, breaks), key="rivals",
                            alt=f"{words[key]} of {len(rows)} runs by epoch")
            if any(breaks.values()):
                st.caption(_BROKEN)
            return
        breaks = curves.breaks(run.config.train.stages)
        st.plotly_chart(figures.training_curves(own, breaks=breaks, dark=dark), key="curves",
                        alt="Terms of the ELBO by epoch")
        _say_what_is_trained(run, own)
        more = curves.second_row(own)
        if more:
            st.plotly_chart(figures.training_curves(own, more, words, breaks, dark=dark), key="more_curves",
                            alt="Attention gates, temperature and edges by epoch")
