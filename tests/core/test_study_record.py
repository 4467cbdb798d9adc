"""What all studies share: cells are measured once, survive an interruption, and end in one record of a known shape."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sagvae_core.cli import cli
from sagvae_core.errors import SagvaeError
from sagvae_core.metrics import edge_scores
from sagvae_core.studies import cells, record
from sagvae_core.studies.cells import Cell, Measured
from sagvae_core.studies.reading import ROW, markdown_table, read_edges, read_record, table
from sagvae_core.studies.record import aggregate, edge_metrics, pairs, run_study

CELLS = [Cell(task, method, "", seed) for task in ("er", "grid") for method in ("one", "two") for seed in (0, 1, 2)]
PAPER = {"task": "er", "method": "paper: one", "setting": "", "metric": "f1", "mean": 0.583}


def measure(cell: Cell) -> Measured:
    """Numbers of the cell alone, through a product whose last bits depend on the number of threads."""
    random = np.random.RandomState(cell.seed + 10 * len(cell.method + cell.task))
    values = torch.from_numpy(random.standard_normal((5, 200))).float()
    scores = random.uniform(size=10)
    truth = np.arange(10) % (2 if cell.task == "er" else 3) == 0
    return Measured({"f1": float((values @ values.T).square().mean()), "threads": torch.get_num_threads()},
                    scores, truth, 0.5)


def fail_on_grid_two(cell: Cell) -> Measured:
    if (cell.task, cell.method, cell.seed) == ("grid", "two", 1):
        raise SagvaeError("The files are not here.")
    return measure(cell)


def name_the_process(cell: Cell) -> Measured:
    return Measured({"process": float(os.getpid())})


def break_on_grid(cell: Cell) -> Measured:
    if cell.task == "grid":
        raise ZeroDivisionError
    return measure(cell)


def study(out, how=measure, cells=CELLS, **options):
    options = {"command": "sagvae study test", "seeds": [0, 1, 2], "quiet": True, "paper_rows": [PAPER],
               "keep_edges": lambda cell: cell.seed == 0} | options
    return run_study("test", cells, how, out=out, **options)


def result(path):
    """The record without its time, and the bytes beside it."""
    return {key: value for key, value in read_record(path).items() if key != "seconds"}, \
        path.with_suffix(".safetensors").read_bytes()


class Counted:
    """``measure`` that counts its calls and may be interrupted before one of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.cells: list[Cell] = []
        self.stop_at = stop_at

    def __call__(self, cell: Cell) -> Measured:
        if len(self.cells) == self.stop_at:
            raise KeyboardInterrupt
        self.cells.append(cell)
        return measure(cell)


def test_rows_are_means_and_deviations_over_the_seeds():
    rows = aggregate({Cell("t", "m", "s", 0): {"f1": 0.1, "ap": 0.5}, Cell("t", "m", "s", 1): {"f1": 0.3},
                      Cell("t", "m", "other", 1): {"f1": 0.9}})
    assert rows == [
        {"task": "t", "method": "m", "setting": "s", "metric": "f1", "mean": pytest.approx(0.2),
         "sd": pytest.approx(0.02**0.5), "n": 2},
        {"task": "t", "method": "m", "setting": "s", "metric": "ap", "mean": 0.5, "sd": None, "n": 1},
        {"task": "t", "method": "m", "setting": "other", "metric": "f1", "mean": 0.9, "sd": None, "n": 1}]


def test_the_worst_seed_has_a_row_of_its_own():
    found = {Cell("t", "m", "s", seed): {"regret": value, "f1": 0.5} for seed, value in enumerate((0.0, 0.2, 0.1))}
    rows = {row["metric"]: row for row in aggregate(found, ("regret",))}
    assert set(rows) == {"regret", "regret_worst", "f1"}
    assert rows["regret_worst"] == {"task": "t", "method": "m", "setting": "s", "metric": "regret_worst", "mean": 0.2,
                                    "sd": None, "n": 3}


def test_a_record_has_its_shape_and_the_papers_rows_last(tmp_path):
    out = tmp_path / "deep" / "study.json"
    assert study(out, notes="A note.") == out
    record = read_record(out)
    assert list(record) == ["study", "command", "versions", "seeds", "seconds", "rows", "notes"]
    assert (record["study"], record["command"], record["seeds"]) == ("test", "sagvae study test", [0, 1, 2])
    assert set(record["versions"]) == {"sagvae_core", "torch", "numpy", "sklearn", "python"}
    assert record["notes"] == ["A note."]
    assert all(list(row) == list(ROW) for row in record["rows"])
    assert record["rows"][-1] == PAPER | {"sd": None, "n": None}
    assert len(record["rows"]) == 2 * 2 * 2 + 1
    assert {row["n"] for row in record["rows"][:-1]} == {3}
    assert sorted(path.name for path in out.parent.iterdir()) == ["study.json", "study.safetensors"]
    assert out.with_suffix(".safetensors").stat().st_mode == out.stat().st_mode  # who may read one may read the other


