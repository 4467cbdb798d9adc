"""Study records -> what the Evidence page shows. Pure: dictionaries in, lines and numbers out.

Nothing here knows a number or a task. It knows how studies name things: a method that begins with "SAG-VAE" is ours,
"candidate: ..." is one of the models our label-free choice chooses among, "oracle: ..." and "reference: ..." are no
competitors, because they see more than the data, nor is "tried: ...", a change to ours that was not kept, "paper: ..."
was measured by nobody here, all others are baselines; a setting that begins with "density " says what a method was told
about the number of edges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dashboard.names import cell

OURS, CANDIDATE, BASELINE, REFERENCE, PAPER = "ours", "candidate", "baseline", "reference", "paper"
ALL_SIZES = "all sizes"
_PREFIXES = {"candidate: ": CANDIDATE, "oracle: ": REFERENCE, "reference: ": REFERENCE, "tried: ": REFERENCE,
             "paper: ": PAPER}
_SIZE = re.compile(r"^(?P<family>.+?), (?P<size>\d+ nodes(, \d+ rows)?|\d+ rows)$")
_VARIANTS = {"data-wise": "per sample", "per sample": "per sample", "10 %": "10 %", "10%": "10 %"}

Value = tuple[float, float | None, int | None]  # mean, standard deviation, how many it was taken over
Record = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of a task's table: what a method reached with one setting, and what the paper says of it.

    The label is no formula where somebody saves the table as CSV."""

    label: str
    method: str
    setting: str
    kind: str
    values: dict[str, Value] = field(default_factory=dict)
    paper: dict[str, float] = field(default_factory=dict)


# ---------------------------------------------------------------------------------------------------- names

def kind_of(method: str) -> str:
    """Whose method it is: ``OURS``, ``CANDIDATE``, ``BASELINE``, ``REFERENCE`` or ``PAPER``."""
    for prefix, kind in _PREFIXES.items():
        if method.startswith(prefix):
            return kind
    return OURS if method.startswith("SAG-VAE") else BASELINE


def plain(method: str) -> str:
    """The method's name without the prefix that says whose it is; an oracle or reference is called one."""
    if kind_of(method) == REFERENCE:
        return method[0].upper() + method[1:]
    return next((method.removeprefix(prefix) for prefix in _PREFIXES if method.startswith(prefix)), method)


def _identity(method: str) -> tuple[str, str]:
    """What the paper and we call differently but is the same: "SAG-VAE (data-wise)" and "SAG-VAE, per sample"."""
    text = plain(method).lower()
    return re.split(r"\s*[(,:]", text)[0], next((name for key, name in _VARIANTS.items() if key in text), "")


def family_and_size(task: str) -> tuple[str, str]:
    """``"gmrf-er, 40 nodes, 1000 rows"`` -> the task's name and its size; a task without a size has the size ""."""
    match = _SIZE.match(task)
    return (match["family"], match["size"]) if match else (task, "")


def tasks(record: Record) -> list[str]:
    """All tasks that somebody was measured on, in the record's order."""
    return list(dict.fromkeys(row["task"] for row in record["rows"] if kind_of(row["method"]) != PAPER))


def metrics(record: Record) -> list[str]:
    """All metrics of the record, in its order."""
    return list(dict.fromkeys(row["metric"] for row in record["rows"]))


def knowledge(record: Record, task: str | None = None) -> list[str]:
    """What methods were told on that task (or anywhere), "density known" before others; empty where it makes none."""
    found = dict.fromkeys(row["setting"] for row in record["rows"] if task in (None, row["task"])
                          and row["setting"].startswith("density ") and kind_of(row["method"]) != PAPER)
    return sorted(found, key=lambda name: name != "density known")


def applies(setting: str, told: str | None) -> bool:
    """Whether a row of that setting belongs to a table of what ``told`` says; a setting about other things always."""
    return told is None or setting == told or not setting.startswith("density ")


# ---------------------------------------------------------------------------------------------------- tables

def lines(record: Record, task: str, told: str | None = None, candidates: bool = True) -> list[Line]:
    """The table of one task: ours first, then candidates, baselines and references in the record's order, the paper's
    numbers beside the method they belong to; those for a method that nobody ran make a line of their own."""
    rows = [row for row in record["rows"] if row["task"] == task and applies(row["setting"], told)]
    paper: dict[tuple[str, str], dict[str, float]] = {}
    names: dict[tuple[str, str], str] = {}
    found: dict[tuple[str, str], dict[str, Value]] = {}
    for row in rows:
        if kind_of(row["method"]) == PAPER:
            names.setdefault(_identity(row["method"]), row["method"])
            paper.setdefault(_identity(row["method"]), {})[row["metric"]] = row["mean"]
        elif candidates or kind_of(row["method"]) != CANDIDATE:
            found.setdefault((row["method"], row["setting"]), {})[row["metric"]] = (row["mean"], row["sd"], row["n"])
    methods = {method for method, _ in found if kind_of(method) != REFERENCE}
    settings = {setting for method, setting in found if kind_of(method) != REFERENCE}
    unmatched = dict(paper)
    result = []
    for (method, setting), values in found.items():
        beside = paper.get(_identity(method), {}) if kind_of(method) != CANDIDATE else {}
        unmatched.pop(_identity(method), None)
        label = plain(method)
        if setting and len(settings) > 1:
            label = setting if len(methods) == 1 else f"{label}, {setting}"
        result.append(Line(cell(label), method, setting, kind_of(method), values, beside))
    order = (OURS, CANDIDATE, BASELINE, REFERENCE)
    result.sort(key=lambda line: order.index(line.kind))  # stable: the record's order otherwise
    return result + [Line(cell(plain(names[key])), names[key], "", PAPER, {}, values)
                     for key, values in unmatched.items()]


