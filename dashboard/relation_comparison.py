"""What surrounds the graph of one method: the other methods, a graph that is known, and the single columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import figures, figures_evidence, figures_relations, parts, relation_nodes
from dashboard import relation_numbers as numbers
from dashboard.figures_evidence import Curve
from dashboard.names import cell, plain
from dashboard.relation_numbers import FREQUENCY, POSTERIOR, Cut
from sagvae_core.graph_files import RelationGraph

_PLAIN = {"displayModeBar": False}


def methods(graphs: Mapping[str, RelationGraph], named: Mapping[str, str], positions: np.ndarray, key: str) -> None:
    """Each method's own selection, and how far they agree."""
    dark, every = parts.is_dark(), list(graphs.values())
    st.subheader("Methods side by side", anchor=False)
    edges = {named[method]: np.asarray(graph.selected) for method, graph in graphs.items()}
    st.plotly_chart(figures_relations.side_by_side(edges, positions, every[0].names, dark), key=f"{key}_methods",
                    config=_PLAIN, alt="A small graph for each method")
    common = int(numbers.pairs(numbers.votes(every) == len(every)).sum())
    st.caption(f"What each method has selected itself, with the columns at the same places and the number of edges. "
               f"{common:,} {'edge, which is' if common == 1 else 'edges, which are'} drawn bold, "
               f"{'is' if common == 1 else 'are'} chosen by all {len(every)} methods.")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Agreement", anchor=False)
        st.plotly_chart(figures_relations.agreement(numbers.overlap(every), numbers.rank_correlation(every),
                                                    list(edges), dark), key=f"{key}_agreement", config=_PLAIN,
                        alt="Overlap of edges and correlation of ranks for each two methods")
        st.caption("Left: edges that two methods share, as part of those that either has (Jaccard). Right: Spearman's "
                   "correlation of the scores of all pairs.")
    with right:
        st.subheader("Chosen by several", anchor=False)
        frame = numbers.agreed_table(every)
        if not len(frame):
            st.caption("No two methods chose the same pair.")
            return
        many = f"Of {len(every)} methods."
        often = "Share of the resamples that chose the pair, mean over the methods."
        st.dataframe(frame, hide_index=True, key=f"{key}_agreed", height="content" if len(frame) <= 8 else 318,
                     column_config={"Source": st.column_config.TextColumn(width=100),  # narrow, for half of 800 pixels
                                    "Target": st.column_config.TextColumn(width=100),
                                    "Methods": st.column_config.NumberColumn(width=65, help=many),
                                    "Frequency": st.column_config.NumberColumn(width=75, format="percent", help=often)})
        st.caption("Methods look at the same rows: that they agree makes a relation likely, but proves nothing.")


def recovered(graphs: Mapping[str, RelationGraph], named: Mapping[str, str], method: str, edges: np.ndarray,
              known: np.ndarray, positions: np.ndarray, key: str) -> None:
    """How well each method meets the known graph; of the chosen one hits, misses and false edges."""
    dark = parts.is_dark()
    st.subheader("Against the known graph", anchor=False)
    cuts = {other: np.asarray(graph.selected) for other, graph in graphs.items()} | {method: edges}
    found = {other: numbers.recovery(graph, cuts[other], known) for other, graph in graphs.items()}
    frame = pd.DataFrame([{
        "Method": cell(named[other]), "Edges": int(one.rates["hits"] + one.rates["false"]),
        "Precision": one.rates["precision"], "Recall": one.rates["recall"], "F1": one.rates["f1"],
        "AP": one.average_precision} for other, one in found.items()])
    st.dataframe(frame, hide_index=True, key=f"{key}_recovery", height="content", column_config={
        "Method": st.column_config.TextColumn(pinned=True)} | {
        column: st.column_config.NumberColumn(format="%.3f", help=parts.METRICS[name][2]) for column, name in (
            ("Precision", "precision"), ("Recall", "recall"), ("F1", "f1"), ("AP", "average_precision"))})
    share = float(numbers.pairs(known).mean())
    st.caption(f"The known graph has {int(numbers.pairs(known).sum()):,} edges, {share:.1%} of all pairs: so much is "
               f"the average precision (AP) of guessing. Edges of {plain(named[method])} are those at the threshold "
               "above, of other methods their own.")
    left, right = st.columns(2, gap="large")
    with left:
        curves = [Curve(named[other], one.recall, one.precision,
                        (one.rates["recall"], one.rates["precision"]) if cuts[other].any() else None, number == 0,
                        max(number - 1, 0)) for number, (other, one) in enumerate(found.items())]
        st.plotly_chart(figures_evidence.precision_recall(curves, (), named[method], dark, 480), key=f"{key}_pr",
                        config=_PLAIN, alt="Precision-recall curves of all methods")
        st.caption("Every threshold of the scores; a ring is where a method's edges lie. Those selected by how "
                   "many resamples chose them need not lie on the curve.")
    with right:
        graph = graphs[method]
        figure = figures.network_figure(numbers.as_drawn(graph, edges), 0.5, positions, graph.names,
                                        truth=known, dark=dark, height=480)
        figures_relations.thin_names(figure, positions, graph.names, known | edges, dark)
        st.plotly_chart(figure, key=f"{key}_known", config=_PLAIN, alt="Hits, misses and false edges")
        rates, shown = found[method].rates, figure.layout.meta
        st.caption(f"{plain(named[method])}: {rates['hits']:,} found and true, {rates['misses']:,} missed, "
                   f"{rates['false']:,} not true."
                   + (f" The {shown['shown']:,} surest of {shown['total']:,} are drawn."
                      if shown["total"] > shown["shown"] else ""))


def columns(graph: RelationGraph, by: Cut, edges: np.ndarray, key: str) -> None:
    """How predictable and how central each column is."""
    st.subheader("Columns", anchor=False)
    explained = relation_nodes.predictability(graph)
    figure = figures_relations.columns(graph.names, explained, relation_nodes.centrality_ranges(graph, by, edges),
                                       parts.is_dark())
    st.plotly_chart(figure, key=f"{key}_columns", config=_PLAIN, alt="Predictability and centralities of the columns")
    over = {FREQUENCY: "selection frequencies from 50 to 95 %", POSTERIOR: "probabilities from 50 to 95 %"}.get(
        by.kind, "from half to twice as many edges as were selected")
    said = [] if explained is None else ["Predictability: the share of a column's variance that its neighbours "
                                          "explain."]
    said += ["Degree: edges. Strength: the sum of their strengths. Betweenness: the share of shortest paths between "
             "two others that lead through it. Dots: at the threshold above.",
             f"Lines: the range over thresholds ({over}). They are not intervals over resamples, of which no graphs "
             "were kept; a short line says that the choice of the threshold matters little."]
    shown = figure.layout.meta
    if shown["total"] > shown["shown"]:
        said.append(f"The first {shown['shown']} of {shown['total']} columns are shown.")
    st.caption(" ".join(said))