def test_a_study_without_edges_or_notes_has_neither(tmp_path):
    out = study(tmp_path / "study.json")
    assert out.with_suffix(".safetensors").exists()
    study(out, keep_edges=None, notes=None)
    assert not out.with_suffix(".safetensors").exists()  # the old one belongs to no record any more
    assert read_edges(out) == {} and "notes" not in read_record(out)


def test_kept_edges_come_back(tmp_path):
    kept = read_edges(study(tmp_path / "study.json"))
    assert list(kept) == [cell for cell in CELLS if cell.seed == 0]
    for cell, found in kept.items():
        wanted = measure(cell)
        np.testing.assert_array_equal(found.scores, wanted.scores.astype(np.float32))
        np.testing.assert_array_equal(found.truth, wanted.truth)
        assert found.truth.dtype == bool and found.threshold == 0.5


@pytest.mark.parametrize("stop_at", [0, 1, 7])
def test_an_interrupted_study_goes_on_and_ends_in_the_same_record(tmp_path, stop_at):
    whole = result(study(tmp_path / "whole.json"))
    out = tmp_path / "study.json"
    with pytest.raises(KeyboardInterrupt):
        study(out, Counted(stop_at))
    assert not out.exists()
    partial = tmp_path / "study.json.partial.jsonl"
    with partial.open("a") as file:
        file.write('{"cell": {"task": "gr')  # killed in the middle of a line
    rest = Counted()
    assert result(study(out, rest)) == whole
    assert rest.cells == CELLS[stop_at:] and not partial.exists()


@pytest.mark.parametrize("change", [{"command": "sagvae study test --quick"}, {"version": "another"}])
def test_cells_of_another_command_or_version_are_not_taken_over(tmp_path, change, capsys):
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "study.json", Counted(5))
    again = Counted()
    study(tmp_path / "study.json", again, **change)
    assert again.cells == CELLS
    assert "cells of another command or version: starting over" in capsys.readouterr().err


def test_a_study_short_of_time_says_what_it_lacks_and_goes_on(tmp_path, monkeypatch):
    clock = itertools.count(0, 30)  # half a minute goes by whenever somebody asks
    monkeypatch.setattr(cells, "time", SimpleNamespace(time=lambda: next(clock), perf_counter=time.perf_counter))
    monkeypatch.setattr(record, "time", SimpleNamespace(time=lambda: next(clock)))
    out, at_once = tmp_path / "record.json", tmp_path / "at_once.json"
    study(out, cells=CELLS[:6], minutes=2, keep_edges=None)
    part = read_record(out)
    assert part["notes"] == ["Not finished: 3 of 6 cells are still to be measured. The same command goes on where it "
                             "stopped."]
    assert {row["n"] for row in part["rows"] if row["method"] == "one" and row["metric"] == "f1"} == {3}
    study(out, cells=CELLS[:6], keep_edges=None)
    study(at_once, cells=CELLS[:6], keep_edges=None)
    assert read_record(out)["rows"] == read_record(at_once)["rows"] and "notes" not in read_record(out)
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_a_worker_begins_nothing_after_the_time():
    assert cells._measure_several(measure, CELLS[:2], [False, False], until=time.time() - 1) == []
    assert len(cells._measure_several(measure, CELLS[:2], [False, False], until=time.time() + 100)) == 2


def test_time_for_no_cell_at_all_is_no_record(tmp_path):
    with pytest.raises(SagvaeError, match="minutes must be time enough for one cell, got 1e-09"):
        study(tmp_path / "record.json", minutes=1e-9)


def test_a_cell_whose_edges_are_wanted_now_is_measured_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "study.json", Counted(4), keep_edges=None)
    again = Counted()
    study(tmp_path / "study.json", again)
    assert [cell for cell in CELLS[:4] if cell in again.cells] == [CELLS[0], CELLS[3]]


