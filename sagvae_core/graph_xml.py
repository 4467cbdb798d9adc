"""A graph as GraphML and GEXF, for networkx, Gephi, Cytoscape and igraph; and what such a GraphML says of edges.

Written here and not by networkx, which takes 6 s and a tree of the whole document for 100,000 edges, gives special
meanings to attributes of some names, and drops a graph's own attributes from GEXF.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from .errors import SagvaeError, expected, reason
from .file_text import storable


class Column(NamedTuple):
    """One attribute of all nodes or all edges: its XML type and the values as text, None where there is none."""

    kind: str
    texts: list[str | None]


@dataclass(frozen=True)
class Document:
    """What both formats hold. Nodes are numbered from 0, so that two of one name stay two.

    Attributes:
        labels: a name for each of the N nodes.
        nodes: attribute -> N values.
        pairs: (E, 2) int, the edges.
        edges: attribute -> E values; of these "weight" is also GEXF's own.
        about: attributes of the graph itself.
    """

    labels: list[str]
    nodes: Mapping[str, Column]
    pairs: np.ndarray
    edges: Mapping[str, Column]
    about: Mapping[str, Column]


def column(values: Iterable[object]) -> Column:
    """The values with the narrowest type that holds them all; None and what is not finite are left out."""
    values = [None if isinstance(value, Real) and (value != value or abs(value) == inf) else value for value in values]
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool | np.bool_) for value in present):
        return Column("boolean", [None if value is None else str(bool(value)).lower() for value in values])
    plain = not any(isinstance(value, bool | np.bool_) for value in present)
    for kind, type_ in (("long", Integral), ("double", Real)):
        if plain and all(isinstance(value, type_) for value in present):
            return Column(kind, [None if value is None else str(value) for value in values])
    return Column("string", [None if value is None else storable(value) for value in values])


def graphml(document: Document) -> bytes:
    """GraphML 1.0, an undirected graph; names are the nodes' attribute "label"."""
    scopes = {"graph": document.about, "node": {"label": Column("string", document.labels), **document.nodes},
              "edge": document.edges}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    for scope, columns in scopes.items():
        lines += [f'<key id="{scope[0]}{place}" for="{scope}" attr.name={_quoted(name)} attr.type="{kind}"/>'
                  for place, (name, (kind, _)) in enumerate(columns.items())]
    lines.append('<graph edgedefault="undirected">')
    lines += _data("g", scopes["graph"], 1)
    for node, data in enumerate(_data("n", scopes["node"], len(document.labels))):
        lines.append(f'<node id="{node}">{data}</node>')
    for (source, target), data in zip(document.pairs.tolist(), _data("e", scopes["edge"], len(document.pairs))):
        lines.append(f'<edge source="{source}" target="{target}">{data}</edge>')
    return _encoded([*lines, "</graph>", "</graphml>"])


def gexf(document: Document) -> bytes:
    """GEXF 1.2, an undirected graph; the graph's own attributes are the description in its head."""
    said = "; ".join(f"{name}: {texts[0]}" for name, (_, texts) in document.about.items() if texts[0] is not None)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">',
             f"<meta><description>{_escaped(storable(said))}</description></meta>",
             '<graph defaultedgetype="undirected" mode="static">']
    edges = {name: column for name, column in document.edges.items() if name != "weight"}
    for scope, columns in (("node", document.nodes), ("edge", edges)):
        titles = "".join(f'<attribute id="{place}" title={_quoted(name)} type="{kind}"/>'
                         for place, (name, (kind, _)) in enumerate(columns.items()))
        lines.append(f'<attributes class="{scope}" mode="static">{titles}</attributes>')
    lines.append("<nodes>")
    for node, (label, values) in enumerate(zip(document.labels, _values(document.nodes, len(document.labels)))):
        lines.append(f'<node id="{node}" label={_quoted(label)}>{values}</node>')
    lines += ["</nodes>", "<edges>"]
    weights = document.edges["weight"].texts if "weight" in document.edges else [None] * len(document.pairs)
    ends = zip(document.pairs.tolist(), weights, _values(edges, len(document.pairs)))
    for number, ((source, target), weight, values) in enumerate(ends):
        own = "" if weight is None else f' weight="{weight}"'
        lines.append(f'<edge id="{number}" source="{source}" target="{target}"{own}>{values}</edge>')
    return _encoded([*lines, "</edges>", "</graph>", "</gexf>"])


