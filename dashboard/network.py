"""Probabilities -> the graph that people look at: thresholds, layouts, communities, orders, kinds of edges.

Pure functions over arrays. Nodes are always the integers 0..N-1 and names are a label only, so that two columns of the
same name stay two nodes. The interactive page is made in ``network_page`` and reached as ``network.pyvis_html``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import networkx as nx
import numpy as np

from dashboard.edges import density, edge_count, edge_kinds, square, strongest_edges
from dashboard.network_page import pyvis_html

__all__ = ["communities", "density", "edge_count", "edge_kinds", "layout", "order", "pyvis_html", "strongest_edges",
           "threshold_graph"]

_SMALL = 150  # nodes up to which the slow and good layout stays well under a second
_WEAK = 0.05  # pairs below this say nothing about who belongs together, and there may be 300,000 of them
_EDGES_PER_NODE = 12  # the strongest pairs that a layout or a community search looks at


def threshold_graph(probabilities: np.ndarray, threshold: float, names: Sequence[str] | None = None) -> nx.Graph:
    """The graph of all pairs with p > threshold: weighted, without self-loops, isolated nodes kept.

    Args:
        probabilities: (N, N), symmetric, in [0, 1].
        threshold: in [0, 1].
        names: N labels, kept as the node attribute ``"name"``.

    Returns:
        Nodes 0..N-1; every edge carries its probability as ``"weight"``.
    """
    probabilities = square(probabilities)
    labels = [str(node) for node in range(len(probabilities))] if names is None else [str(name) for name in names]
    if len(labels) != len(probabilities):
        raise ValueError(f"names must have one entry for each of the {len(probabilities)} nodes, got {len(labels)}.")
    graph = nx.Graph()
    graph.add_nodes_from((node, {"name": label}) for node, label in enumerate(labels))
    rows, columns = np.nonzero(np.triu(probabilities > threshold, 1))
    graph.add_weighted_edges_from(zip(rows.tolist(), columns.tolist(), probabilities[rows, columns].tolist()))
    return graph


def order(probabilities: np.ndarray, by: str = "original", seed: int = 0) -> np.ndarray:
    """The order of rows and columns of a heatmap.

    Args:
        probabilities: (N, N).
        by: ``"original"``; ``"community"``: what belongs together stands together, big communities first and the best
            connected node of each first; ``"degree"``: the best connected nodes first.
        seed: of the community search.

    Returns:
        (N,) node indices.
    """
    probabilities = square(probabilities)
    if by == "original":
        return np.arange(len(probabilities))
    degree = probabilities.sum(1) - np.diag(probabilities)
    if by == "degree":
        return np.argsort(-degree, kind="stable")
    if by == "community":
        return np.lexsort((-degree, communities(probabilities, seed)))
    raise ValueError(f"by must be 'original', 'community' or 'degree', got {by!r}.")


def communities(graph: nx.Graph | np.ndarray, seed: int = 0) -> np.ndarray:
    """Which nodes belong together (Louvain on the weights).

    Args:
        graph: a graph over the nodes 0..N-1, or probabilities (N, N).
        seed: the search is random; the same seed gives the same communities.

    Returns:
        (N,) numbers from 0; community 0 is the largest, and isolated nodes come last, each on its own.
    """
    if not isinstance(graph, nx.Graph):
        graph = _backbone(square(graph))
    found = [sorted(members) for members in nx.community.louvain_communities(graph, weight="weight", seed=seed)]
    labels = np.zeros(graph.number_of_nodes(), dtype=int)
    for label, members in enumerate(sorted(found, key=lambda members: (-len(members), members[0]))):
        labels[members] = label
    return labels


def layout(adjacency: np.ndarray, kind: str = "force", image_shape: tuple[int, int] | None = None,
           seed: int = 0) -> np.ndarray:
    """Where to draw the nodes: x to the right, y upwards, everything within [-1, 1].

    Args:
        adjacency: (N, N), an adjacency or probabilities; only the strongest pairs pull.
        kind: ``"force"``: linked nodes near each other; ``"circular"``; ``"grid"``: the pixels of an image, row 0 on
            top (without ``image_shape`` a grid that is as square as can be).
        image_shape: (H, W) with H * W = N.
        seed: of the force layout. The same arguments give the same picture.

    Returns:
        (N, 2) float.
    """
    adjacency = square(adjacency)
    count = len(adjacency)
    if kind == "grid":
        return _grid(count, image_shape)
    if kind == "circular":
        angles = np.pi / 2 - 2 * np.pi * np.arange(count) / max(count, 1)  # clockwise from the top, like a clock
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if kind != "force":
        raise ValueError(f"kind must be 'force', 'circular' or 'grid', got {kind!r}.")
    graph = _backbone(adjacency)
    parts = sorted((sorted(part) for part in nx.connected_components(graph)), key=lambda part: (-len(part), part[0]))
    return _fit(_pack(parts, [_component(graph.subgraph(part), part, seed) for part in parts], count))


def _component(graph: nx.Graph, nodes: list[int], seed: int) -> np.ndarray:
    """Positions of one connected part around the origin, neighbours about one unit apart."""
    if len(nodes) == 1:
        return np.zeros((1, 2))
    # A fresh graph in node order: the order of a subgraph view must not decide the picture.
    plain = nx.Graph()
    plain.add_nodes_from(nodes)
    for first, second, weight in sorted((min(i, j), max(i, j), p) for i, j, p in graph.edges(data="weight")):
        plain.add_edge(first, second, weight=weight, distance=1 - math.log(min(weight, 1.0)))  # sure: 1, weak: up to 4
    if len(nodes) <= _SMALL:
        places = nx.kamada_kawai_layout(plain, pos=nx.circular_layout(plain), weight="distance")
    else:
        start = nx.spectral_layout(plain)
        jitter = np.random.default_rng(seed).normal(0, 0.02, (len(nodes), 2))  # spectral layouts pile nodes up
        start = {node: start[node] + jitter[place] for place, node in enumerate(nodes)}
        rounds = 40 if len(nodes) <= 400 else 20
        places = nx.spring_layout(plain, pos=start, seed=seed, iterations=rounds, method="force")
    points = np.array([places[node] for node in nodes])
    points = points - points.mean(0)
    # The longest direction lies flat (pages are wide); the sign is fixed, or the picture could flip between machines.
    _, _, axes = np.linalg.svd(points, full_matrices=False)
    axes = axes * np.where(np.abs(axes).max(1) == axes.max(1), 1.0, -1.0)[:, None]
    points = points @ axes.T
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return points / max(float(np.median(apart.min(1))), 1e-9)


def _pack(parts: list[list[int]], places: list[np.ndarray], count: int) -> np.ndarray:
    """Unconnected parts in centred rows like words in a text: the biggest first, nodes without any link last."""
    positions = np.zeros((count, 2))
    boxes = [np.ptp(points, axis=0) + np.array([2.0, 1.3]) for points in places]  # with room for names around it
    line = max([1.5 * math.sqrt(sum(width * height for width, height in boxes)), *(width for width, _ in boxes)],
               default=0.0)
    rows: list[list[int]] = []
    used = math.inf
    for index, (width, height) in enumerate(boxes):
        # Small parts start a row of their own rather than standing alone beside a big one.
        if used + width > line + 1e-9 or height < boxes[rows[-1][0]][1] / 3:
            rows.append([])
            used = 0.0
        rows[-1].append(index)
        used += width
    top = 0.0
    for row in rows:
        height = max(boxes[index][1] for index in row)
        left = -sum(boxes[index][0] for index in row) / 2
        for index in row:
            points, width = places[index], boxes[index][0]
            middle = (points.min(0) + points.max(0)) / 2
            positions[parts[index]] = points - middle + (left + width / 2, top - height / 2)
            left += width
        top -= height
    return positions


def _grid(count: int, image_shape: tuple[int, int] | None) -> np.ndarray:
    """Pixels in rows from the top left, with equal steps to the right and down."""
    if image_shape is None:
        width = math.ceil(math.sqrt(count))
    else:
        height, width = image_shape
        if height * width != count:
            raise ValueError(f"image_shape must have {count} pixels, got {height} x {width} = {height * width}.")
    rows, columns = np.divmod(np.arange(count), max(width, 1))
    return _fit(np.stack([columns, -rows], axis=1).astype(float))


def _fit(points: np.ndarray) -> np.ndarray:
    """Shift and scale into [-1, 1] without changing the shape."""
    if len(points) == 0:
        return points
    low, high = points.min(0), points.max(0)
    return (points - (low + high) / 2) / max((high - low).max() / 2, 1e-9)


def _backbone(weights: np.ndarray) -> nx.Graph:
    """The pairs that carry the picture: a probability worth speaking of, and no more than a few for each node."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(weights)))
    rows, columns = strongest_edges(weights, _WEAK, _EDGES_PER_NODE * len(weights)).T
    graph.add_weighted_edges_from(zip(rows.tolist(), columns.tolist(), weights[rows, columns].tolist()))
    return graph
