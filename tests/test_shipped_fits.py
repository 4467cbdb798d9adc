"""The finished fits in assets/runs: complete, made by our own command, nobody's in particular, and repeatable."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sagvae_core.cli import cli
from sagvae_core.relation_fits import METHODS, fit_relations
from sagvae_core.relation_runs import RelationRun, list_relation_runs
from sagvae_core.runs import is_shipped, shipped_folder
from sagvae_core.studies.shipped import FITS
from sagvae_core.tables import EXAMPLES, example_frame, recognise

RUNS = {run.name: run for run in list_relation_runs(shipped_folder())}


@pytest.fixture(params=sorted(FITS))
def run(request) -> RelationRun:
    return RUNS[request.param]


def test_all_are_there_and_no_others():
    assert set(RUNS) == set(FITS)
    assert all(map(is_shipped, RUNS.values()))


def test_it_is_finished_and_small(run):
    status = run.status
    assert (status.state, status.error, status.note, run.problem) == ("finished", None, None, None)
    assert status.step == status.total_steps == len(METHODS) * 51
    assert status.seconds > 0
    assert sum(path.stat().st_size for path in run.folder.iterdir()) < 200_000
    assert {path.name for path in run.folder.glob("[!.]*")} == {
        "relations.json", "table.parquet", "status.json", *(f"graph-{method}.npz" for method in METHODS)}


def test_it_names_no_machine(run):
    told = json.loads((run.folder / "status.json").read_text())
    assert (told["pid"], told["pid_started"], told["host"]) == (None, None, "")


def test_its_settings_are_those_of_its_command(run):
    options = cli.commands["fit"].make_context("fit", list(FITS[run.name])).params
    settings = run.settings
    assert options["methods"] == ("all",) and settings.methods == tuple(METHODS)
    assert (options["resamples"], options["seed"]) == (settings.resamples, settings.seed) == (50, 0)
    assert settings.source == EXAMPLES[options["example"]].title
    table = recognise(example_frame(options["example"]))
    assert dict(zip(table.names, table.kinds)) == settings.kinds
    np.testing.assert_array_equal(run.table.values, table.values)


@pytest.mark.parametrize("method", ["partial_correlation", "correlation"])
def test_it_can_be_made_again(run, method):
    table = recognise(example_frame(FITS[run.name][1]))
    again, kept = fit_relations(table, method, 50), run.graph(method)
    np.testing.assert_allclose(again.scores, kept.scores, atol=1e-9)
    np.testing.assert_array_equal(again.selected, kept.selected)
    np.testing.assert_allclose(again.frequency, kept.frequency)


def test_the_methods_agree_on_what_everybody_knows(run):
    known = {"wine-relations": ("flavanoids", "total phenols"), "diabetes-relations": ("LDL", "total cholesterol")}
    first, second = map(list(run.settings.kinds).index, known[run.name])
    for method in METHODS:
        graph = run.graph(method)
        assert graph.selected[first, second] and graph.frequency[first, second] > 0.9, method
