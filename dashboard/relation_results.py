"""What was found in a person's own table: the graph at a threshold, its edges, and what surrounds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from dashboard import exports, figures, figures_relations, network, parts, relation_comparison
from dashboard import relation_numbers as numbers
from dashboard.graph_picture import Drawn
from dashboard.names import SENTENCE, one_line, plain
from dashboard.relation_numbers import FREQUENCY, PARTIAL, POSTERIOR, SCORE, Cut
from sagvae_core.errors import expected
from sagvae_core.graph_files import RelationGraph

_THRESHOLD = {FREQUENCY: ("How many resamples must choose a pair?", "Share of the resamples of the rows in which the "
                          "method chose the pair. An edge that most of them chose is no accident of single rows."),
              POSTERIOR: ("How sure must a relation be?", "Pairs of at least this probability are edges. Nothing was "
                          "resampled, so it is not known how steady they are."),
              SCORE: ("How many of the best pairs?", "The method gives no probability and nothing was resampled: pairs "
                      "are ranked by their score.")}
_AXES = {FREQUENCY: "chosen by at least this share of the resamples", POSTERIOR: "at least this sure",
         SCORE: "score of at least"}
_NO_SIGN = 0.05  # of a partial correlation, up to which it has no direction to speak of
_COLUMNS = {"Score": ("%.4f", "What the method ranks pairs by; higher is surer. Of SAG-VAE the log-odds of an edge in "
                      "nats, above 0 where it is more likely than not; of all others a size without a sign."),
            "Partial correlation": ("%+.2f", "How the two go together given all that is related to either, from −1 to "
                                    "1, by ranks. Near 0 beside a sure edge: the relation is bent."),
            "Posterior": ("percent", "The model's probability of an edge."),
            "Frequency": ("percent", "Share of the resamples that chose the pair."),
            "Lower": ("%.4f", "Lower end of the score's 95 % interval over resamples."),
            "Upper": ("%.4f", "Upper end of the score's 95 % interval over resamples.")}


@st.fragment
@parts.guard()
def show(graphs: Mapping[str, RelationGraph], key: str, titles: Mapping[str, str],
         known: np.ndarray | None = None) -> None:
    """All that is to be seen of one fit; its controls draw this part of the page alone.

    Args:
        graphs: method -> what it found, the main method first, all over the same columns. Of their attributes "rows"
            (how many were used) and "selection" (a sentence on how edges were selected) of the graph and
            "predictability" of the nodes are shown where they are given.
        key: of the widgets, different for each fit on a page.
        titles: what methods are called.
        known: bool (N, N), the graph that is known beforehand, if there is one.

    A graph over other columns, or a known graph of another size, is said in place of all.
    """
    if not graphs:
        st.info("Nothing was found yet: no method has finished.", icon=":material/hub:")
        return
    first = next(iter(graphs.values()))
    for method, graph in graphs.items():
        if graph.names != first.names:
            raise expected(f"the columns of {method}", "those of the other methods", "others",
                           "Fit all methods anew together.")
    if known is not None and known.shape != first.scores.shape:
        raise expected("the known graph", f"one of the table's {len(first.names):,} columns", f"{len(known):,}",
                       "Read it again with the names of this table.")
    named = numbers.titled(graphs, titles)
    said = st.container()  # of the method and the threshold that are chosen below
    positions, order, groups = _shared(numbers.pull(list(graphs.values())))
    method, by, place = _controls(graphs, named, key)
    graph = graphs[method]
    edges = by.edges(graph, place)
    said.markdown(plain(numbers.summary(_as_cut(graph, by, place), named[method]), SENTENCE))
    left, right = st.columns(2, gap="large")
    with left:
        _network(graph, by, place, positions, groups, f"{key}-{named[method]}", f"{key}_{method}")
    with right:
        _matrix(graph, order, key)
    _table(graph, edges, key)
    if len(graphs) > 1:
        relation_comparison.methods(graphs, named, positions, key)
    if known is not None:
        relation_comparison.recovered(graphs, named, method, edges, known, positions, key)
    relation_comparison.columns(graph, by, edges, key)


@st.cache_data(max_entries=20, show_spinner=False)
def _shared(pull: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the columns, their order in matrices and the communities that colour them: for all methods the same,
    so that nothing moves when another is looked at. A column without edges is in community -1."""
    groups = network.communities(pull)
    sizes = np.bincount(groups)
    return network.layout(pull), network.order(pull, "community"), np.where(sizes[groups] > 1, groups, -1)


def _controls(graphs: Mapping[str, RelationGraph], named: Mapping[str, str], key: str) -> tuple[str, Cut, int]:
    """The method, how its pairs are cut, and the number of the chosen threshold; below them the curve."""
    method = parts.one_of("Method", list(graphs), f"{key}_method", format_func=lambda name: plain(named[name]))
    graph = graphs[method]
    by = numbers.cut(graph)
    left, right = st.columns(2, gap="large", vertical_alignment="center")
    with left:
        words, explained = _THRESHOLD[by.kind]
        places = list(range(len(by.levels)))
        if len(places) > 1:
            place = st.select_slider(words, places, by.start, format_func=by.labels.__getitem__, help=explained,
                                     key=f"{key}_{method}_{by.kind}_threshold")
        else:
            place = by.start
        if by.exact(graph):
            st.caption("It starts at the pairs that the fit has selected.")
        else:
            st.caption("It starts at the pairs that the fit has selected, which are not those of one threshold.")
    with right:
        levels, counts = numbers.curve(graph, by)
        now = int(numbers.pairs(by.edges(graph, place)).sum())
        st.plotly_chart(figures_relations.edge_curve(levels, counts, by.levels[place], now, _AXES[by.kind], by.is_share,
                                                     parts.is_dark()), key=f"{key}_curve",
                        config={"displayModeBar": False}, alt="Number of edges against the threshold")
    return method, by, place


