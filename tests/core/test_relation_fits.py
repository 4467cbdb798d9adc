"""Relations of a table by any method, as graphs and as files; and `sagvae fit`."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from click.testing import CliRunner

from sagvae_core.cli import cli
from sagvae_core.errors import SagvaeError
from sagvae_core.relation_fits import METHODS, fit_relations, partial_correlations, predictability, selection
from sagvae_core.relation_runs import RelationRun
from sagvae_core.tables import recognise


@pytest.fixture(scope="module")
def wine():
    from sklearn.datasets import load_wine

    return load_wine(as_frame=True).frame


@pytest.fixture
def chain(tmp_path):
    """A file: a -> b -> c, and d apart; text that is left out, and a gap."""
    random = np.random.default_rng(0)
    a, d = random.standard_normal((2, 80))
    b = a + 0.3 * random.standard_normal(80)
    c = b + 0.3 * random.standard_normal(80)
    rows = [[f"{value:.6f}" for value in row] for row in np.stack([a, b, c, d], axis=1)]
    rows[3][0] = ""
    path = tmp_path / "chain.csv"
    path.write_text("a,b,c,d,who\n" + "".join(",".join(row) + f",person {number}\n" for number, row in enumerate(rows)))
    return path


def call(*words: object):
    return CliRunner().invoke(cli, [*map(str, words)])


def refused(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


# ---------------------------------------------------------------------- fit_relations

@pytest.mark.parametrize("method", ["graphical_lasso", "partial_correlation", "correlation", "smooth_graph"])
def test_names_stay_with_their_values_when_columns_change_places(wine, method):
    graph = fit_relations(recognise(wine), method)
    other = fit_relations(recognise(wine[wine.columns[::-1]]), method)
    assert other.names == graph.names[::-1]
    np.testing.assert_allclose(other.scores[::-1, ::-1], graph.scores, atol=1e-3)
    assert (other.selected[::-1, ::-1] == graph.selected).mean() > 0.98
    assert graph.selected.any()
    np.testing.assert_allclose(other.node_attributes["predictability"][::-1], graph.node_attributes["predictability"],
                               atol=0.1)


def test_a_graph_says_how_it_came_to_be(wine):
    told = []
    table = recognise(wine)
    graph = fit_relations(table, "correlation", resamples=10, seed=3, on_progress=lambda *done: told.append(done))
    assert told == [(done, 11) for done in range(1, 12)]
    about = graph.graph_attributes
    assert (about["method"], about["rows"], about["columns"], about["resamples"], about["seed"], about["missing"]) == (
        "Correlation", 178, 14, 10, 3, "complete")
    assert "10 random halves of the rows chose" in about["selection"]
    assert about["expected_false"] > 0
    assert graph.node_attributes["kind"] == table.kinds
    assert graph.frequency.shape == graph.lower.shape == graph.upper.shape == (14, 14)
    assert graph.posterior is None


def test_sagvae_takes_rows_with_gaps_and_the_others_whole_ones(chain):
    from sagvae_core.tables import read_table

    table = read_table(chain)
    graph = fit_relations(table)
    assert graph.names == ("a", "b", "c", "d")
    assert graph.graph_attributes["rows"] == 80
    assert graph.selected[0, 1] and graph.selected[1, 2] and not graph.selected[3].any()
    assert graph.posterior is not None and graph.graph_attributes["variant"]
    assert graph.node_attributes["predictability"][3] == 0
    assert graph.node_attributes["predictability"][1] > 0.8
    assert fit_relations(table, "correlation").graph_attributes["rows"] == 79
    with pytest.raises(SagvaeError, match=r"missing must be 'complete' or 'auto', got 'model' with method 'correlat"):
        fit_relations(table, "correlation", missing="model")
    with pytest.raises(SagvaeError, match="method must be one of 'sagvae', "):
        fit_relations(table, "magic")


def test_predictability_is_of_rows_that_were_not_seen():
    random = np.random.default_rng(0)
    noise = random.standard_normal((60, 40))
    everything = ~np.eye(40, dtype=bool)
    assert np.mean(predictability(noise, everything)) < 0.1, "in sample it would be near 2/3"
    few = np.where(np.arange(60)[:, None] < 19, noise, np.nan)
    assert predictability(few, everything) == [None] * 40


# ---------------------------------------------------------------------- the command

def test_partial_correlations_are_given_what_is_related_to_either():
    random = np.random.default_rng(0)
    a = random.standard_normal(4000)
    b, d = a + random.standard_normal(4000), random.standard_normal(4000)
    c = d - b
    c += random.standard_normal(4000)
    values = np.stack([a, b, np.exp(c), d], axis=1)  # ranks: a bent scale changes nothing
    edges = np.zeros((4, 4), dtype=bool)
    for i, j in ((0, 1), (1, 2), (2, 3)):
        edges[i, j] = edges[j, i] = True
    found = partial_correlations(values, edges)
    related = np.corrcoef(np.stack([a, b, c, d]))
    for i, j, *others in ((0, 1, 2), (1, 2, 0, 3), (2, 3, 1), (0, 2, 1, 3)):
        taken = [i, j, *others]
        precision = np.linalg.inv(related[np.ix_(taken, taken)])
        expected = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
        assert found[i, j] == pytest.approx(expected, abs=0.02), (i, j)
    assert found[0, 1] > 0.4 and found[1, 2] < -0.4
    np.testing.assert_array_equal(found, found.T)
    alone = partial_correlations(values, np.zeros((4, 4), dtype=bool))
    assert alone[0, 2] == pytest.approx(np.corrcoef(a, c)[0, 1], abs=0.02)  # nothing is held fixed
    values[random.uniform(size=values.shape) < 0.1] = np.nan
    np.testing.assert_allclose(partial_correlations(values, edges), found, atol=0.06)


def test_partial_correlations_of_copies_and_constants_are_finite():
    a = np.random.default_rng(0).standard_normal(30)
    found = partial_correlations(np.stack([a, 2 * a, 0 * a], axis=1), np.ones((3, 3), dtype=bool))
    assert found[0, 1] == pytest.approx(1) and found[0, 2] == found[1, 2] == 0


def test_pairs_that_few_rows_have_in_common_have_no_partial_correlation():
    values = np.random.default_rng(0).standard_normal((100, 4))
    values[:85, 0] = np.nan
    edges = np.zeros((4, 4), dtype=bool)
    edges[0, 1] = edges[1, 0] = True
    found = partial_correlations(values, edges)
    assert np.isnan(found[0, 1:]).all() and np.isnan(found[1, 2:]).all()  # given 0, which 15 rows have
    assert np.isfinite(found[2, 3])


def test_of_many_columns_only_edges_have_partial_correlations(monkeypatch):
    monkeypatch.setattr("sagvae_core.relation_fits._ALL_PAIRS", 3)
    edges = np.zeros((4, 4), dtype=bool)
    edges[0, 1] = edges[1, 0] = True
    found = partial_correlations(np.random.default_rng(0).standard_normal((50, 4)), edges)
    np.testing.assert_array_equal(np.isfinite(found), edges | np.eye(4, dtype=bool))


def test_the_edges_that_are_printed_have_their_direction(tmp_path):
    random = np.random.default_rng(0)
    a = random.standard_normal(100)
    b = -a + 0.5 * random.standard_normal(100)
    path = tmp_path / "against.csv"
    path.write_text("a,b\n" + "".join(f"{first},{second}\n" for first, second in zip(a, b)))
    result = call("fit", path, "--method", "correlation")
    assert result.exit_code == 0, result.output
    heads, values = (line.split() for line in result.output.strip().splitlines()[-2:])
    assert heads == ["column", "column", "score", "partial"] and values[:2] == ["a", "b"] and float(values[3]) < -0.8


def test_all_pairs_as_csv_and_edges_as_graphml(chain, tmp_path):
    result = call("fit", chain, "--method", "correlation", "--bootstrap", 5, "--out", tmp_path / "pairs.csv")
    assert result.exit_code == 0, result.output
    assert "6 halves: a split of the rows gives two." in result.stderr
    assert "who     left out" in result.stdout and "text of 80 levels" in result.stdout
    with (tmp_path / "pairs.csv").open() as file:
        pairs = list(csv.DictReader(file))
    assert [(pair["source"], pair["target"]) for pair in pairs] == [
        ("a", "b"), ("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")]
    assert pairs[0]["selected"] == "true" and float(pairs[0]["frequency"]) == 1
    assert call("fit", chain, "--method", "correlation", "--method", "partial_correlation", "--quiet", "--out",
                tmp_path / "found.graphml").exit_code == 0
    assert not (tmp_path / "found.graphml").exists()
    graph = nx.read_graphml(tmp_path / "found-partial_correlation.graphml")
    named = nx.get_node_attributes(graph, "label")
    assert {tuple(sorted(map(named.get, edge))) for edge in graph.edges} >= {("a", "b"), ("b", "c")}
    assert graph.graph["method"] == "Partial correlation" and graph.graph["rows"] == 79
    assert graph.nodes["0"]["kind"] == "continuous"
    assert (tmp_path / "found-correlation.graphml").is_file()


def test_bad_input_is_a_sentence(chain, tmp_path):
    assert "the table must be an existing file" in refused("fit", tmp_path / "none.csv")
    assert "FILE must be a table to fit, or --example, got none." in refused("fit")
    assert "FILE must be a table to fit, or --example, got both." in refused("fit", chain, "--example", "wine")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3,4,5\n6,7\n")
    assert "line 3 of the table must be 2 cells long" in refused("fit", tmp_path / "bad.csv")
    assert "to be binary, got 79" in refused("fit", chain, "--kind", "a=binary")
    assert "--kind must be NAME=KIND, as age=ordinal, got 'a'." in refused("fit", chain, "--kind", "a")
    assert "--out must be a file that ends with .csv" in refused("fit", chain, "--out", tmp_path / "x.pkl")
    assert "the folder of --out must be one that exists" in refused("fit", chain, "--out", tmp_path / "no" / "x.csv")
    assert "'model' with method 'correlation'" in refused("fit", chain, "--method", "correlation", "--missing", "model")
    assert "--jobs must be a number other than 0" in refused("fit", chain, "--jobs", 0)
    assert "--quiet must be used with --out or --run" in refused("fit", chain, "--quiet")


def test_a_run_is_kept_listed_and_deleted(chain, tmp_path, monkeypatch):
    import json

    monkeypatch.setenv("SAGVAE_RUNS", str(tmp_path / "runs"))
    assert call("fit", chain, "--method", "correlation", "--run", "mine", "--quiet").exit_code == 0
    run = RelationRun(tmp_path / "runs" / "mine")
    assert run.status.state == "finished" and run.problem is None
    assert run.graph("correlation").names == ("a", "b", "c", "d")
    assert run.settings.left_out == {"who": "text of 80 levels; only two levels can be read as numbers"}
    row, = [row for row in json.loads(call("runs", "--json").stdout) if not row["shipped"]]
    assert (row["kind"], row["name"], row["dataset"], row["model"], row["state"], row["problem"]) == (
        "relations", "mine", "chain.csv", "correlation", "finished", None)
    listed = call("runs")
    line, = [line for line in listed.stdout.splitlines() if line.startswith("mine ")]
    assert line.split() == ["mine", "chain.csv", "correlation", "finished", "0"]
    assert not listed.stderr
    shown = json.loads(call("runs", "show", "mine").stdout)
    assert (shown["settings"]["source"], shown["status"]["state"], shown["problem"]) == ("chain.csv", "finished", None)
    assert "Use `sagvae fit --resume mine`." in refused("runs", "resume", "mine")
    assert "Use `sagvae runs stop mine`" in refused("runs", "pause", "mine")
    assert "`sagvae fit --resume mine --out FILE`" in refused("runs", "export", "mine")
    out = tmp_path / "mine.graphml"
    assert call("fit", "--resume", "mine", "--out", out, "--quiet").exit_code == 0 and out.stat().st_size
    assert "run name must be new, got 'mine'" in refused("fit", chain, "--run", "mine")
    assert "run name must be 1 to 64 letters" in refused("fit", chain, "--run", "../mine")
    assert "got 'mine', which is finished" in refused("runs", "stop", "mine")
    assert "run must be one of" in refused("fit", "--resume", "other")
    assert call("runs", "delete", "mine", "--yes").stdout == "Deleted mine.\n"
    assert not run.folder.exists()


@pytest.mark.parametrize(("name", "rows", "columns", "known"), [
    ("wine", 178, 13, ("flavanoids", "total phenols")), ("diabetes", 442, 11, ("LDL", "total cholesterol"))])
def test_the_examples_need_no_file_and_say_what_their_columns_are(tmp_path, name, rows, columns, known):
    from sagvae_core.tables import EXAMPLES, example_frame, recognise

    table = recognise(example_frame(name))
    assert (table.rows, len(table.names)) == (rows, columns) and table.complete.all()
    assert str(rows) in EXAMPLES[name].words
    out = tmp_path / "pairs.csv"
    said = call("fit", "--example", name, "--method", "correlation", "--out", out)
    assert said.exit_code == 0 and EXAMPLES[name].words in said.stdout
    strongest = max(csv.DictReader(out.read_text().splitlines()), key=lambda row: float(row["score"]))
    assert {strongest["source"], strongest["target"]} == set(known)


def test_an_example_that_is_none_is_a_sentence():
    from sagvae_core.tables import example_frame

    with pytest.raises(SagvaeError, match="example must be one of"):
        example_frame("iris")


def test_every_method_has_a_learner():
    from sagvae_core.learners import BASELINES

    assert set(METHODS) - {"sagvae"} <= set(BASELINES)


@pytest.mark.parametrize(("threshold", "bound", "words"), [
    (0.72, 0.97, "at least 72% of 50 random halves of the rows chose; by the bound of Shah and Samworth the expected "
                 "number of false ones among them is at most 0.97."),
    (1.0, 2.26, "all 50 random halves of the rows chose; by the bound"),
    (1.0, 55.2, "all 50 random halves of the rows chose; a half chooses so many pairs that the bound of Shah and "
                "Samworth says nothing of how many are false.")])
def test_a_selection_by_halves_says_what_its_bound_is_worth(threshold, bound, words):
    found = SimpleNamespace(frequency_=np.ones((5, 5)), resamples=50, threshold_=threshold, expected_false_=bound,
                            edges_=np.triu(np.ones((5, 5), dtype=bool), 1), n_rows_=30)
    assert words in selection(found)
    assert "are few" not in selection(found)
    found.n_rows_ = 29
    assert selection(found).endswith(" 29 rows are few: in so few, columns look related by chance alone.")


def test_a_shipped_fit_is_written_to_a_file_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SAGVAE_RUNS", str(tmp_path))
    out = tmp_path / "wine.csv"
    assert call("fit", "--resume", "wine-relations", "--out", out, "--quiet").exit_code == 0
    assert {path.name for path in tmp_path.glob("wine-*.csv")} == {f"wine-{method}.csv" for method in METHODS}
    assert "which is shipped with the package" in refused("runs", "delete", "wine-relations", "--yes")
    assert "FILE must be none beside --resume" in refused("fit", "--example", "wine", "--resume", "wine-relations")
