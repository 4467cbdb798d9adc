"""The study of confidences: its counts are right, and a confidence that is right looks right in it."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from sagvae_core.cli import cli
from sagvae_core.studies import confidence
from sagvae_core.studies.cells import Cell
from sagvae_core.studies.confidence_tables import LEVELS, SURE
from sagvae_core.studies.reading import read_record, table


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> dict:
    path = tmp_path_factory.mktemp("confidence") / "record.json"
    result = CliRunner().invoke(cli, ["study", "confidence", "--quick", "--quiet", "--out", str(path)],
                                catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return read_record(path)


def test_every_confidence_is_counted_over_all_pairs(record):
    assert record["command"] == "sagvae study confidence --quick"
    classes = len(LEVELS) - 1
    for task in ("gmrf-er-signed, 10 nodes, 200 rows", "diffusion, 10 nodes, 200 rows"):
        found = {(row["method"], row["metric"]): row["mean"] for row in record["rows"] if row["task"] == task}
        edges = confidence._table(task, confidence.FIRST_SEED)[1].sum() / 2
        for method in confidence.METHODS:
            assert sum(found[method, f"pairs_{number}"] for number in range(classes)) == 45
            assert sum(found[method, f"right_{number}"] for number in range(classes)) == edges
            assert 0 <= found[method, "brier"] <= 1
        for method in (confidence.HALVES, *confidence.CLASSICAL):
            assert found[method, "false_selected"] <= found[method, "selected"]
    assert table(record, "brier")["diffusion, 10 nodes, 200 rows"][confidence.POSTERIOR, ""][0] < 0.05


def test_only_resampled_sagvae_has_intervals(record):
    with_intervals = {row["method"] for row in record["rows"] if row["metric"] == "coverage_edges"}
    assert with_intervals == {confidence.HALVES, confidence.BOOTSTRAP}


def test_confidences_are_counted_between_their_levels():
    values = np.array([0.0, 0.009, 0.01, 0.5, 0.899, 0.9, 0.99, 1.0])
    found = confidence.counted(values, np.array([False, True, True, True, False, True, False, True]))
    number = {level: place for place, level in enumerate(LEVELS)}
    assert (found["pairs_0"], found["right_0"], found["claimed_0"]) == (2, 1, pytest.approx(0.009))
    assert found[f"pairs_{number[0.01]}"] == found[f"right_{number[0.01]}"] == 1
    assert (found[f"pairs_{number[0.8]}"], found[f"right_{number[0.8]}"]) == (1, 0)
    assert found[f"pairs_{number[SURE]}"] == 1
    last = number[1.0] - 1
    assert (found[f"pairs_{last}"], found[f"claimed_{last}"], found[f"right_{last}"]) == (2, pytest.approx(1.99), 1)


def test_the_other_tables_are_none_of_the_rows_that_were_fitted():
    name, nodes, rows = confidence._parts("gmrf-er-signed, 10 nodes, 60 rows")
    from sagvae_core.data.synthetic import make_task

    own, longer = make_task(name, nodes, rows, 3), make_task(name, nodes, 3 * rows, 3)
    assert np.array_equal(own.truths["graph"], longer.truths["graph"])
    first = longer.x[:rows, :, 0]
    assert np.allclose(np.corrcoef(first.T), np.corrcoef(own.x[:, :, 0].T), atol=1e-5)


def test_bootstraps_come_last_so_that_a_short_study_lacks_no_draw():
    cells = list(confidence._cells(("diffusion", "karate"), 10, (200, 5000), (1, 2), False))
    assert Cell("karate, 34 nodes, 200 rows", confidence.HALVES, "", 2) in cells
    assert not any("karate" in cell.task and "5000" in cell.task for cell in cells)
    kinds = [cell.method == confidence.BOOTSTRAP for cell in cells]
    assert kinds == sorted(kinds)