def _network(graph: RelationGraph, by: Cut, place: int, positions: np.ndarray, groups: np.ndarray, file: str,
             key: str) -> None:
    """The node-link graph and its files, whose names begin with ``file``."""
    edges = by.edges(graph, place)
    steady = None if graph.frequency is None else np.nan_to_num(np.asarray(graph.frequency, dtype=float))
    below = None if graph.partial is None else np.nan_to_num(graph.partial) < -_NO_SIGN
    named = [f"community {group + 1}" for group in range(int(groups.max(initial=-1)) + 1)]
    drawn = Drawn(numbers.as_drawn(graph, edges), 0.5, positions, graph.names, groups, named, steadiness=steady,
                  negative=below)
    with exports.heading("Graph"):
        exports.menu(lambda: _as_cut(graph, by, place), drawn, f"{file}-{by.labels[place]}",
                     f"The edges: {one_line(by.labels[place])}", key, are_ranks=True)
    figure = figures_relations.graph(drawn, partial(numbers.edge_words, graph), parts.is_dark())
    st.plotly_chart(figure, key=f"{key}_graph", config={"displayModeBar": False},
                    alt="Graph of the columns, with an edge for each relation")
    said = ["The wider an edge, the " + ("surer the model is." if graph.posterior is not None else "higher its score.")]
    if steady is not None:
        said.append("The fainter, the fewer resamples chose it.")
    if below is not None and (below & edges).any():
        said.append("Blue and dashed: where one is higher, the other is lower, what is related to either being equal.")
    if named:
        said.append("Colours: communities of all methods' edges together, the same whatever is shown.")
    shown = figure.layout.meta
    if shown["total"] > shown["shown"]:
        said.append(f"The {shown['shown']:,} surest of {shown['total']:,} edges are drawn.")
    st.caption(" ".join(said))


def _as_cut(graph: RelationGraph, by: Cut, place: int) -> RelationGraph:
    """The graph with the edges that the page shows. Where these are not its own, what it says of their selection and of
    how many are false does not hold of them."""
    if place == by.start:
        return graph
    about = dict(graph.graph_attributes)
    said = f"Edges were cut by {by.kind} at: {by.labels[place]}."
    if about.pop("expected_false", None) is not None:
        said += " The bound on false ones holds of the fit's own selection alone."
    return replace(graph, selected=by.edges(graph, place),
                   graph_attributes=about | {"threshold": by.levels[place], "selection": said})


def _matrix(graph: RelationGraph, order: np.ndarray, key: str) -> None:
    """The pairs as a heatmap, of whichever kind of number; scores that are a posterior's log-odds add nothing to it."""
    matrices = {FREQUENCY: graph.frequency, POSTERIOR: graph.posterior,
                SCORE: graph.scores if graph.posterior is None else None, PARTIAL: graph.partial}
    kinds = [kind for kind, matrix in matrices.items() if matrix is not None]
    left, right = st.columns([1, 3], gap="xsmall", vertical_alignment="center")  # as exports.heading beside it
    left.subheader("Pairs", anchor=False)
    with right.container(horizontal_alignment="right"):
        kind = parts.one_of("What is shown", kinds, f"{key}_shown", format_func=str.capitalize,
                            label_visibility="collapsed")
    dark = parts.is_dark()
    if kind in (SCORE, PARTIAL):
        figure = figures.score_heatmap(matrices[kind], order, graph.names, dark, signed=kind == PARTIAL)
    else:
        bar, unit = {FREQUENCY: ("chosen", "of the resamples"), POSTERIOR: ("sure", "sure")}[kind]
        values = np.nan_to_num(np.asarray(matrices[kind], dtype=float))
        figure = figures.adjacency_heatmap(values, order, graph.names, dark, bar=bar, unit=unit)
    st.plotly_chart(figure, key=f"{key}_matrix", config={"displayModeBar": False}, alt=f"Matrix of all pairs: {kind}")


def _table(graph: RelationGraph, edges: np.ndarray, key: str) -> None:
    """The edges with all that is known of them."""
    st.subheader("Edges", anchor=False)
    frame = numbers.edge_table(graph, edges)
    if not len(frame):
        st.caption("There is no edge at this threshold.")
        return
    st.dataframe(frame, hide_index=True, key=f"{key}_edges", height="content" if len(frame) <= 15 else 388,
                 column_config={title: st.column_config.NumberColumn(format=form, help=words)
                                for title, (form, words) in _COLUMNS.items() if title in frame})
    st.caption("Click a column's head to sort by it."
               + (" Lower and upper: the 95 % interval of the score over resamples." if "Lower" in frame else "")
               + (" Where it reaches below 0, other rows of the same kind might speak against the edge."
                  if "Lower" in frame and graph.posterior is not None and (frame["Lower"] < 0).any() else ""))