def text(value: Value | None, digits: int = 3) -> str:
    """``0.962 ± 0.011``; without a spread the mean alone, without a value nothing."""
    if value is None:
        return ""
    mean, sd, _ = value
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")


def sizes(record: Record) -> list[str]:
    """The sizes that tasks come in, ``ALL_SIZES`` first where there are several."""
    found = list(dict.fromkeys(family_and_size(task)[1] for task in tasks(record)))
    return [ALL_SIZES, *found] if len(found) > 1 else found


@dataclass(frozen=True)
class Grid:
    """Methods x families of tasks of one metric: ``values`` (methods, families), NaN where nothing was measured;
    ``counts`` (families,) says how many tasks each family has."""

    methods: list[str]
    labels: list[str]
    families: list[str]
    values: np.ndarray
    counts: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """(methods,): over all tasks; NaN for a method that lacks one, whose mean would be of other tasks."""
        return self.values @ self.counts / self.counts.sum() if self.families else np.full(len(self.methods), np.nan)


def grid(record: Record, metric: str, told: str | None = None, size: str = ALL_SIZES,
         kinds: Sequence[str] = (OURS, BASELINE)) -> Grid:
    """One metric of the tasks of that size (of all sizes: its mean over them), ours first."""
    chosen = [task for task in tasks(record) if size in (ALL_SIZES, family_and_size(task)[1])]
    families = list(dict.fromkeys(family_and_size(task)[0] for task in chosen))
    cells: dict[str, dict[str, dict[str, float]]] = {}  # label -> family -> task -> mean
    methods: dict[str, str] = {}
    for task in chosen:
        for line in lines(record, task, told):
            if line.kind in kinds and metric in line.values:
                methods.setdefault(line.label, line.method)
                family = cells.setdefault(line.label, {}).setdefault(family_and_size(task)[0], {})
                family[task] = line.values[metric][0]
    per_family = {family: sum(family_and_size(task)[0] == family for task in chosen) for family in families}
    values = np.array([[np.mean(list(cells[label][family].values()))
                        if len(cells[label].get(family, ())) == per_family[family] else np.nan
                        for family in families] for label in methods]).reshape(len(methods), len(families))
    order = sorted(range(len(methods)), key=lambda place: kinds.index(kind_of(list(methods.values())[place])))
    labels = list(methods)
    return Grid([methods[labels[place]] for place in order], [labels[place] for place in order], families,
                values[order], np.array(list(per_family.values()), dtype=float))


@dataclass(frozen=True)
class Dot:
    """One value of a task in a dot plot, with its spread and the lines of its hover."""

    family: str
    size: str
    value: float
    sd: float | None
    words: tuple[str, ...] = ()


def gains(record: Record, metric: str, told: str | None = None, size: str = ALL_SIZES) -> list[Dot]:
    """Ours minus the best baseline of each task; the spread is that of a difference of independent means."""
    dots = []
    for task in tasks(record):
        family, own_size = family_and_size(task)
        rows = [line for line in lines(record, task, told, candidates=False) if metric in line.values]
        ours = next((line for line in rows if line.kind == OURS), None)
        others = [line for line in rows if line.kind == BASELINE]
        if size not in (ALL_SIZES, own_size) or ours is None or not others:
            continue
        best = max(others, key=lambda line: line.values[metric][0])
        (mean, sd, _), (other, other_sd, _) = ours.values[metric], best.values[metric]
        spread = None if sd is None or other_sd is None else float(np.hypot(sd, other_sd))
        dots.append(Dot(family, own_size, mean - other, spread,
                        tuple(f"{line.label} {text(line.values[metric])}" for line in (ours, best))))
    return dots


def with_candidates(record: Record) -> Record:
    """The record with a method of its own for each variant ours chose among, from ``average_precision_VARIANT``."""
    prefix = "average_precision_"
    return record | {"rows": record["rows"] + [
        row | {"method": "candidate: " + row["metric"].removeprefix(prefix), "metric": prefix.removesuffix("_")}
        for row in record["rows"] if row["metric"].startswith(prefix)]}


def losses(record: Record, metric: str, told: str | None = None, size: str = ALL_SIZES) -> list[Dot]:
    """A regret metric of every task."""
    return [Dot(*family_and_size(row["task"]), row["mean"], row["sd"], (plain(row["method"]),))
            for row in record["rows"] if row["metric"] == metric and applies(row["setting"], told)
            and size in (ALL_SIZES, family_and_size(row["task"])[1])]


def mean_value(dots: Sequence[Dot]) -> float | None:
    """The mean of their values; None of no dots."""
    return float(np.mean([dot.value for dot in dots])) if dots else None


def place_among(record: Record, line: Line) -> int:
    """The number of a method among those of its kind: its colour, whatever the task."""
    methods = dict.fromkeys(row["method"] for row in record["rows"] if kind_of(row["method"]) == line.kind)
    return list(methods).index(line.method)


def seeds_text(seeds: Sequence[int]) -> str:
    """``10 seeds, 100 to 109``."""
    if len(seeds) < 2:
        return f"Seed {seeds[0]}" if seeds else "No seeds"
    if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{len(seeds)} seeds, {seeds[0]} to {seeds[-1]}"
    return f"{len(seeds)} seeds: " + ", ".join(map(str, seeds))
