"""The studies as a user starts them: quick, from the command line, with a record that can be read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import sagvae_core
from sagvae_core.cli import cli
from sagvae_core.learners import RelationLearner
from sagvae_core.learners.classical import least_partial_correlation
from sagvae_core.studies import karate, suite
from sagvae_core.studies.cells import Cell
from sagvae_core.studies.reading import read_edges, read_record, table


def run(*words: str) -> Path:
    result = CliRunner().invoke(cli, ["study", *words, "--quick", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Path(result.output.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def karate_path(tmp_path_factory) -> Path:
    return run("karate", "--out", str(tmp_path_factory.mktemp("karate") / "record.json"))


def test_the_quick_karate_study_has_all_of_table_1(karate_path):
    record = read_record(karate_path)
    assert record["command"] == "sagvae study karate --quick"
    assert record["seeds"] == [karate.FIRST_SEED]
    f1 = table(record, "f1")
    for task in karate.GENERATORS:
        methods = {method for method, _ in f1[task]}
        assert set(karate.METHODS) <= methods
        assert set(karate.PAPER) <= methods
        assert {b.title for b in karate.BASELINES if b.key != "vgae"} <= methods
    assert f1["karate, symmetric generator"]["paper: SAG-VAE (dimension-wise)", karate.KNOWN][0] == 0.583
    assert f1["karate, symmetric generator"]["All edges", karate.UNKNOWN][0] == pytest.approx(0.244, abs=1e-3)
    assert set(f1[karate.ABLATION]) == {("SAG-VAE, per node", name) for name in list(karate.ABLATIONS)[:2]}


def test_even_a_fifth_of_the_training_beats_naming_all_edges(karate_path):
    scores = table(read_record(karate_path), "average_precision")["karate, symmetric generator"]
    assert scores["SAG-VAE, per node", karate.KNOWN][0] > 2 * scores["All edges", karate.KNOWN][0]


def test_the_kept_edges_are_those_of_the_record(karate_path):
    edges = read_edges(karate_path)
    cell = Cell("karate, symmetric generator", "SAG-VAE, per node", karate.KNOWN, karate.FIRST_SEED, True)
    kept = edges[cell]
    named = kept.scores > kept.threshold
    f1 = 2 * (named & kept.truth).sum() / (named.sum() + kept.truth.sum())
    expected = table(read_record(karate_path), "f1")[cell.task][cell.method, cell.setting][0]
    assert f1 == pytest.approx(expected)
    assert kept.truth.sum() == 78


def test_the_unseen_pattern_is_measured_against_its_own_mean(karate_path):
    record = read_record(karate_path)
    error = table(record, "mse_unseen")["karate, symmetric generator"]["SAG-VAE, per node", karate.KNOWN][0]
    mean = table(record, "mse_unseen_mean")["karate, symmetric generator"]["SAG-VAE, per node", karate.KNOWN][0]
    assert 0 < error < mean


def test_every_ablation_is_a_setting_that_exists():
    from sagvae_core.presets import run_config

    recipe = run_config("karate")
    for name, overrides in karate.ABLATIONS.items():
        changed = run_config("karate", overrides=overrides)
        assert (changed.to_dict() == recipe.to_dict()) == (name == "recipe"), name


def test_the_quick_suite_reports_the_regret_of_the_choice(tmp_path):
    path = run("suite", "--out", str(tmp_path / "suite.json"))
    record = read_record(path)
    regret = table(record, "regret_ap")
    assert set(regret) == {"gmrf-er-signed, 15 nodes, 200 rows", "sem-nonlinear (skeleton), 15 nodes, 200 rows",
                           "sem-nonlinear (moral), 15 nodes, 200 rows"}
    for task, cells in regret.items():
        assert list(cells) == [(suite.OURS, "density unknown")]
        precision = table(record, "average_precision")[task]
        assert set(suite.BASELINES) | {suite.OURS} == {method for method, _ in precision}
        best = max(table(record, f"average_precision_{variant}")[task][suite.OURS, "density unknown"][0]
                   for variant in ("linear", "nonlinear", "smoothing"))
        chosen = precision[suite.OURS, "density unknown"][0]
        assert cells[suite.OURS, "density unknown"][0] == pytest.approx(best - chosen)
        assert table(record, "regret_ap_worst")[task][suite.OURS, "density unknown"][0] == pytest.approx(best - chosen)


def test_a_skeleton_asks_every_method_for_direct_relations(monkeypatch):
    learners = {}

    class Fitted:
        def __init__(self, method):
            self.scores_ = np.random.RandomState(len(method)).uniform(size=(15, 15))
            self.scores_ += self.scores_.T
            self.threshold_ = 0.7
            if "lasso" in method:
                self.precision_ = np.linalg.inv(np.eye(15) + 0.3 * np.eye(15, k=1) + 0.3 * np.eye(15, k=-1))

    monkeypatch.setattr(suite, "_fitted", lambda *draw: learners.setdefault(draw[4], Fitted(draw[4])))
    method = "Graphical lasso, of ranks"
    skeleton, moral = (suite.measure(Cell(f"sem-linear ({truth}), 15 nodes, 200 rows", method, "", 1))
                       for truth in ("skeleton", "moral"))
    own, correlation = learners[method].scores_, learners["Absolute correlation"].scores_
    upper = np.triu_indices(15, k=1)
    np.testing.assert_array_equal(moral.scores, own[upper])
    least = least_partial_correlation(learners[method].precision_)
    np.testing.assert_array_equal(skeleton.scores, np.minimum(np.minimum(own, correlation), least)[upper])
    assert skeleton.truth.sum() < moral.truth.sum()
    smooth, marginal = (suite.measure(Cell("sem-linear (skeleton), 15 nodes, 200 rows", other, "", 1)).scores
                        for other in ("Smooth-signal graph (Kalofolias)", "Absolute correlation"))
    np.testing.assert_array_equal(marginal, correlation[upper])  # has nothing but itself to be compared with
    np.testing.assert_array_equal(
        smooth, np.minimum(learners["Smooth-signal graph (Kalofolias)"].scores_, correlation)[upper])


def test_every_change_that_was_tried_changes_one_thing_that_exists():
    for name, changed in suite.TRIED.items():
        assert name.startswith("tried: ")
        assert len(changed) == 1
        learner = sagvae_core.learners.SAGVAERelations(**{"variant": "linear", "steps": 1} | changed)
        assert learner.fit(np.random.RandomState(0).standard_normal((60, 5))).edges_.shape == (5, 5)


def test_changes_are_tried_where_the_learner_is_behind_in_the_full_suite_alone():
    full = list(suite._cells(("diffusion", "gmrf-ba-positive"), (40, 100), (200, 1000, 5000), [1001], False))
    tried = {(cell.task, cell.method) for cell in full if cell.method.startswith("tried: ")}
    expected = {(f"gmrf-ba-positive, 40 nodes, {rows} rows", name) for rows in (200, 1000) for name in suite.TRIED}
    assert tried == expected | {("diffusion, 40 nodes, 1000 rows", suite.UNSTOPPED)}
    large = suite._cells(("gmrf-grid-signed",), (40, 100), (200, 1000), [1001], False)
    assert {(cell.task, cell.method) for cell in large if cell.method.startswith("tried: ")} == {
        ("gmrf-grid-signed, 100 nodes, 200 rows", name) for name in suite.TRIED}
    quick = suite._cells(("diffusion", "gmrf-ba-positive"), (40,), (200, 1000), [1001], True)
    assert not [cell for cell in quick if cell.method.startswith("tried: ")]


def test_not_stopping_early_is_the_learner_with_all_its_steps(monkeypatch):
    asked = []
    monkeypatch.setattr(sagvae_core.learners.SAGVAERelations, "fit", lambda self, x: asked.append(self) or self)
    suite._fitted.cache_clear()
    for method in (suite.OURS, suite.UNSTOPPED):
        suite._fitted("gmrf-er-signed", 10, 20, 1, method)
    suite._fitted.cache_clear()
    assert [(learner.variant, learner.early_stopping) for learner in asked] == [("auto", True), ("auto", False)]


def test_a_record_of_an_unwritable_place_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(cli, ["study", "karate", "--quick", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "directory" in result.output


def test_learners_are_loaded_on_demand_under_the_package():
    assert issubclass(sagvae_core.learners.SAGVAERelations, RelationLearner)
    with pytest.raises(AttributeError, match="no_such_thing"):
        sagvae_core.no_such_thing  # noqa: B018


def test_the_record_is_plain_json(karate_path):
    record = json.loads(karate_path.read_text(encoding="utf-8"))
    assert all(np.isfinite(row["mean"]) for row in record["rows"])