def test_workers_change_no_number(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = result(study(tmp_path / "alone.json"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert result(study(tmp_path / "many.json", workers=2)) == alone
    assert {row["mean"] for row in alone[0]["rows"] if row["metric"] == "threads"} == {1}


def test_a_cell_that_cannot_be_measured_is_named_and_the_others_count(tmp_path, capsys):
    record = read_record(study(tmp_path / "study.json", fail_on_grid_two))
    assert record["notes"] == ["Not measured: grid · two · seed 1: The files are not here."]
    assert record["notes"][0] in capsys.readouterr().err
    assert {task: {key[0]: value[2] for key, value in row.items()} for task, row in table(record, "f1").items()} == {
        "er": {"one": 3, "two": 3, "paper: one": None}, "grid": {"one": 3, "two": 2}}


def test_cells_that_share_a_fit_are_measured_by_one_process(tmp_path):
    cells = [Cell(f"{name} ({truth})", "one", "", 0) for name in map(str, range(12)) for truth in ("a", "b")]
    path = study(tmp_path / "study.json", name_the_process, cells, keep_edges=None, paper_rows=[], workers=2,
                 together=lambda cell: cell.task.split()[0])
    processes = {task: next(iter(found.values()))[0] for task, found in table(read_record(path), "process").items()}
    assert list(processes) == [cell.task for cell in cells], "the record keeps the order of the plan"
    assert all(processes[f"{name} (a)"] == processes[f"{name} (b)"] for name in range(12))
    assert os.getpid() not in processes.values()


@pytest.mark.parametrize("workers", [1, 2])
def test_our_own_mistakes_end_the_study_and_leave_what_is_finished(tmp_path, workers):
    with pytest.raises(ZeroDivisionError):
        study(tmp_path / "study.json", break_on_grid, workers=workers)
    again = Counted()
    study(tmp_path / "study.json", again)
    assert again.cells == CELLS[6:]


@pytest.mark.parametrize(("bad", "said"), [
    (lambda cell: Measured({"f1": float("nan")}), "f1 must be finite, got nan"),
    (lambda cell: Measured({"f1": 1.0}), "scores and truth of a cell whose edges are kept must be arrays of one shape"),
])
def test_a_study_in_which_nothing_could_be_measured_is_no_record(tmp_path, bad, said):
    with pytest.raises(SagvaeError, match=f"No cell of the study 'test' could be measured. Not measured: .*{said}"):
        study(tmp_path / "study.json", bad, keep_edges=lambda cell: True, cells=CELLS[:1])
    assert not (tmp_path / "study.json").exists()


def test_one_task_has_one_true_graph(tmp_path):
    def other_graph(cell):
        found = measure(cell)
        found.truth ^= cell.method == "two"
        return found

    with pytest.raises(SagvaeError, match="the true graph of 'er' must be the same for all methods"):
        study(tmp_path / "study.json", other_graph)


@pytest.mark.parametrize(("options", "said"), [
    ({"cells": []}, "cells must be at least one"),
    ({"cells": [CELLS[0], CELLS[1], CELLS[0]]}, "all different, got er · one · seed 0 twice"),
    ({"workers": 0}, "workers must be at least 1"),
    ({"keep_edges": lambda cell: True}, r"keep_edges on '(er|grid)' must be of one seed, got seeds \[0, 1, 2\]"),
    ({"paper_rows": [{"task": "er"}]}, "a row of paper_rows must be an object with task, method"),
    ({"paper_rows": [PAPER | {"mean": ".583"}]}, "a row of paper_rows must be of four texts and numbers"),
])
def test_a_plan_that_cannot_end_in_a_record_is_refused_first(tmp_path, options, said):
    counted = Counted()
    with pytest.raises(SagvaeError, match=said):
        study(tmp_path / "study.json", counted, **options)
    assert counted.cells == []
    with pytest.raises(SagvaeError, match="out must be a path that ends in .json"):
        study(tmp_path / "study", counted)


def test_a_file_that_is_no_record_is_not_overwritten(tmp_path):
    mine = tmp_path / "package.json"
    mine.write_text('{"name": "mine"}')
    counted = Counted()
    with pytest.raises(SagvaeError, match="out must be a new file or a study's record, got .*package.json, which is"):
        study(mine, counted)
    assert counted.cells == [] and mine.read_text() == '{"name": "mine"}'
    done = study(tmp_path / "study.json")
    assert study(done) == done  # its own record may be made again


def test_a_place_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    counted = Counted()
    with pytest.raises(SagvaeError, match="out must be a path in a folder that can be written, got .*study.json"):
        study(tmp_path / "file" / "study.json", counted)
    assert counted.cells == []


@pytest.mark.parametrize(("text", "said"), [
    (None, "must be the record of a study, got no such file"),
    ("{", "must be valid JSON"),
    ("[]", "must be a study's record with command, .*, got list"),
    ('{"study": "x"}', "must be a study's record with .*, got study"),
    (json.dumps({key: [{"task": 1}] for key in ("study", "command", "versions", "seeds", "seconds", "rows")}),
     "a row of study.json must be an object with task, method, setting, metric, mean, sd, n, got task"),
])
def test_what_is_no_record_is_said(tmp_path, text, said):
    if text is not None:
        (tmp_path / "study.json").write_text(text)
    with pytest.raises(SagvaeError, match=said):
        read_record(tmp_path / "study.json")


def test_tables_show_mean_and_deviation():
    rows = [dict(zip(ROW, values, strict=True)) for values in (
        ("er", "sagvae", "", "f1", 0.9621, 0.0114, 5), ("er", "corr", "K | known", "f1", 0.5, None, 1),
        ("grid", "corr", "K | known", "f1", 0.25, 0.1, 5), ("er", "sagvae", "", "ap", 0.99, 0.0, 5))]
    record = {"rows": rows}
    assert table(record, "f1")["er"]["sagvae", ""] == (0.9621, 0.0114, 5)
    assert markdown_table(record, "f1").splitlines() == [
        "| method | er | grid |", "| --- | --- | --- |", "| sagvae | 0.962 ± 0.011 |  |",
        "| corr, K \\| known | 0.500 | 0.250 ± 0.100 |"]
    assert markdown_table(record, "f1", tasks=["grid"], methods=[("corr", "K | known")], digits=2).splitlines() == [
        "| method | grid |", "| --- | --- |", "| corr, K \\| known | 0.25 ± 0.10 |"]
    assert table(record, "psnr") == {}


def symmetric(values, nodes=4):
    matrix = np.zeros((nodes, nodes))
    matrix[np.triu_indices(nodes, k=1)] = values
    return matrix + matrix.T


def test_pairs_are_read_row_by_row():
    assert pairs(symmetric([1, 2, 3, 4, 5, 6])).tolist() == [1, 2, 3, 4, 5, 6]


def test_edge_metrics_on_numbers_done_by_hand():
    scores, truth = symmetric([0.9, 0.8, 0.7, 0.6, 0.2, 0.1]), symmetric([1, 0, 1, 1, 0, 0])
    found = edge_metrics(scores, 0.75, truth)
    assert found == pytest.approx({
        "precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "average_precision": (1 + 2 / 3 + 3 / 4) / 3,
        "f1_top_k": 2 / 3, "f1_best": 6 / 7, "all_edges_f1": 6 / 9})


def test_equal_scores_count_as_their_average_order_does():
    truth = symmetric([1, 1, 0, 0, 0, 0])
    assert edge_metrics(symmetric([0.5] * 6), 0, truth)["f1_top_k"] == pytest.approx(1 / 3)
    assert edge_metrics(symmetric([0.9, 0.5, 0.5, 0.5, 0, 0]), 0, truth)["f1_top_k"] == pytest.approx((1 + 1 / 3) / 2)
    assert edge_metrics(symmetric([0.5] * 6), 0, truth)["f1_best"] == pytest.approx(0.5)  # all edges or none


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_is_the_best_of_all(seed):
    random = np.random.RandomState(seed)
    truth = symmetric(random.uniform(size=28) < 0.3, 8)
    scores = symmetric(np.round(random.uniform(size=28), 1), 8)
    tried = [edge_scores(scores, truth, threshold)["f1"] for threshold in np.arange(-0.05, 1.1, 0.1)]
    found = edge_metrics(scores, 0.45, truth)
    assert found["f1_best"] == pytest.approx(max(tried))
    assert found["f1"] == pytest.approx(edge_scores(scores, truth, 0.45)["f1"])


def test_a_quick_run_does_not_replace_a_whole_study(tmp_path):
    out = tmp_path / "study.json"
    before = study(out).read_bytes()
    quick = [dataclasses.replace(cell, quick=True) for cell in CELLS]
    with pytest.raises(SagvaeError, match=r"record of a quick 'test' study.*`sagvae study test`.*--out"):
        study(out, cells=quick, command="sagvae study test --quick")
    with pytest.raises(SagvaeError, match="record of a 'other' study"):
        run_study("other", CELLS, measure, out=out, command="sagvae study other", seeds=[0], quiet=True)
    assert out.read_bytes() == before
    study(out)  # but the same study may be made again


def test_baseline_tuning_says_before_it_begins_where_it_cannot_write(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    result = CliRunner().invoke(cli, ["study", "kl-weight", "--dataset", "digits", "--out", str(tmp_path)])
    assert result.exit_code != 0 and "a path that ends in .json" in " ".join(result.output.split())
    result = CliRunner().invoke(cli, ["study", "kl-weight", "--dataset", "digits",
                                      "--out", str(tmp_path / "notes.json")])
    assert result.exit_code != 0 and "neither" in " ".join(result.output.split())
