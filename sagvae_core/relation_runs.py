"""The folder of a run of relations: one table on disk, and what each method found in it.

    <name>/relations.json     whose table, the kinds of its columns, methods and settings
           table.parquet      the columns that are kept, as numbers
           status.json        state, process, progress, error; replaced atomically
           first-METHOD.npz   what a method found in all rows, while its resamples are fitted
           graph-METHOD.npz   what a method found, once it is done
           request, log.txt   as of a training

A run folder stands beside those of trainings, has its name by the same rules, and waits in the same line.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint import read_json, write_bytes, write_json
from .errors import SagvaeError, expected
from .graph_files import RelationGraph, write_graph
from .relation_arrays import read_graph_arrays
from .relation_fits import METHODS, MISSING
from .run_folder import SETTINGS, RunFolder, is_of_relations
from .run_names import is_name
from .run_status import Status
from .runs import new_folder, runs_folder, shipped_folder

if TYPE_CHECKING:
    from .tables import Table

MOST_RESAMPLES = 1000
_FILE, _TABLE = SETTINGS["relations"]
_TABLE_BYTES = 400_000_000  # the largest table that is read from a CSV has 160 MB as numbers
_REMEDY = "The file is damaged: delete the run, and fit the table again."


@dataclass(frozen=True)
class RelationSettings:
    """What is fitted to a table, and what became of its columns.

    Attributes:
        source: what the table's file was called.
        kinds: name -> kind of every column that is kept, in their order.
        left_out: name -> reason of the others.
        notes: what was assumed while reading, a sentence each.
        methods: keys of :data:`~.relation_fits.METHODS`, each once, in the order in which they are fitted.
        resamples: even, at most 1,000. seed: of them, and of the model. missing: see
            :func:`~.relation_fits.fit_relations`; "auto" where there are several methods.

    Raises:
        SagvaeError: one of these is something else.
    """

    source: str
    kinds: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("sagvae",)
    resamples: int = 0
    seed: int = 0
    missing: str = "auto"

    def __post_init__(self) -> None:
        texts = [self.source, *self.notes, *(text for part in (self.kinds, self.left_out) if isinstance(part, Mapping)
                                             for item in part.items() for text in item)]
        if not (isinstance(self.kinds, Mapping) and isinstance(self.left_out, Mapping)) or not all(
                isinstance(text, str) for text in texts):
            raise expected(f"source, kinds, left_out and notes in {_FILE}", "text", "something else", _REMEDY)
        if not self.methods or len(set(self.methods)) < len(self.methods) or set(self.methods) - set(METHODS):
            raise expected("methods", f"one or more of {', '.join(METHODS)}, each once", ", ".join(self.methods)
                           or "none")
        for name, most in (("resamples", MOST_RESAMPLES), ("seed", 2**32 - 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise expected(name, f"a whole number from 0 to {most:,}", repr(value)[:80])
        if self.resamples % 2:
            raise expected("resamples", "even, since a split gives two halves", self.resamples)
        if self.missing not in MISSING or (self.missing == "model" and self.methods != ("sagvae",)):
            raise expected("missing", "'auto' or 'complete', or of 'sagvae' alone 'model'", repr(self.missing)[:80])

    @classmethod
    def from_dict(cls, values: Any) -> RelationSettings:
        """Settings as they stand in a file.

        Raises:
            SagvaeError: they are none.
        """
        names = {entry.name for entry in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise expected(_FILE, f"an object with {', '.join(sorted(names))}", "another", _REMEDY)
        for name in ("methods", "notes"):
            if not isinstance(values[name], list) or not all(isinstance(text, str) for text in values[name]):
                raise expected(f"{name} in {_FILE}", "a list of texts", "something else", _REMEDY)
        return cls(**values | {name: tuple(values[name]) for name in ("methods", "notes")})


class RelationRun(RunFolder):
    """One fit of relations, made and read alike by the command line and the dashboard."""

    @classmethod
    def create(cls, root: Path | str, name: str, table: Table, source: str, methods: tuple[str, ...] = ("sagvae",),
               resamples: int = 0, seed: int = 0, missing: str = "auto") -> RelationRun:
        """A new queued run of a table.

        Args:
            root: the folder of runs. name: of the new one.
            table, source: what is fitted, and what its file was called.
            methods, resamples, seed, missing: see :class:`RelationSettings`.

        Raises:
            SagvaeError: the name is taken or none, a setting is out of its range, or the folder cannot be written.
        """
        from .tables import LEFT_OUT

        settings = RelationSettings(
            source, dict(zip(table.names, table.kinds)),
            {column.name: column.reason for column in table.columns if column.kind == LEFT_OUT},
            table.notes, methods, resamples, seed, missing)
        run = cls(new_folder(root, name))
        write_json(run.folder / _FILE, dataclasses.asdict(settings))
        write_bytes(run.folder / _TABLE, _parquet(table))
        run.write_status(Status(created=time.time(), total_steps=len(methods) * (1 + resamples)))
        return run

    @property
    def settings(self) -> RelationSettings:
        """Raises SagvaeError where they are missing or damaged."""
        return RelationSettings.from_dict(read_json(self.folder / _FILE))

    @property
    def table(self) -> Table:
        """The columns that are kept, checked as those of any file.

        Raises:
            SagvaeError: the file is missing, damaged, or another table's.
        """
        from .tables import Limits, read_table

        kinds = self.settings.kinds
        table = read_table(self.folder / _TABLE, kinds=kinds, limits=Limits(bytes=_TABLE_BYTES))
        if dict(zip(table.names, table.kinds)) != kinds or table.names != tuple(kinds):
            raise expected(_TABLE, f"the table of {_FILE}", "one of other columns", _REMEDY)
        return table

    @property
    def elapsed(self) -> float:
        """Seconds since its status was written."""
        return max(0.0, time.time() - (self.folder / "status.json").stat().st_mtime)

    def graph(self, method: str, first: bool = False) -> RelationGraph:
        """What a method found.

        Args:
            first: in all rows, before its resamples were done.

        Raises:
            SagvaeError: it is not done, or its file is damaged; see :func:`.read_graph_arrays`.
        """
        return read_graph_arrays(self.graph_path(method, first), tuple(self.settings.kinds))

    def has_graph(self, method: str, first: bool = False) -> bool:
        """Whether a method is done, or its ``first`` part is and no more."""
        return self.graph_path(method, first).is_file()

    def write_graph(self, method: str, graph: RelationGraph, first: bool = False) -> None:
        """Keep what a method found; once it is done there is no first part any more."""
        write_graph(graph, self.graph_path(method, first))
        if not first:
            self.graph_path(method, True).unlink(missing_ok=True)

    def graph_path(self, method: str, first: bool = False) -> Path:
        """Where that is."""
        return self.folder / f"{'first' if first else 'graph'}-{method}.npz"

    @property
    def problem(self) -> str | None:
        """Why the run is not what its state says, in a sentence; None where nothing is known to be wrong."""
        try:
            settings, status = self.settings, self.status
            if status.state == "finished" and not any(map(self.has_graph, settings.methods)):
                raise expected("a finished run", "one with the graph of a method", "none", _REMEDY)
            if not (self.folder / _TABLE).is_file():
                raise expected(_TABLE, f"in {self.name!r}", "no such file", _REMEDY)
        except (SagvaeError, OSError) as error:
            return str(error)
        return None


def list_relation_runs(*roots: Path | str) -> list[RelationRun]:
    """The runs of relations below ``roots`` (default: the user's, then the shipped ones), by name within each root,
    damaged ones included. A name that stands in two roots is listed once: the user's own run wins."""
    found: dict[str, RelationRun] = {}
    for root in roots or (runs_folder(), shipped_folder()):
        for folder in sorted(Path(root).glob("*")):
            if is_name(folder.name) and is_of_relations(folder):
                found.setdefault(folder.name, RelationRun(folder))
    return list(found.values())


def find_relation_run(name: str, *roots: Path | str) -> RelationRun | None:
    """The run of relations called ``name``, if there is one."""
    return next((run for run in list_relation_runs(*roots) if run.name == name), None)


def _parquet(table: Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    columns = [pa.array(values, from_pandas=True) for values in table.values.T]  # a gap is a null
    pq.write_table(pa.table(dict(zip(table.names, columns))), file)
    return file.getvalue()
