"""The Export menu beside a graph: the same relations as pictures, a page, a graph for other programs, tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import graph_picture, network
from dashboard.graph_picture import Drawn
from dashboard.listing import RunInfo
from sagvae_core.graph_files import RelationGraph, graph_bytes

_LONGEST = 100  # characters of a file's name before its ending


class _Format(NamedTuple):
    label: str
    ending: str
    mime: str
    explained: str


_PICTURES = (
    _Format("PNG", "png", "image/png", "For slides: 2,400 pixels wide, on white."),
    _Format("SVG", "svg", "image/svg+xml", "For print and for editing: lines and text, on white."),
    _Format("Web page", "html", "text/html", "The graph to drag and zoom, in one file that needs no network."),
)
_GRAPHS = (
    _Format("GraphML", "graphml", "application/xml", "For networkx, Cytoscape, igraph and yEd."),
    _Format("GEXF", "gexf", "application/xml", "For Gephi."),
)
_TABLES = (
    _Format("Pairs CSV", "csv", "text/csv", "A row for every pair: names, score, whether it is an edge."),
    _Format("Matrix CSV", "adjacency.csv", "text/csv", "A square table with names on both sides."),
    _Format("NumPy", "npz", "application/octet-stream", "All matrices and the names in one .npz, for numpy.load."),
)


def heading(title: str) -> DeltaGenerator:
    """A subheader, no higher than one alone, with a place for the menu at its right end."""
    left, right = st.columns([2.2, 1], vertical_alignment="center")
    left.subheader(title, anchor=False)
    return right.container(horizontal_alignment="right")


def menu(make: Callable[[], RelationGraph], drawn: Drawn, file: str, edges: str, key: str = "export",
         are_ranks: bool = False) -> None:
    """A button that opens the choice of files. Each is made when it is asked for, and none draws the page again.

    Args:
        make: gives the graph that the files hold; where it has no probabilities, those of ``drawn`` are ranks.
        drawn: the same graph as the page draws it.
        file: what it is and where the threshold lies, for the files' names; a stranger's names may be part of it.
        edges: which pairs are edges, as in "The edges above 50 %".
        key: of the widgets, where a page has more than one menu.
        are_ranks: the probabilities of ``drawn`` are ranks even where the graph has some.
    """
    name = file_name(file)
    makers: dict[str, Callable[[], bytes | str]] = {
        "png": lambda: graph_picture.png(drawn), "svg": lambda: graph_picture.svg(drawn),
        "html": lambda: network.pyvis_html(**vars(drawn), height=None, are_ranks=are_ranks or make().posterior is None)}
    groups = (("Picture, as drawn here", _PICTURES), (edges, _GRAPHS), ("Every pair, edge or not", _TABLES))
    with st.popover("Export", icon=":material/download:", key=f"{key}_menu"):
        for words, formats in groups:
            st.caption(words)
            with st.container(horizontal=True, gap="xsmall"):
                for label, ending, mime, explained in formats:
                    data = makers.get(ending) or (lambda ending=ending: graph_bytes(make(), ending))
                    st.download_button(label, data, f"{name}.{ending}", mime, help=explained, on_click="ignore",
                                       key=f"{key}_{ending.replace('.', '_')}")


def model_menu(info: RunInfo, drawn: Drawn, key: str = "export") -> None:
    """:func:`menu` of the graph that a trained model has learned."""
    menu(lambda: _of_model(info, drawn), drawn, f"{info.name}-threshold-{drawn.threshold:g}",
         f"The edges above {100 * drawn.threshold:g} %", key)


def _of_model(info: RunInfo, drawn: Drawn) -> RelationGraph:
    edges = drawn.probabilities > drawn.threshold
    np.fill_diagonal(edges, False)
    nodes: dict[str, Any] = {"degree": edges.sum(1)}
    if drawn.groups is not None:
        named = dict(enumerate(drawn.group_names or ()))
        nodes = {"group": [named.get(int(group)) for group in drawn.groups]} | nodes
    return RelationGraph(
        tuple(drawn.names), drawn.probabilities, drawn.probabilities, edges, node_attributes=nodes,
        graph_attributes={"model": info.name, "data": info.dataset, "threshold": drawn.threshold,
                          "command": info.command})


def file_name(text: str) -> str:
    """A text as the name of a file on any system: letters of English, digits, "." and "_", the rest "-"."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:_LONGEST] or "graph"
