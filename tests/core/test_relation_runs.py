"""The folder of a fit of relations: in line with trainings, stopped, gone on with, and checked when it is read."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest

from sagvae_core import relation_work, turns
from sagvae_core.config import DataConfig, ModelConfig, TrainConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.graph_files import graph_bytes
from sagvae_core.relation_runs import RelationRun, find_relation_run, list_relation_runs
from sagvae_core.relation_work import fit_run
from sagvae_core.run_status import own_process
from sagvae_core.runs import Run, RunConfig, list_runs
from sagvae_core.tables import Table, recognise

PATIENCE = 120
CONFIG = RunConfig(DataConfig("digits"), ModelConfig(num_nodes=64, hidden=(4,)), TrainConfig(epochs=3))


def table(rows: int = 60, gaps: bool = False) -> Table:
    import pandas as pd

    random = np.random.default_rng(0)
    values = random.standard_normal((rows, 5))
    values[:, 1] += values[:, 0]
    values[:, 4] = values[:, 4] > 0
    if gaps:
        values[np.arange(rows), np.arange(rows) % 4] = np.nan
    return recognise(pd.DataFrame(values, columns=["=1+1", "<b>", "a\u202eb", "d", "e"]))


def made(root, name: str = "mine", **settings) -> RelationRun:
    return RelationRun.create(root, name, table(), "people.csv", **{"methods": ("correlation",)} | settings)


def wait(done, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_run_is_fitted_and_its_table_and_graph_come_back(tmp_path):
    run = made(tmp_path, methods=("correlation", "partial_correlation"), resamples=4, seed=2)
    status = run.status
    assert (status.state, status.total_steps) == ("queued", 10)
    told = []
    done = fit_run(run, on_progress=lambda status, method: told.append((status.step, method)))
    assert (done.state, done.step, done.error, done.note) == ("finished", 10, None, None)
    assert run.status == done
    assert {step for step, method in told if method == "correlation"} == {1, 2, 3, 4, 5}
    assert told[-1] == (10, "partial_correlation")
    original = table()
    np.testing.assert_array_equal(run.table.values, original.values)
    assert (run.table.names, run.table.kinds) == (original.names, original.kinds)
    graph = run.graph("correlation")
    assert graph.names == original.names
    assert graph.graph_attributes["resamples"] == 4 and graph.graph_attributes["seed"] == 2
    assert graph.node_attributes["kind"] == list(original.kinds)
    assert graph.node_attributes["predictability"][0] > 0.1
    assert graph.selected[0, 1]


def test_gaps_come_back_as_gaps(tmp_path):
    run = RelationRun.create(tmp_path, "gaps", table(gaps=True), "x.csv", ("sagvae",))
    np.testing.assert_array_equal(run.table.values, table(gaps=True).values)


def test_lists_tell_the_two_kinds_apart_and_share_the_names(tmp_path):
    run, training = made(tmp_path, "fit"), Run.create(tmp_path, "training", CONFIG)
    assert [found.name for found in list_runs(tmp_path)] == ["training"]
    assert [found.name for found in list_relation_runs(tmp_path)] == ["fit"]
    assert (run.kind, training.kind) == ("relations", "training")
    assert find_relation_run("training", tmp_path) is None
    for name in ("fit", "training"):
        with pytest.raises(SagvaeError, match="run name must be new"):
            made(tmp_path, name)
    with pytest.raises(SagvaeError, match="run name must be 1 to 64 letters"):
        made(tmp_path, "../up")
    (run.folder / "relations.json").unlink()
    assert [found.name for found in list_runs(tmp_path)] == ["training"], "a damaged fit is no damaged training"
    assert run.problem.startswith("relations.json must be in 'fit', got no such file.")
    run.delete()
    assert not run.folder.exists() and training.folder.exists()


def test_a_fit_waits_for_a_training_on_the_cpu_and_leaves_the_line_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "_INTERVAL", 0.01)
    training, run = Run.create(tmp_path, "first", CONFIG), made(tmp_path, "second")
    first = dataclasses.replace(training.status, state="running", device_key="cpu", queued_at=1.0, **own_process())
    training.write_status(first)
    told: list[list[str]] = []
    worker = threading.Thread(target=fit_run, args=(run,), kwargs={"on_wait": told.append}, daemon=True)
    with training.claim(), turns.turn(training, "cpu"):
        worker.start()
        wait(lambda: told, "it does not wait")
        assert told[0] == ["first"]
        assert [(found.name, found.kind) for found, _ in turns.line(tmp_path)] == [
            ("first", "training"), ("second", "relations")]
        with pytest.raises(SagvaeError, match="which is being fitted. Wait for it, or stop it"):
            run.delete()
        run.request("stop")
        worker.join(PATIENCE)
    assert run.status.state == "stopped" and not run.has_graph("correlation")
    training.write_status(dataclasses.replace(first, state="finished"))
    assert fit_run(run).state == "finished", "it goes on when it is asked to"


def test_a_stop_keeps_the_methods_that_are_done_and_going_on_does_not_fit_them_again(tmp_path, monkeypatch):
    run = made(tmp_path, methods=("correlation", "partial_correlation"), resamples=4)

    def stop(status, method):
        if status.step == 7:
            run.request("stop")

    assert fit_run(run, on_progress=stop).state == "stopped"
    assert run.has_graph("correlation") and not run.has_graph("partial_correlation")
    before = (run.folder / "graph-correlation.npz").stat().st_mtime_ns
    fitted = []
    real = relation_work.fit_relations
    monkeypatch.setattr(relation_work, "fit_relations", lambda table, method, *args: fitted.append(method) or real(
        table, method, *args))
    assert fit_run(run).state == "finished"
    assert fitted == ["partial_correlation"]
    assert (run.folder / "graph-correlation.npz").stat().st_mtime_ns == before


def test_what_all_rows_say_is_there_before_the_resamples_are_done(tmp_path):
    run = made(tmp_path, methods=("correlation", "partial_correlation"), resamples=4)
    seen = {}

    def look(status, method):
        if status.step in (2, 7):
            seen[method] = run.has_graph(method), run.graph(method, first=True)

    fit_run(run, on_progress=look)
    assert set(seen) == {"correlation", "partial_correlation"}
    for method, (done, first) in seen.items():
        whole = run.graph(method)
        assert not done and run.has_graph(method) and not run.has_graph(method, first=True)
        assert first.frequency is None and whole.frequency is not None
        assert first.graph_attributes["resamples"] == 0 and whole.graph_attributes["resamples"] == 4
        assert first.graph_attributes["selection"].startswith("Edges are the pairs whose score is above")
        np.testing.assert_array_equal(first.scores, whole.scores)


def test_a_stop_among_the_resamples_keeps_what_all_rows_say(tmp_path):
    run = made(tmp_path, methods=("correlation",), resamples=4)
    fit_run(run, on_progress=lambda status, method: run.request("stop") if status.step == 3 else None)
    assert run.status.state == "stopped"
    assert run.has_graph("correlation", first=True) and not run.has_graph("correlation")
    assert fit_run(run).state == "finished" and not run.has_graph("correlation", first=True)


def test_without_resamples_there_is_no_first_part(tmp_path):
    run = made(tmp_path, methods=("correlation",), resamples=0)
    seen = []
    fit_run(run, on_progress=lambda status, method: seen.append(run.has_graph(method, first=True)))
    assert seen and not any(seen)
    assert [path.name for path in run.folder.glob("*.npz")] == ["graph-correlation.npz"]


def test_a_stop_interrupts_a_long_fit(tmp_path):
    run = RelationRun.create(tmp_path, "long", table(400), "x.csv", ("sagvae",), 100)
    process = subprocess.Popen([sys.executable, "-m", "sagvae_core", "fit", "--resume", "long", "--quiet",
                                "--runs-dir", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    wait(lambda: run.status.state == "running", "it never began")
    time.sleep(1)
    run.request("stop")
    asked = time.monotonic()
    _, said = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - asked < 15, "it waited for the end of a fit"
    assert run.status.state == "stopped"
    assert "Stopped. Go on with `sagvae fit --resume long`." in said and "Traceback" not in said


def test_a_method_that_the_table_does_not_suit_is_said_and_the_others_are_fitted(tmp_path):
    run = RelationRun.create(tmp_path, "gaps", table(gaps=True), "x.csv", ("correlation",))
    with pytest.raises(SagvaeError, match="complete in at least 3 rows"):
        fit_run(run)
    assert run.status.state == "failed" and "complete in at least 3 rows" in run.status.error
    both = RelationRun.create(tmp_path, "both", table(gaps=True), "x.csv", ("correlation", "partial_correlation"))
    graph = fit_run(made(tmp_path, "whole")) and RelationRun(tmp_path / "whole").graph("correlation")
    both.write_graph("partial_correlation", graph)  # as if it had been possible
    status = fit_run(both)
    assert status.state == "finished" and status.note.startswith("Correlation: X must be complete in at least 3 rows")


@pytest.mark.parametrize(("change", "words"), [
    ({"methods": []}, "methods must be one or more of"), ({"methods": ["magic"]}, "methods must be"),
    ({"methods": "sagvae"}, "methods in relations.json must be a list"), ({"resamples": 3}, "resamples must be even"),
    ({"resamples": 10**9}, "resamples must be a whole number from 0 to 1,000"), ({"seed": "0"}, "seed must be"),
    ({"kinds": [1]}, "must be text"), ({"kinds": {"a": 1}}, "must be text"), ({"missing": []}, "missing must be"),
    ({"source": None}, "must be text"), ({"more": 1}, "relations.json must be an object with")])
def test_settings_that_somebody_edited_are_a_sentence(change, words, tmp_path):
    run = made(tmp_path)
    values = json.loads((run.folder / "relations.json").read_text())
    (run.folder / "relations.json").write_text(json.dumps(values | change))
    with pytest.raises(SagvaeError, match=words):
        run.settings  # noqa: B018
    assert words in run.problem
    with pytest.raises(SagvaeError, match=words):
        fit_run(run)
    assert run.status.state == "failed"


def test_a_table_of_other_columns_is_refused(tmp_path):
    run, other = made(tmp_path), RelationRun.create(tmp_path, "other", table(), "x.csv")
    values = json.loads((run.folder / "relations.json").read_text())
    values["kinds"] = dict(reversed(values["kinds"].items()))
    (run.folder / "relations.json").write_text(json.dumps(values))
    with pytest.raises(SagvaeError, match="table.parquet must be the table of relations.json"):
        run.table  # noqa: B018
    (other.folder / "table.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(SagvaeError, match="the table must be a whole Parquet file"):
        other.table  # noqa: B018


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@pytest.fixture
def finished(tmp_path) -> RelationRun:
    run = made(tmp_path, resamples=2)
    fit_run(run)
    return run


def spoiled(run: RelationRun, **changes) -> str:
    """What reading the graph says once some of its arrays are others; None leaves one out."""
    path = run.folder / "graph-correlation.npz"
    with np.load(path) as loaded:
        arrays = dict(loaded) | changes
    path.write_bytes(npz(**{name: value for name, value in arrays.items() if value is not None}))
    with pytest.raises(SagvaeError) as caught:
        run.graph("correlation")
    return str(caught.value)


@pytest.mark.parametrize(("changes", "words"), [
    ({"scores": np.zeros((4, 4))}, "scores in graph-correlation.npz must be a matrix of shape (5, 5)"),
    ({"scores": np.full((5, 5), np.nan)}, "scores in graph-correlation.npz must be finite"),
    ({"scores": np.arange(25.0).reshape(5, 5)}, "must be symmetric"),
    ({"frequency": np.full((5, 5), 2.0)}, "frequency must be in [0, 1]"),
    ({"selected": np.zeros((5, 5))}, "selected in graph-correlation.npz must be a matrix"),
    ({"selected": None}, "one without selected"), ({"names": np.array(list("abcde"))}, "those of the table's columns"),
    ({"scores": np.array([{}], dtype=object)}, "file of arrays"),
    ({"scores": np.zeros((500, 500))}, "at most 4,296 bytes for 5 columns"),
    ({f"graph.{number}": 1 for number in range(200)}, "a graph's arrays, got 2"),
    ({"node.kind": np.array(["x"])}, "of 5 values")])
def test_arrays_that_are_no_graph_of_the_table_are_a_sentence(changes, words, finished):
    said = spoiled(finished, **changes)
    assert words in said and said.endswith("fit again.")


def test_damaged_bytes_are_a_sentence_or_the_same_graph(finished):
    path = finished.folder / "graph-correlation.npz"
    whole, graph = path.read_bytes(), finished.graph("correlation")
    random = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(len(data), size=3):
            data[place] = random.integers(256)
        path.write_bytes(bytes(data[:random.integers(len(data))]) if random.random() < 0.2 else bytes(data))
        try:
            read = finished.graph("correlation")
        except SagvaeError:  # anything else fails the test
            continue
        np.testing.assert_array_equal(read.scores, graph.scores)
    path.unlink()
    with pytest.raises(SagvaeError, match=r"graph-correlation.npz must be there, got no such file\. Fit again\."):
        finished.graph("correlation")
    assert finished.problem.startswith("a finished run must be one with the graph of a method, got none.")


def test_a_header_that_promises_more_than_there_is_allocates_nothing(finished):
    path = finished.folder / "graph-correlation.npz"
    with zipfile.ZipFile(io.BytesIO(graph_bytes(finished.graph("correlation"), "npz"))) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    members["scores.npy"] = members["scores.npy"].replace(b"(5, 5), }      ", b"(50000, 50000)}")
    assert b"50000" in members["scores.npy"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(SagvaeError, match=r"an array of shape \(50000, 50000\)"):
        finished.graph("correlation")
