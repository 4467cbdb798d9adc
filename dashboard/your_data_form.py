"""The form of the page Your data: a table, what its columns are, and how relations are looked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import jobs, parts, state
from dashboard.names import SENTENCE, cell, one_line, plain
from sagvae_core.errors import SagvaeError
from sagvae_core.relation_fits import METHODS
from sagvae_core.relation_runs import RelationRun
from sagvae_core.runs import free_name, runs_folder
from sagvae_core.tables import EXAMPLES, KINDS, LEFT_OUT, Limits, Table, example_frame, read_frame, recognise

UPLOAD = "upload"
SOURCES = {UPLOAD: "Your own"} | {name: example.title for name, example in EXAMPLES.items()}
RESAMPLES = {0: "none", 20: "20", 50: "50"}
_LIMITS = Limits()
_MOST = _LIMITS.bytes // 10**6  # MB of an upload
_ROW, _TALLEST = 35, 420  # CSS pixels


@st.fragment  # kinds are changed cell by cell: nothing else is drawn again for it
def new_fit() -> None:
    """The form and its button."""
    with parts.guard():
        source = parts.one_of("Table", list(SOURCES), "table_source", format_func=SOURCES.get)
        chosen = _uploaded() if source == UPLOAD else _example(source)
        if chosen is None:
            return
        name, key, frame, notes = chosen
        _fit_form(name, _recognised(name, key, frame, notes))


def _uploaded() -> tuple[str, str, pd.DataFrame, tuple[str, ...]] | None:
    """Name, key, frame and notes of the file that is there."""
    file = st.file_uploader(
        f"CSV, TSV or Parquet, a row for each observation and a header: at most {_MOST} MB, {_LIMITS.rows:,} rows and "
        f"{_LIMITS.columns:,} columns", ["csv", "tsv", "tab", "txt", "gz", "parquet", "pq"], key="table_file",
        max_upload_size=_MOST, help="It is read on this machine and goes nowhere else. A fit keeps the columns that it "
        "uses in its folder of runs, until you delete it.")
    if file is None:
        return None
    return file.name, file.file_id, *_frame(file.file_id, file.name, file)


@st.cache_resource(max_entries=4, show_spinner="Reading the table …")
def _frame(key: str, name: str, _file: Any) -> tuple[pd.DataFrame, tuple[str, ...]]:
    return read_frame(_file.getvalue(), name)


@st.cache_resource(show_spinner=False)
def _example(source: str) -> tuple[str, str, pd.DataFrame, tuple[str, ...]]:
    return source, source, example_frame(source), (EXAMPLES[source].words,)


@st.cache_resource(max_entries=4, show_spinner=False)
def _first_look(key: str, _frame: pd.DataFrame) -> Table:
    return recognise(_frame)


def _recognised(name: str, key: str, frame: pd.DataFrame, notes: tuple[str, ...]) -> Table | None:
    """The table with the kinds that a person chose; None, with a sentence, where a column cannot be what it shall."""
    table = _first_look(key, frame)
    gone = len(table.columns) - len(table.names)
    st.caption(plain(f"{name}: {table.rows:,} rows, {len(table.columns):,} columns"
                     + (f", of which {gone:,} {'is' if gone == 1 else 'are'} left out." if gone else "."), SENTENCE))
    for note in (*notes, *table.notes):
        st.caption(plain(note, SENTENCE))
    kinds = _edited(table, key)
    wishes = {column.name: kind for column, kind in zip(table.columns, kinds) if kind != column.kind}
    try:
        wished = recognise(frame, wishes) if wishes else table
        return replace(wished, notes=(*notes, *wished.notes))
    except SagvaeError as error:
        parts.complain(error)
        return None


def _examples(values: Sequence[str]) -> str:
    """Values of a column side by side; those of numbers begin with their minus."""
    try:
        float(values[0])
    except (IndexError, ValueError):
        return cell(", ".join(values))
    return one_line(", ".join(values))


def _edited(table: Table, key: str) -> list[str]:
    """The kind of every column, as it was recognised or changed in the preview."""
    shown = pd.DataFrame({
        "Column": [cell(column.name) for column in table.columns], "Kind": [column.kind for column in table.columns],
        "Why": [one_line(column.reason, 200) for column in table.columns],
        "Missing": [column.missing for column in table.columns],
        "Distinct": [column.distinct for column in table.columns],
        "Examples": [_examples(column.examples) for column in table.columns]})
    edited = st.data_editor(
        shown, key=f"kinds_{key}", hide_index=True, width="stretch", height=min(_TALLEST, _ROW * (len(shown) + 1) + 3),
        disabled=["Column", "Why", "Missing", "Distinct", "Examples"], column_config={
            "Kind": st.column_config.SelectboxColumn(
                options=[*KINDS, LEFT_OUT], required=True,
                help="What the column is. Change it where it was recognised wrongly; what is left out is not fitted.")})
    return edited["Kind"].tolist()


def _fit_form(source: str, table: Table | None) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        methods = st.pills("Methods", list(METHODS), selection_mode="multi", default=["sagvae"], key="fit_methods",
                           format_func=METHODS.get, help="SAG-VAE is the main one; the others are there to compare.")
        resamples = parts.one_of("Resamples", list(RESAMPLES), "fit_resamples", 20, format_func=RESAMPLES.get,
                                 help="Fits to random halves of the rows. They say how often each pair is chosen, and "
                                      "bound how many edges are false. More take longer.")
    left, right = st.columns([1, 4], vertical_alignment="center")
    start = left.button("Find relations", type="primary", icon=":material/play_arrow:", width="stretch",
                        key="fit_start", disabled=table is None or not methods)
    ahead = len(jobs.active())
    right.caption(_cost(table, len(methods), resamples) + (
        f" {ahead} {'run works or waits' if ahead == 1 else 'runs work or wait'} already: yours starts by itself "
        "after those on the CPU." if ahead else ""))
    if start and table is not None and methods:
        ordered = tuple(method for method in METHODS if method in methods)
        run = RelationRun.create(runs_folder(), _run_name(source), table, one_line(source), ordered, resamples)
        jobs.resume(run)
        st.session_state[state.FIT_NEXT] = run.name
        st.toast(f"{plain(run.name)} has started. Where it is stands below.", icon=":material/play_arrow:")
        st.rerun()


def _cost(table: Table | None, methods: int, resamples: int) -> str:
    if table is None or not methods:
        return "Choose a method." if table is not None else "Change the kind that a column cannot have."
    gaps = table.rows - int(table.complete.sum())
    fits = methods * (1 + resamples)
    said = f"{len(table.names):,} columns, {fits:,} {'fit' if fits == 1 else 'fits'}, in a process of its own."
    return said + (f" {gaps:,} rows have gaps: SAG-VAE learns from what is there, the others drop them."
                   if gaps else "")


def _run_name(source: str) -> str:
    """A free name for a run of this table."""
    stem = PurePath(source).name.split(".")[0]
    return free_name(runs_folder(), re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:50] or "table")
