"""What the Evidence page reads out of study records, on records whose numbers are known."""

from __future__ import annotations

import evidence_records as made
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from dashboard import evidence, evidence_edges, evidence_headlines, evidence_tables, figures_evidence, palette
from dashboard.evidence import BASELINE, CANDIDATE, OURS, PAPER, REFERENCE
from dashboard.evidence_edges import Found
from sagvae_core.metrics import edge_scores
from sagvae_core.studies.reading import read_edges, read_record


def row(task, method, mean, metric="f1", setting="", sd=0.01, n=5):
    return {"task": task, "method": method, "setting": setting, "metric": metric, "mean": mean, "sd": sd, "n": n}


def record(*rows):
    return {"study": "x", "command": "sagvae study x", "versions": {}, "seeds": [0], "seconds": 1.0, "rows": list(rows)}


def found(scores, truth, threshold=0.5):
    return Found(np.asarray(scores, dtype=np.float32), np.asarray(truth, dtype=bool), threshold, 0)


def test_ours_come_first_and_the_paper_stands_beside_the_method_it_means():
    lines = evidence.lines(record(
        row("t", "Pairwise product", 0.3), row("t", "VGAE", 0.2), row("t", "VGAE, 10 % of the edges", 0.25),
        row("t", "candidate: linear", 0.8), row("t", "SAG-VAE, per node", 0.9), row("t", "SAG-VAE, per sample", 0.7),
        row("t", "paper: SAG-VAE (data-wise)", 0.586), row("t", "paper: SAG-VAE (dimension-wise)", 0.583),
        row("t", "paper: VGAE (no input edge)", 0.223), row("t", "paper: VGAE (10 % link)", 0.234),
        row("t", "paper: Pairwise Product", 0.243), row("t", "paper: Never run", 0.1)), "t")
    assert [(line.label, line.kind, line.paper.get("f1")) for line in lines] == [
        ("SAG-VAE, per node", OURS, 0.583), ("SAG-VAE, per sample", OURS, 0.586), ("linear", CANDIDATE, None),
        ("Pairwise product", BASELINE, 0.243), ("VGAE", BASELINE, 0.223),
        ("VGAE, 10 % of the edges", BASELINE, 0.234), ("Never run", PAPER, 0.1)]


def test_a_table_is_of_one_state_of_knowledge():
    told, ignorant = "density known", "density unknown"
    both = record(row("t", "a", 0.2, setting=ignorant), row("t", "a", 0.4, setting=told), row("t", "b", 0.3),
                  row("t", "paper: a", 0.5, setting=told))
    assert evidence.knowledge(both) == [told, ignorant]
    assert [(line.label, line.values["f1"][0], line.paper) for line in evidence.lines(both, "t", ignorant)] == [
        ("a, density unknown", 0.2, {}), ("b", 0.3, {})]
    assert evidence.lines(both, "t", told)[0].paper == {"f1": 0.5}


def test_an_oracle_is_no_competitor(tmp_path):
    told = "density known"
    both = record(*(row("t", method, mean, metric, setting) for metric in ("f1", "average_precision")
                    for method, mean, setting in (("SAG-VAE", 0.5, told), ("product", 0.4, told),
                                                  ("oracle: best threshold", 0.9, ""),
                                                  ("reference: neighbours by number", 0.8, ""))))
    lines = evidence.lines(both, "t", told)
    assert [(line.label, line.kind) for line in lines] == [
        ("SAG-VAE", OURS), ("product", BASELINE), ("Oracle: best threshold", REFERENCE),
        ("Reference: neighbours by number", REFERENCE)]
    bold, grey = ("font-weight", "bold"), ("color", palette.muted())
    for styled, column in ((evidence_tables.detail(lines), "F1"),
                           (evidence_tables.beside_paper({"t": lines}, "f1"), "t")):
        styles, place = styled._compute().ctx, list(styled.data.columns).index(column)
        assert [bold in styles[line, place] for line in range(4)] == [True, False, False, False]
        assert [grey in styles[line, 0] for line in range(4)] == [False, False, True, True]
    assert [dot.value for dot in evidence.gains(both, "average_precision", told)] == pytest.approx([0.1])
    assert "Oracle: best threshold" not in evidence.grid(both, "average_precision", told).labels
    assert {line.kind for line in evidence.lines(read_record(made.write_graphs(tmp_path, 1)), "PROTEINS, 64 nodes, all",
                                                 told)} == {OURS, BASELINE, REFERENCE}


def test_settings_name_the_lines_of_an_ablation():
    ablation = record(*(row("t", "SAG-VAE, per node", 0.5, setting=name) for name in ("recipe", "no skip")))
    assert [line.label for line in evidence.lines(ablation, "t")] == ["recipe", "no skip"]


@pytest.mark.parametrize(("task", "parts"), [
    ("sem-linear (moral), 40 nodes, 1000 rows", ("sem-linear (moral)", "40 nodes, 1000 rows")),
    ("karate, symmetric generator", ("karate, symmetric generator", "")), ("karate, 200 rows", ("karate", "200 rows")),
])
def test_a_task_has_a_name_and_a_size(task, parts):
    assert evidence.family_and_size(task) == parts


