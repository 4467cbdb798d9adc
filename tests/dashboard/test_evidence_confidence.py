"""What the Evidence page makes of the record of confidences: sums over draws, bands over tasks, sentences."""

from __future__ import annotations

import evidence_records as made
import numpy as np
import pytest

from dashboard import evidence_confidence as confidence
from dashboard import figures_confidence
from dashboard.evidence import ALL_SIZES
from sagvae_core.studies.confidence import HALVES, METHODS, POSTERIOR
from sagvae_core.studies.confidence_tables import LEVELS, confidence_text
from sagvae_core.studies.reading import read_record


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> dict:
    return read_record(made.write_confidence(tmp_path_factory.mktemp("studies")))


def test_sizes_and_kinds_choose_the_tasks(record):
    assert confidence.sizes(record) == [ALL_SIZES, "200 rows", "1000 rows"]
    assert confidence.families(record) == ["gmrf-er-signed", "diffusion", "karate"]
    assert len(confidence.chosen(record, ALL_SIZES)) == 6
    assert confidence.chosen(record, "200 rows", ["karate"]) == ["karate, 34 nodes, 200 rows"]


def test_a_confidence_that_is_worth_its_number_lies_on_the_line(record):
    every = confidence.chosen(record, ALL_SIZES)
    curve = confidence.reliability(record, POSTERIOR, every)
    assert curve.pairs.sum() == 6 * 2 * 2000  # tasks, draws, pairs
    assert len(curve.claimed) == len(LEVELS) - 1
    assert np.all(curve.low <= curve.right) and np.all(curve.right <= curve.high)
    assert np.abs(curve.right - curve.claimed).max() < 0.06
    cautious = confidence.reliability(record, HALVES, every)
    middle = (cautious.claimed > 0.1) & (cautious.claimed < 0.8)
    assert np.all(cautious.right[middle] > cautious.claimed[middle])


def test_a_class_without_pairs_is_no_mark_and_few_tasks_make_no_band(record):
    short = record | {"rows": [row for row in record["rows"] if row["metric"].endswith(("_0", "_11"))]}
    curve = confidence.reliability(short, POSTERIOR, ["karate, 34 nodes, 200 rows"])
    assert len(curve.claimed) == 2
    assert np.array_equal(curve.low, curve.right) and np.array_equal(curve.high, curve.right)


def test_the_summary_is_over_the_sure_pairs(record):
    frame = confidence.summary(record, confidence.chosen(record, "200 rows")).set_index("Method")
    assert list(frame.index) == list(METHODS[:2] + METHODS[3:] + METHODS[2:3])  # bootstraps are measured last
    curve = confidence.reliability(record, POSTERIOR, confidence.chosen(record, "200 rows"))
    sure = curve.claimed >= 0.9
    assert frame.loc[POSTERIOR, "Sure pairs"] == curve.pairs[sure].sum()
    assert frame.loc[POSTERIOR, "Right"] == pytest.approx(
        (curve.right * curve.pairs)[sure].sum() / curve.pairs[sure].sum())
    shown = confidence.as_text(frame.reset_index()).set_index("Method")
    assert shown.loc[POSTERIOR, "Selected"] == "" and shown.loc[HALVES, "Selected"] == "20.0"
    assert shown.loc[POSTERIOR, "Right"] == f"{frame.loc[POSTERIOR, 'Right']:.1%}"
    assert np.isnan(frame.loc[POSTERIOR, "Selected"]) and frame.loc[HALVES, "Selected"] == 20


def test_a_record_of_no_sure_pair_makes_no_sentence(record):
    short = record | {"rows": [row for row in record["rows"] if row["metric"].endswith("_0")]}
    assert confidence.sentences(short, confidence.chosen(short, "200 rows")) == []
    said = confidence.sentences(record, confidence.chosen(record, "200 rows"))
    assert len(said) == len(METHODS)
    assert said[0].startswith(f"{POSTERIOR}: of ") and " called 20% to 80% sure, " in said[0]


@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_has_a_line_for_each_method_and_names_them_safely(record, dark):
    every = confidence.chosen(record, ALL_SIZES)
    curves = [confidence.reliability(record, method, every) for method in METHODS]
    figure = figures_confidence.reliability(curves, dark)
    named = [trace.name for trace in figure.data if trace.name]
    assert sorted(named) == sorted(METHODS) and named[-1] == POSTERIOR  # ours on top
    assert figure.data[0].x == (0, 1) and figure.data[0].y == (0, 1)
    hostile = confidence.Reliability("<img onerror=x>", *[np.array([0.5])] * 5)
    assert "<img" not in figures_confidence.reliability([hostile]).to_json().replace("\\u003c", "<").replace(
        "&lt;img", "")


def test_a_method_that_was_not_measured_on_the_chosen_tasks_is_left_out(record):
    rows = [row for row in record["rows"] if row["method"] == POSTERIOR or "1000 rows" not in row["task"]]
    short = record | {"rows": rows}
    among = confidence.chosen(short, "1000 rows")
    assert confidence.methods(short, among) == [POSTERIOR]
    assert list(confidence.summary(short, among)["Method"]) == [POSTERIOR]
    assert len(confidence.sentences(short, among)) == 1
    text = confidence_text(short)
    assert f"| **{HALVES}** | 200 |" in text and f"| **{HALVES}** | 1000 |" not in text