def _data(prefix: str, columns: Mapping[str, Column], count: int) -> list[str]:
    """GraphML's elements of ``count`` nodes, edges or graphs."""
    written = [[None if text is None else f'<data key="{prefix}{place}">{_escaped(text)}</data>' for text in texts]
               for place, (_, texts) in enumerate(columns.values())]
    return ["".join(filter(None, row)) for row in zip(*written)] if written else [""] * count


def _values(columns: Mapping[str, Column], count: int) -> list[str]:
    """GEXF's elements of ``count`` nodes or edges."""
    written = [[None if text is None else f'<attvalue for="{place}" value={_quoted(text)}/>' for text in texts]
               for place, (_, texts) in enumerate(columns.values())]
    if not written:
        return [""] * count
    return [f"<attvalues>{''.join(filter(None, row))}</attvalues>" for row in zip(*written)]


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # as it stands, XML reads it as a line feed


def _quoted(text: str) -> str:
    return quoteattr(storable(text))


def _encoded(lines: list[str]) -> bytes:
    return "\n".join([*lines, ""]).encode()


def read_graphml(data: bytes) -> tuple[list[str], list[tuple[int, int]]]:
    """The nodes and the edges of a GraphML file, without directions, weights and all else that it holds.

    A node's name is its attribute "label" or "name", and else its id. A file with a document type is refused: its
    entities could grow without end or fetch other files.

    Returns:
        A name for each node, and each edge as the numbers of its two nodes.

    Raises:
        SagvaeError: it is no GraphML, has a document type, or an edge has an end that is no node.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(data, True)
    except SagvaeError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: encodings that Python has not
        raise expected("the graph", "GraphML", reason(error), "Export it anew from the program that made it.") from None
    return reader.found()


class _Reader:
    """What the parser meets on its way through a GraphML file."""

    def __init__(self) -> None:
        self.named: set[str] = set()  # keys of attributes that hold names
        self.names: dict[str, str | None] = {}
        self.ends: list[tuple[str | None, str | None]] = []
        self.inside: str | None = None  # the id of the node that is being read
        self.letters: list[str] | None = None
        self.is_graphml = False

    def refuse(self, *_) -> None:
        """Called at a document type."""
        raise expected("the graph", "GraphML without a document type", "<!DOCTYPE …>", "Remove that line.")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Called where an element begins."""
        tag = tag.rpartition(" ")[2]
        if tag == "graphml":
            self.is_graphml = True
        elif tag == "key" and attributes.get("attr.name") in ("label", "name") and "id" in attributes:
            self.named.add(attributes["id"])
        elif tag == "node" and "id" in attributes:
            self.inside = attributes["id"]
            self.names[self.inside] = None
        elif tag == "edge":
            self.ends.append((attributes.get("source"), attributes.get("target")))
        elif tag == "data" and self.inside is not None and attributes.get("key") in self.named:
            self.letters = []

    def text(self, letters: str) -> None:
        """Called with text."""
        if self.letters is not None:
            self.letters.append(letters)

    def end(self, tag: str) -> None:
        """Called where an element ends."""
        tag = tag.rpartition(" ")[2]
        if tag == "node":
            self.inside = None
        elif tag == "data" and self.letters is not None and self.inside is not None:
            self.names[self.inside] = "".join(self.letters)
            self.letters = None

    def found(self) -> tuple[list[str], list[tuple[int, int]]]:
        """Nodes and edges, once all was read."""
        if not self.is_graphml:
            raise expected("the graph", "GraphML", "XML of another kind", "Export it as GraphML.")
        numbers = {identity: number for number, identity in enumerate(self.names)}
        for ends in self.ends:
            for end in ends:
                if end not in numbers:
                    raise expected("each end of an edge in the graph", "the id of a node", repr(end),
                                   "Export it anew from the program that made it.")
        names = [identity if name is None else name for identity, name in self.names.items()]
        return names, [(numbers[source], numbers[target]) for source, target in self.ends]