def test_the_grid_averages_over_sizes_and_never_over_other_tasks():
    ap = "average_precision"
    suite = record(row("a, 40 nodes", "lasso", 0.6, ap), row("a, 100 nodes", "lasso", 0.8, ap),
                   row("b, 40 nodes", "lasso", 1.0, ap), row("a, 40 nodes", "SAG-VAE", 0.9, ap),
                   row("a, 100 nodes", "SAG-VAE", 0.7, ap))
    grid = evidence.grid(suite, ap)
    assert (grid.labels, grid.families) == (["SAG-VAE", "lasso"], ["a", "b"])
    np.testing.assert_allclose(grid.values, [[0.8, np.nan], [0.7, 1.0]])
    np.testing.assert_allclose(grid.means, [np.nan, 0.8])  # over the three tasks, not over the two families
    assert evidence.grid(suite, ap, size="100 nodes").values.tolist() == [[0.7], [0.8]]
    gains = evidence.gains(suite, ap)
    assert [(dot.family, dot.size) for dot in gains] == [("a", "40 nodes"), ("a", "100 nodes")]
    np.testing.assert_allclose([dot.value for dot in gains], [0.3, -0.1])
    np.testing.assert_allclose([dot.sd for dot in gains], 0.01 * np.sqrt(2))


def test_the_variants_ours_chose_among_are_candidates():
    own = [row("t", "SAG-VAE", value, metric) for metric, value in (
        ("average_precision", 0.9), ("average_precision_linear", 0.8), ("average_precision_smoothing", 0.9))]
    lines = evidence.lines(evidence.with_candidates(record(*own)), "t")
    assert [(line.label, line.kind) for line in lines] == [
        ("SAG-VAE", OURS), ("linear", CANDIDATE), ("smoothing", CANDIDATE)]
    assert [line.values["average_precision"][0] for line in lines] == [0.9, 0.8, 0.9]


def test_what_was_tried_is_no_competitor():
    both = record(row("t", "SAG-VAE", 0.5, "average_precision"), row("t", "lasso", 0.4, "average_precision"),
                  row("t", "tried: 300 steps", 0.9, "average_precision"))
    assert [(line.label, line.kind) for line in evidence.lines(both, "t")] == [
        ("SAG-VAE", OURS), ("lasso", BASELINE), ("Tried: 300 steps", REFERENCE)]
    assert [dot.value for dot in evidence.gains(both, "average_precision", None)] == pytest.approx([0.1])


def test_headlines_come_from_the_records_that_are_there():
    karate = record(row("t", "SAG-VAE, per node", 0.97), row("t", "paper: SAG-VAE (dimension-wise)", 0.583))
    suite = record(row("a", "SAG-VAE", 0.95, "average_precision"), row("a", "lasso", 0.9, "average_precision"),
                   row("a", "product", 0.2, "average_precision"), row("a", "SAG-VAE", 0.01, "regret_ap"),
                   row("b", "SAG-VAE", 0.03, "regret_ap"))
    assert evidence_headlines.headlines(None, None) == []
    one, = evidence_headlines.headlines(karate, None)
    assert (one.value, round(one.delta, 3), one.reference) == (0.97, 0.387, "vs paper 0.583")
    assert one.spread == "± 0.010 over 5 seeds"
    # Task b has no AP of anybody: there is no mean over all tasks to speak of.
    assert [item.value for item in evidence_headlines.headlines(None, suite)] == pytest.approx([0.02, 0.03])
    suite["rows"] = suite["rows"][:-1]
    first, *_ = evidence_headlines.headlines(None, suite)
    assert (first.value, round(first.delta, 3), first.reference) == (0.95, 0.05, "vs lasso")
    assert first.spread == "mean over 1 tasks"


def test_the_area_under_the_curve_is_the_average_precision():
    random = np.random.RandomState(0)
    truth = random.uniform(size=190) < 0.2
    for scores in (random.normal(size=190) + truth, np.round(random.normal(size=190) + truth), np.ones(190)):
        recall, precision = evidence_edges.precision_recall(found(scores, truth))
        area = (np.diff(recall, prepend=0) * precision).sum()
        assert area == pytest.approx(average_precision_score(truth, scores.astype(np.float32)), abs=1e-6)
        assert recall[-1] == 1


