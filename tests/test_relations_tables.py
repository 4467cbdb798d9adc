"""The README's tables of relations and of noisy sampling are those of the committed records."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagvae_core.studies import image_tables, karate, suite, tables
from sagvae_core.studies.reading import ROW

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "assets" / "studies"


@pytest.mark.parametrize(("start", "end", "text"), [
    (tables.START, tables.END, tables.relations), (tables.IMAGES_START, tables.IMAGES_END, tables.images),
    (tables.SAMPLING_START, tables.SAMPLING_END, tables.sampling)])
def test_the_readme_shows_the_committed_records(start, end, text):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start, end = readme.index("\n", readme.index(start)) + 1, readme.index(end)
    assert readme[start:end].strip() == text(STUDIES)
    assert text(STUDIES) and not text(ROOT), "without records there is nothing to show"


def test_sampling_shows_both_ends_and_leaves_out_other_noise():
    settings = {"0 of 20": 9, "1 of 20": 8, "3 of 20": 7, "5 of 20": 6.25, "10 of 20": 5,
                "5 of 20, noise over the codes' range": 1}
    text = tables.sampling_text(record([
        ("MNIST digits, per-pixel Gaussian", "VAE, 20-dim code", setting, "classes_recovered", mean, 0.5, 3)
        for setting, mean in settings.items()]))
    assert text.endswith("| VAE, 20-dim code on MNIST digits | 9.0 → 6.2 |  |  |  |")
    assert "(`sagvae study x`; mean of 2 seeds)" in text and "SAG-VAE" not in text


def test_images_show_each_reading_with_its_own_methods_and_filters_in_all():
    metrics = (("mse_clean", 0.00486), ("psnr", 23.44), ("ssim", 0.9456))
    text = image_tables.images_text(record(
        [("MNIST digits, noise", "SAG-VAE", "trained on noise", *values, values[1] / 100, 3) for values in metrics]
        + [("MNIST digits, noise", "Median filter", "", metric, mean, None, 1) for metric, mean in metrics]
        + [("MNIST digits, white block", "SAG-VAE", "trained on noise", metric, 0.5, None, 1) for metric, _ in metrics]
        + [("MNIST digits, white block", "VAE (A = I)", "trained on clean images", "mse_clean", 0.25, None, 1)]
        + [("MNIST digits, learned edges", "SAG-VAE", "trained on noise", f"{kind}_{reach}", 0.1 * reach, None, 1)
           for kind in ("within", "chance_within") for reach in (1, 2, 3)]))
    noise, white, clean = text.split("**Uniform")[1].split("\n\n**")[:3]
    assert "| **SAG-VAE** | 0.0049 ± 0.0000 | 23.4 ± 0.2 | 0.946 ± 0.009 | 3 |" in noise
    assert "| Median filter | 0.0049 | 23.4 | 0.946 | 1 |" in noise
    assert "0.5" not in white, "that model learned from noise"
    assert "| VAE (A = I) | 0.2500 |  |  | 1 |" in clean
    assert text.endswith("MNIST digits 10.0 % within 1 (by chance 10.0), 20.0 % within 2 (20.0), 30.0 % within 3 "
                         "(30.0).")


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


def test_table_2_is_over_all_graphs_of_a_size_and_says_why():
    text = tables.graphs_text(record([
        ("COIL-RAG, 6 nodes, all", "SAG-VAE, per node", karate.KNOWN, "f1", 0.5, 0.1, 10),
        ("COIL-RAG, 6 nodes, all", "SAG-VAE, per node", karate.KNOWN, "average_precision", 0.6, 0.1, 10),
        ("COIL-RAG, 6 nodes, all", "All edges", karate.UNKNOWN, "f1", 0.7, 0.1, 10),
        ("COIL-RAG, 6 nodes, all", "oracle: best", "", "f1", 0.8, 0.2, 10),
        ("COIL-RAG, 6 nodes, graph 12", "SAG-VAE, per node", karate.KNOWN, "f1", 0.9, 0.1, 5)])
        | {"notes": ["Why not."]})
    assert "sizes: 10 of COIL-RAG;" in text
    assert "| **SAG-VAE, per node** | 0.500 ± 0.100 | 0.600 ± 0.100 |" in text
    assert "| oracle: best | 0.800 ± 0.200 |  |" in text
    assert "0.700" not in text and "0.900" not in text
    assert text.endswith("- Why not.")


def suite_record(changed: dict[tuple[str, str], tuple] | None = None) -> dict:
    """Two tasks of two sizes, where all methods reach .5, or what ``changed`` says of a (task, method)."""
    tasks = [f"{name}, {size}" for size in ("40 nodes, 200 rows", "40 nodes, 1000 rows") for name in ("er", "sem")]
    cells = {(task, method): (0.5, 0.01) for task in tasks for method in (suite.OURS, *suite.BASELINES)}
    cells |= changed or {}
    rows = [(task, method, "", "average_precision", mean, sd, 2) for (task, method), (mean, sd) in cells.items()]
    rows += [(task, suite.OURS, "", f"regret_{name}{kind}", value, None, 2) for task in tasks for name, kind, value in
             (("ap", "", 0.01), ("ap", "_worst", 0.04), ("f1", "", 0.02), ("f1", "_worst", 0.125))]
    return record(rows)


def test_the_suite_shows_one_size_and_the_means_of_all():
    text = tables.suite_text(suite_record({("er, 40 nodes, 1000 rows", suite.OURS): (0.9, 0.02),
                                           ("sem, 40 nodes, 200 rows", suite.OURS): (0.7, 0.02)}))
    assert "| er | 0.900 ± 0.020 | 0.500 ± 0.010 |" in text
    assert "| sem | 0.500 ± 0.010 |" in text
    assert "0.700 ± 0.020" not in text
    assert "| 40 nodes, 200 rows | 0.600 | 0.500 |" in text
    assert "| 40 nodes, 1000 rows | 0.700 | 0.500 |" in text
    assert "| all | 0.650 | 0.500 |" in text
    assert "of 4 tasks: nowhere." in text
    assert "0.010 AP against the best variant on average and 0.040 on the worst draw" in text
    assert "0.020 F1 against the best threshold on average and 0.125 on the worst draw" in text


def test_the_suite_says_where_it_is_behind_and_what_was_tried():
    lasso, change = "Graphical lasso, of ranks", next(iter(suite.TRIED))
    task = "er, 40 nodes, 200 rows"
    text = tables.suite_text(suite_record({(task, lasso): (0.52, 0.01), (task, change): (0.6, 0.03)}))
    assert "of 4 tasks: er, 40 nodes, 200 rows (0.500 against 0.520)." in text
    assert f"- {task}: SAG-VAE 0.500 ± 0.010; {change.removeprefix('tried: ')} 0.600 ± 0.030." in text
    within = tables.suite_text(suite_record({(task, lasso): (0.52, 0.03)}))
    assert "of 4 tasks: nowhere." in within
    assert "were tried" not in within


def test_the_suite_says_what_stopping_early_loses():
    task = "er, 40 nodes, 1000 rows"
    text = tables.suite_text(suite_record({(task, suite.UNSTOPPED): (0.6, 0.03)}))
    assert text.endswith(f"Stopping early, AP: {task} 0.500 ± 0.010, with all steps 0.600 ± 0.030.")
    assert "were tried" not in text
    assert "Stopping" not in tables.suite_text(suite_record())


def test_no_record_is_an_empty_text(tmp_path):
    assert tables.relations(tmp_path) == ""


@pytest.mark.parametrize("name", ["karate", "suite", "graphs"])
def test_the_committed_records_are_of_fresh_seeds(name):
    from sagvae_core.studies.reading import read_record

    path = STUDIES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{name} has no record yet")
    assert not {101, 102, 103, 104} & set(read_record(path)["seeds"])
