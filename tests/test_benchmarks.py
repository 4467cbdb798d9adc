"""The benchmark of fits: it waits for what a person waits for, and its stored report is what its numbers say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import fits

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def test_a_person_waits_for_all_rows_and_then_for_the_halves(tmp_path, monkeypatch):
    monkeypatch.setattr(fits, "PAGE_SIZE", (6, 60))
    found = fits.from_the_button("gmrf-er-signed", 2, tmp_path)
    assert (found["columns"], found["rows"]) == (6, 60)
    assert 0 < found["first_s"] <= found["whole_s"] and found["lasso_s"] > 0
    assert 0 < found["ap"] <= 1 and 0 < found["lasso_ap"] <= 1


def test_wide_tables_are_compared_on_one_core(monkeypatch):
    monkeypatch.setattr(fits, "WIDE_SIZE", (6, 60))
    found = fits.wide("gmrf-er-signed")
    assert found["s"] > 0 and found["lasso_s"] > 0
    told = {"command": "x", "resamples": 2, "page": [], "wide": [found], "machine": fits.machine()}
    assert f"| {found['s'] / found['lasso_s']:.2f} |" in fits.markdown(told)


def test_a_report_of_the_page_names_every_table(tmp_path):
    row = {"table": "wine", "columns": 13, "rows": 178, "variant": "linear", "first_s": 9.04, "whole_s": 61.2,
           "lasso_s": 0.3}
    told = {"command": "x", "resamples": 50, "page": [row], "wide": [], "machine": fits.machine()}
    assert "| wine | 13 × 178 | linear | 9.0 | 61 | 0.3 |  |  |" in fits.markdown(told)


def test_the_stored_report_is_what_its_numbers_say():
    path = RESULTS / "fits.json"
    if not path.is_file():
        pytest.skip("not measured yet")
    assert (RESULTS / "fits.md").read_text() == fits.markdown(json.loads(path.read_text())) + "\n"
