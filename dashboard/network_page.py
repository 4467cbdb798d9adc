"""The draggable node-link graph: one self-contained HTML page, made for ``st.iframe``.

The drawing library is vis-network, taken from the installed pyvis package. pyvis's own template is not used: it links
Bootstrap from other hosts, inserts names as HTML, inlines 220 kB of unused style sheets and lets physics push the nodes
around for seconds. Here the positions come from the server, nothing is loaded from anywhere, and names (which may come
from a stranger's CSV, in a frame with access to the app) reach the page only as JSON strings of one line that
vis-network draws on a canvas or sets as ``innerText``, or escaped in the legend. The page's own policy forbids it to
ask any host for anything, should something be overlooked.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dashboard import palette
from dashboard.edges import STEADY, shown_edges, steady_bands
from dashboard.names import ALONG, BESIDE, html_text, one_line

_TEMPLATE = Path(__file__).with_name("network_page.html")
_FEW = 60  # nodes up to which every name is written beside its node
_SPREAD = 290.0  # canvas units from the middle to the rim; vis-network fits it to the frame


def pyvis_html(probabilities: np.ndarray, threshold: float, positions: np.ndarray, names: Sequence[str] | None = None,
               groups: Sequence[int] | None = None, group_names: Sequence[str] | None = None,
               truth: np.ndarray | None = None, dark: bool = False, height: int | None = 520,
               max_edges: int = 1500, are_ranks: bool = False, steadiness: np.ndarray | None = None,
               negative: np.ndarray | None = None) -> str:
    """The page: nodes where the server put them, edges as wide as they are sure, names and probabilities on hover.

    Args:
        probabilities: (N, N).
        threshold: only edges with p > threshold are drawn.
        positions: (N, 2) from ``network.layout``, y upwards.
        names: N labels, untrusted.
        groups: N group numbers for the colours of the nodes.
        group_names: a name for each group number, for the legend; untrusted.
        truth: (N, N); if given, edges are coloured as hit, miss and false edge, and missed edges are drawn too.
        dark: the page around it is dark.
        height: of the frame in pixels; None for a page of its own, which fills its window.
        max_edges: beyond it only the most probable edges are drawn, and the page says so.
        are_ranks: the probabilities say only which pair is surer than which; no edge shows its own.
        steadiness: (N, N) in [0, 1], how opaque the edges are where that is not how sure they are; not with ``truth``.
        negative: bool (N, N), the pairs that go in opposite directions; not with ``truth``.

    Returns:
        HTML of about 0.5 MB, nearly all of it the library.
    """
    probabilities = np.asarray(probabilities, dtype=float)
    count = len(probabilities)
    names = [str(node) for node in range(count)] if names is None else [one_line(name) for name in names]
    groups = [0] * count if groups is None else [int(group) for group in groups]
    edges, total, kinds = _edges(probabilities, threshold, names, truth, dark, max_edges, are_ranks, steadiness,
                                 negative)
    nodes = _nodes(probabilities, threshold, np.asarray(positions, dtype=float), names, groups, group_names, dark)
    shown = f"{len(edges)} edges" if len(edges) == total else f"the {len(edges)} surest of {total} edges"
    values = {
        "TITLE": html_text(f"Network of {count} nodes, {shown}"),
        "NOTE": html_text("" if len(edges) == total else shown),
        "LEGEND": _legend(groups, group_names, kinds, dark),
        "HEIGHT": "100vh" if height is None else f"{int(height)}px", "INK": palette.ink(dark),
        "MUTED": palette.muted(dark), "PAGE": palette.page(dark), "HAIRLINE": palette.hairline(dark),
        "ACCENT": palette.accent(dark), "DATA": _embed({"nodes": nodes, "edges": edges}),
        "LIBRARY": _vis_network(),
    }
    # One pass over the template: a name that spells a placeholder must stay a name.
    parts = _TEMPLATE.read_text(encoding="utf-8").split("@@")
    parts[1::2] = [values[key] for key in parts[1::2]]
    return "".join(parts)


def _nodes(probabilities: np.ndarray, threshold: float, positions: np.ndarray, names: list[str], groups: list[int],
           group_names: Sequence[str] | None, dark: bool) -> list[dict[str, Any]]:
    """vis-network's nodes; the well connected are larger."""
    linked = probabilities > threshold
    np.fill_diagonal(linked, False)
    degrees = linked.sum(1)
    largest = max(int(degrees.max(initial=0)), 1)
    base = float(np.clip(70 / np.sqrt(max(len(names), 1)), 3, 10))
    inside = len(names) <= _FEW and max(map(len, names), default=0) <= 3  # as in figures_graph
    nodes = []
    for node, (name, group, degree) in enumerate(zip(names, groups, degrees.tolist())):
        color = palette.group_color(group)
        size = 12.0 if inside else round(base * (0.75 + 0.75 * (degree / largest) ** 0.5), 1)
        group_line = f"\n{_group_name(group, group_names)}" if group_names is not None else ""
        nodes.append({
            "id": node, "x": round(float(positions[node, 0]) * _SPREAD, 1),
            "y": round(-float(positions[node, 1]) * _SPREAD, 1),
            **_label(name, color, size if inside else None, len(names)),
            "title": f"{name}{group_line}\n{degree} {'edge' if degree == 1 else 'edges'}",
            "size": size,
            "color": {"background": color, "border": palette.page(dark),
                      "highlight": {"background": color, "border": palette.accent(dark)},
                      "hover": {"background": color, "border": palette.ink(dark)}},
        })
    return nodes