def test_hits_and_misses_of_own_threshold_and_top_k(tmp_path):
    path = made.write_karate(tmp_path, 1)
    for cell, kept in list(read_edges(path).items())[:6]:
        one = Found(kept.scores, kept.truth, kept.threshold, cell.seed)
        chosen = evidence_edges.chosen_pairs(one)
        rates = evidence_edges.hit_rates(chosen, one.truth)
        scores = edge_scores(evidence_edges.square(one.scores), evidence_edges.square(one.truth),
                             np.float32(kept.threshold))
        assert {name: rates[name] for name in ("precision", "recall", "f1")} == pytest.approx(
            {name: scores[name] for name in ("precision", "recall", "f1")})
        drawn = evidence_edges.as_probabilities(one, chosen)
        assert drawn.min() >= 0
        assert drawn.max() <= 1
        assert np.array_equal(drawn > 0.5, evidence_edges.square(chosen))
        assert evidence_edges.chosen_pairs(one, top_k=True).sum() == one.truth.sum()
        rows = evidence.lines(read_record(path), cell.task, cell.setting)
        assert one.truth.shape == (561,)
        assert len(evidence_edges.stored({(cell.task, cell.method, cell.setting): one}, cell.task, rows)) == 1


def test_drawn_edges_survive_negative_scores_and_a_missing_threshold():
    one = found([-3.0, -1.0, -2.0], [True, True, False], None)
    chosen = evidence_edges.chosen_pairs(one)
    assert chosen.tolist() == [False, True, True]  # as many as there are true ones
    assert evidence_edges.operating_point(one) is None
    assert (evidence_edges.as_probabilities(one, chosen)[np.triu_indices(3, 1)] > 0.5).tolist() == [False, True, True]


def test_tables_mark_ours_and_the_best(tmp_path):
    karate = read_record(made.write_karate(tmp_path, 2))
    lines = evidence.lines(karate, made.SYMMETRIC, made.KNOWN)
    styled = evidence_tables.detail(lines)
    frame = styled.data
    assert frame["Method"].tolist()[:2] == [made.NODE, made.SAMPLE]
    assert frame["F1, paper"].tolist()[:4] == ["0.583", "0.586", "", "0.243"]
    assert frame["F1"][0] == evidence.text(lines[0].values["f1"])
    assert frame["Runs"].tolist() == [2] * len(lines)
    html = styled.to_html()
    assert html.count("font-weight: bold") >= 1
    together = evidence_tables.beside_paper({made.SYMMETRIC: lines}, "f1").data
    assert together[made.SYMMETRIC][0] == f"{evidence.text(lines[0].values['f1'])} (0.583)"


def test_the_heat_table_marks_the_best_and_leaves_gaps_empty():
    grid = evidence.Grid(["SAG-VAE", "lasso"], ["SAG-VAE", "lasso"], ["a", "b"],
                         np.array([[0.9, 0.7], [0.8, np.nan]]), np.ones(2))
    frame = evidence_tables.heat(grid).data
    assert frame.values.tolist() == [["SAG-VAE", "0.800 ●", "0.900 ●", "0.700 ●"], ["lasso", "", "0.800", ""]]


@pytest.mark.parametrize("dark", [False, True])
def test_curves_of_ours_lie_on_top_in_the_accent(dark):
    recall, precision = np.array([0.5, 1.0]), np.array([1.0, 0.8])
    curves = [figures_evidence.Curve("SAG-VAE", recall, precision, (1.0, 0.8), ours=True),
              figures_evidence.Curve("<b>other</b>", recall, precision, color=9),
              figures_evidence.Curve("Oracle: all", recall, precision, reference=True)]
    figure = figures_evidence.precision_recall(curves, [("SAG-VAE", 0.6, 0.5)], "SAG-VAE", dark)
    drawn = [trace for trace in figure.data if trace.mode == "lines"]
    assert [trace.name for trace in drawn] == ["Oracle: all", "&lt;b&gt;other&lt;/b&gt;", "SAG-VAE"]
    assert drawn[0].line.color == palette.muted(dark)
    assert drawn[2].line.color == palette.accent(dark)
    assert drawn[2].line.width > drawn[1].line.width
    diamonds, = (trace for trace in figure.data if trace.marker.symbol == "diamond")
    assert (diamonds.x, diamonds.y) == ((0.6,), (0.5,))


def test_dots_stand_on_the_line_of_their_task():
    points = [evidence.Dot("a", "40 nodes", 0.1, 0.02), evidence.Dot("b", "40 nodes", 0.2, None),
              evidence.Dot("b", "100 nodes", -0.1, 0.01)]
    figure = figures_evidence.dots(points, "lost", mean=0.07, worst=True)
    assert [list(trace.x) for trace in figure.data] == [[0.1, 0.2], [-0.1]]
    assert [np.round(trace.y).tolist() for trace in figure.data] == [[0, 1], [1]]
    assert {note.text for note in figure.layout.annotations} == {"mean 0.070", "worst 0.200"}
    assert figures_evidence.dots([], "lost").data == ()


def test_figure_three_draws_every_sample_with_its_learned_links():
    places = np.random.RandomState(0).normal(size=(3, 4, 2))
    links = np.array([[0, 0.9, 0, 0], [0.9, 0, 0.2, 0], [0, 0.2, 0, 0], [0, 0, 0, 0]])
    figure = figures_evidence.figure_three([("per node", places, links), ("per sample", places, links)], [0, 0, 1, 1])
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(lines) == 6
    np.testing.assert_allclose(lines[0].x[:2], places[0, :2, 0])
    assert all(len(trace.x) == 3 for trace in lines)
