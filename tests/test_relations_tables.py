"""The README's tables of relations are those of the committed records."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagvae_core.studies import karate, suite, tables
from sagvae_core.studies.record import ROW

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "assets" / "studies"


def test_the_readme_shows_the_committed_records():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start, end = readme.index("\n", readme.index(tables.START)) + 1, readme.index(tables.END)
    assert readme[start:end].strip() == tables.relations(STUDIES)


def record(rows: list[tuple]) -> dict:
    return {"command": "sagvae study x", "seeds": [1, 2],
            "rows": [dict(zip(ROW, row, strict=True)) for row in rows]}


def test_karate_shows_what_all_are_told_and_the_paper():
    task = next(iter(karate.GENERATORS))
    text = tables.karate_text(record([
        (task, "SAG-VAE, per node", karate.KNOWN, "f1", 0.5, 0.1, 2),
        (task, "SAG-VAE, per node", karate.UNKNOWN, "f1", 0.7, 0.1, 2),
        (task, "paper: VGAE", karate.KNOWN, "f1", 0.2, None, None)]))
    assert "| **SAG-VAE, per node** | 0.500 ± 0.100 |" in text
    assert "0.700" not in text
    assert "| paper: VGAE | 0.200 |" in text


def test_the_suites_mean_counts_a_data_set_once():
    cells = [(f"sem ({truth})", method, "", "average_precision", value, None, 1)
             for truth, value in (("skeleton", 0.5), ("moral", 0.9)) for method in (suite.OURS, *suite.BASELINES)]
    text = tables.suite_text(record([*cells, ("sem (skeleton)", suite.OURS, "", "regret_ap", 0.125, None, 1)]))
    assert "| **mean, moral graphs left out** | 0.500 |" in text
    assert "0.125 on the worst task" in text
    assert text.endswith("by more than one sd: nowhere.")
    cells[-1] = (*cells[-1][:4], 0.95, 0.01, 2)
    behind = tables.suite_text(record([*cells, ("sem (moral)", suite.OURS, "", "regret_ap", 0.0, None, 1)]))
    assert behind.endswith("by more than one sd: sem (moral) (0.900 against 0.950).")


def test_no_record_is_an_empty_text(tmp_path):
    assert tables.relations(tmp_path) == ""


@pytest.mark.parametrize("name", ["karate", "suite"])
def test_the_committed_records_are_of_fresh_seeds(name):
    from sagvae_core.studies.record import read_record

    path = STUDIES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{name} has no record yet")
    assert not {101, 102, 103, 104} & set(read_record(path)["seeds"])