def _label(name: str, color: str, size: float | None, count: int) -> dict[str, Any]:
    """Short names inside the nodes (of this size), longer ones below, none where there are too many to read."""
    if count > _FEW:
        return {}
    if size is not None:
        # vis-network writes below a dot, and its shapes with text inside all differ in size: lift the text instead.
        return {"label": name, "font": {"color": palette.ink_on(color), "size": 12, "strokeWidth": 0,
                                        "vadjust": -(size + 15)}}
    return {"label": one_line(name, BESIDE)}


def _edges(probabilities: np.ndarray, threshold: float, names: list[str], truth: np.ndarray | None, dark: bool,
           limit: int, are_ranks: bool, steadiness: np.ndarray | None,
           negative: np.ndarray | None) -> tuple[list[dict[str, Any]], int, list[str]]:
    """vis-network's edges, how many there would be without the limit, and which kinds occur."""
    styles = palette.edge_styles(dark)
    pairs, kinds, total = shown_edges(probabilities, threshold, truth, limit, negative)
    steady = None if steadiness is None else np.array(STEADY)[steady_bands(steadiness)]
    edges = []
    for (first, second), kind in zip(pairs.tolist(), kinds.tolist()):
        probability = float(probabilities[first, second])
        edge: dict[str, Any] = {
            "from": first, "to": second,
            "title": f"{names[first]} – {names[second]}" + ("" if are_ranks else f"\n{100 * probability:.0f} % sure"),
            "width": 1.4 if kind == "miss" else round(0.5 + 2.7 * probability**2, 2),
        }
        if kind:
            edge["title"] += f"\n{styles[kind].label}"
            if kind != "hit":
                edge["dashes"] = [2, 5] if kind == "miss" else [9, 5]
        opacity = 0.85
        if kind not in palette.EDGE_KINDS:
            opacity = 0.25 + 0.55 * probability if steady is None else float(steady[first, second])
        edge["color"] = {"color": styles[kind].color if kind else palette.muted(dark), "opacity": round(opacity, 2)}
        edges.append(edge)
    return edges, total, [kind for kind in styles if kind in set(kinds.tolist())]


def _legend(groups: list[int], group_names: Sequence[str] | None, kinds: list[str], dark: bool) -> str:
    """Groups as dots, kinds of edges as little lines; empty where there is nothing to tell apart."""
    items = []
    if group_names is not None:
        for group in sorted(set(groups))[:8]:
            items.append(f'<li><i style="background:{palette.group_color(group)}"></i>'
                         f"{html_text(_group_name(group, group_names), ALONG)}</li>")
    for kind in kinds:
        style = palette.edge_styles(dark)[kind]
        dash = {"solid": "", "dot": "1 4", "dash": "6 4"}[style.dash]
        items.append(f'<li><svg width="26" height="8" aria-hidden="true"><line x1="1" y1="4" x2="25" y2="4" '
                     f'stroke="{style.color}" stroke-width="2.2" stroke-linecap="round" stroke-dasharray="{dash}"/>'
                     f"</svg>{html_text(style.label)}</li>")
    return "".join(items)


def _group_name(group: int, group_names: Sequence[str] | None) -> str:
    if group_names is not None and 0 <= group < len(group_names):
        return one_line(group_names[group], ALONG)
    return f"group {group}"


def _embed(value: Any) -> str:
    """JSON that stays data inside ``<script>``: no character of it can end the element or a JavaScript string."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache(maxsize=1)
def _vis_network() -> str:
    """The library's text. pyvis itself is not imported: that takes half a second for IPython."""
    found = importlib.util.find_spec("pyvis")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("The draggable network needs pyvis: pip install pyvis.")
    path = Path(found.submodule_search_locations[0]) / "lib" / "vis-9.1.2" / "vis-network.min.js"
    return path.read_text(encoding="utf-8")
