"""Cached reading of study records: names in, plain dictionaries and arrays out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from dashboard import network
from dashboard.evidence import Record
from dashboard.evidence_edges import Found
from dashboard.evidence_edges import square as as_square
from dashboard.names import cell
from sagvae_core.data import load_dataset
from sagvae_core.errors import expected
from sagvae_core.runs import shipped_folder
from sagvae_core.studies.reading import read_edges, read_record
from sagvae_core.studies.record import pairs

_TEXTS = ("task", "method", "setting", "metric")
_LONGEST = 120  # characters of such a text; those of our own studies have at most 60
Edges = dict[tuple[str, str, str], Found]


def studies_folder() -> Path:
    """Where records lie: the environment variable SAGVAE_STUDIES, else the shipped ones in ``assets/studies``."""
    return Path(os.environ.get("SAGVAE_STUDIES") or shipped_folder().parent / "studies")


def path(name: str) -> Path:
    """The record of that study, whether it is there or not."""
    return studies_folder() / f"{name}.json"


def record(name: str) -> Record | None:
    """The record, or None when nobody has made it here.

    Raises:
        SagvaeError: it is damaged.
    """
    file = path(name)
    return _record(str(file), file.stat().st_mtime_ns) if file.is_file() else None


@st.cache_data(max_entries=16, show_spinner=False)
def _record(file: str, stamp: int) -> Record:
    found = read_record(file)
    kinds = {"command": str, "versions": dict, "seeds": list, "seconds": int | float}
    for key, kind in kinds.items():
        if not isinstance(found[key], kind):
            raise expected(f"{key!r} of {Path(file).name}", "as a study writes it", repr(found[key]),
                           "Make the study again.")
    return found | {"rows": [row | {key: _text(row[key]) for key in _TEXTS} for row in found["rows"]]}


def _text(value: str) -> str:
    """A task, method, setting or metric as pages name it; the same for a record and for the edges beside it."""
    return cell(value, _LONGEST)


def edges(name: str) -> Edges:
    """(task, method, setting) -> the edges kept of the study; shared by all sessions, read only.

    Raises:
        SagvaeError: the file beside the record is damaged.
    """
    file = path(name).with_suffix(".safetensors")
    return _edges(str(file), file.stat().st_mtime_ns) if file.is_file() else {}


@st.cache_resource(max_entries=8, show_spinner=False)
def _edges(file: str, stamp: int) -> Edges:
    from safetensors import SafetensorError

    try:
        found = {(_text(of.task), _text(of.method), _text(of.setting)):
                 Found(kept.scores, kept.truth, kept.threshold, of.seed) for of, kept in read_edges(file).items()}
        for kept in found.values():
            if kept.scores.shape != kept.truth.shape or len(as_square(kept.scores)) < 2:
                raise ValueError("scores and truth of different lengths")
        return found
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise expected(Path(file).name, "the kept edges of a study", type(error).__name__,
                       "Make the study again; the table above doesn't need this file.") from None


@dataclass(frozen=True, eq=False)
class Club:
    """What is known of the nodes when the true graph is the karate club's."""

    names: list[str]
    groups: np.ndarray
    group_names: list[str]


@st.cache_data(max_entries=64, show_spinner=False)
def club(truth: bytes) -> Club | None:
    """The club's members if this true graph (its pairs, bool, in bytes) is theirs."""
    data = load_dataset("karate")
    if truth != pairs(data.adjacency).tobytes():
        return None
    return Club(list(data.node_names), data.node_labels, list(data.node_label_names))


@st.cache_data(max_entries=64, show_spinner=False)
def layout(truth: bytes) -> np.ndarray:
    """(N, 2): where to draw the nodes of a true graph, given as its pairs (bool, P) in bytes."""
    return network.layout(as_square(np.frombuffer(truth, dtype=bool).astype(float)))
