"""What a page says of learned relations, on graphs small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from dashboard import figures, figures_relations, graph_picture, network, palette, relation_nodes
from dashboard import relation_numbers as numbers
from dashboard.edges import names_below, steady_bands
from dashboard.graph_picture import Drawn
from dashboard.names import BESIDE, one_line
from sagvae_core.graph_files import RelationGraph


def square(*values: float) -> np.ndarray:
    """The pairs (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3) as a symmetric matrix."""
    matrix = np.zeros((4, 4))
    matrix[np.triu_indices(4, 1)] = values
    return matrix + matrix.T


SCORES = square(0.9, 0.1, 0.2, 0.8, 0.3, 0.5)
FREQUENCY = square(1.0, 0.2, 0.0, 0.9, 0.4, 0.6)
NAMES = ("a", "=b", "c", "d")


def relations(selected: np.ndarray, **parts) -> RelationGraph:
    return RelationGraph(**{"names": NAMES, "scores": SCORES, "posterior": None, "selected": selected > 0} | parts)


RESAMPLED = relations(square(1, 0, 0, 1, 0, 1), frequency=FREQUENCY)
PLAIN = relations(square(1, 0, 0, 1, 0, 0))


def test_the_cut_starts_at_the_selection_and_moves_by_frequency():
    by = numbers.cut(RESAMPLED)
    assert by.kind == "frequency" and by.is_share and by.exact(RESAMPLED)
    assert by.labels[by.start] == "60 %, as selected" and by.levels[by.start] == 0.6
    assert list(by.levels) == sorted(by.levels) and by.labels[0] == "5 %" and by.labels[-1] == "100 %"
    counted = {label: int(numbers.pairs(by.edges(RESAMPLED, place)).sum()) for place, label in enumerate(by.labels)}
    assert counted["5 %"] == 5 and counted["40 %"] == 4 and counted["90 %"] == 2 and counted["100 %"] == 1
    assert not by.edges(RESAMPLED, 0).diagonal().any()


def test_a_selection_of_no_threshold_is_still_the_start():
    odd = relations(square(1, 0, 0, 0, 1, 0), frequency=FREQUENCY)
    by = numbers.cut(odd)
    assert not by.exact(odd)
    np.testing.assert_array_equal(by.edges(odd, by.start), odd.selected)
    none = relations(square(0, 0, 0, 0, 0, 0), frequency=FREQUENCY)
    by = numbers.cut(none)
    assert by.labels[-1] == "none, as selected" and by.start == len(by.levels) - 1
    assert not by.edges(none, by.start).any()


def test_the_start_is_the_threshold_of_the_bound_where_the_graph_tells_it():
    told = relations(square(1, 0, 0, 1, 0, 1), frequency=FREQUENCY, graph_attributes={"threshold": 0.52})
    by = numbers.cut(told)
    assert by.labels[by.start] == "52 %, as selected" and by.exact(told)
    other = relations(square(1, 0, 0, 1, 0, 0), frequency=FREQUENCY, graph_attributes={"threshold": 0.52})
    assert numbers.cut(other).labels[numbers.cut(other).start] == "90 %, as selected", "not what was selected by"


def test_without_resamples_it_goes_by_posterior_or_by_rank():
    by = numbers.cut(relations(square(1, 0, 0, 1, 0, 0), posterior=SCORES))
    assert by.kind == "posterior" and by.labels[by.start] == "80 %, as selected"
    by = numbers.cut(PLAIN)
    assert by.kind == "score" and not by.is_share
    assert by.labels == ("5 best", "3 best", "2, as selected", "1 best")
    missing = SCORES.copy()
    missing[2, 3] = missing[3, 2] = np.nan
    assert np.isfinite(numbers.cut(relations(square(1, 0, 0, 1, 0, 0), scores=missing)).levels).all()


def test_the_curve_counts_pairs_at_and_above():
    at, counts = numbers.curve(RESAMPLED, numbers.cut(RESAMPLED))
    found = dict(zip(np.round(at, 3).tolist(), counts.tolist()))
    assert (found[0.0], found[0.2], found[0.4], found[0.605], found[0.9], found[1.0]) == (6, 5, 4, 2, 2, 1)
    at, counts = numbers.curve(PLAIN, numbers.cut(PLAIN))
    assert at.tolist() == [0.1, 0.2, 0.3, 0.5, 0.8, 0.9] and counts.tolist() == [6, 5, 4, 3, 2, 1]


def test_strength_and_what_is_drawn():
    strong = numbers.strength(PLAIN)
    assert strong[0, 1] == 1 and strong[0, 2] == 0 and strong[2, 3] == pytest.approx(0.5)
    drawn = numbers.as_drawn(PLAIN, PLAIN.selected)
    np.testing.assert_array_equal(drawn > 0.5, PLAIN.selected)
    assert numbers.strength(relations(PLAIN.selected, scores=np.zeros((4, 4))))[0, 1] == 0.5


def test_the_table_of_edges_is_safe_and_in_order():
    frame = numbers.edge_table(RESAMPLED, RESAMPLED.selected)
    assert list(frame.columns) == ["Source", "Target", "Frequency", "Score"]
    assert frame.values.tolist() == [["a", "'=b", 1.0, 0.9], ["'=b", "c", 0.9, 0.8], ["c", "d", 0.6, 0.5]]
    full = relations(PLAIN.selected, posterior=SCORES, frequency=FREQUENCY, lower=SCORES - 1, upper=SCORES + 1)
    assert list(numbers.edge_table(full, full.selected).columns)[2:] == ["Posterior", "Frequency", "Score", "Lower",
                                                                          "Upper"]


def test_agreement_by_hand():
    other = relations(square(1, 0, 1, 0, 0, 0), scores=-SCORES)
    empty = relations(np.zeros((4, 4)), scores=np.zeros((4, 4)))
    np.testing.assert_allclose(numbers.overlap([PLAIN, other, empty]),
                               [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, np.nan]])
    np.testing.assert_allclose(numbers.rank_correlation([PLAIN, other, empty]),
                               [[1, -1, np.nan], [-1, 1, np.nan], [np.nan] * 3])
    frame = numbers.agreed_table([PLAIN, other, RESAMPLED])
    assert frame.values.tolist() == [["a", "'=b", 3, 1.0], ["'=b", "c", 2, 0.9]]
    assert numbers.pull([PLAIN, other])[0, 1] == 1 and numbers.pull([PLAIN, other])[0, 3] == 0.25


def test_recovery_by_hand():
    known = square(1, 0, 0, 0, 0, 1) > 0
    found = numbers.recovery(PLAIN, PLAIN.selected, known)
    assert (found.rates["hits"], found.rates["misses"], found.rates["false"]) == (1, 1, 1)
    assert found.rates["f1"] == pytest.approx(0.5)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.recall.tolist() == [0.5, 1.0] and found.precision.tolist() == pytest.approx([1, 2 / 3])


@pytest.mark.parametrize("seed", range(6))
def test_betweenness_is_that_of_networkx(seed):
    graph = nx.gnp_random_graph(17, 0.06 + 0.1 * seed, seed)
    expected = list(nx.betweenness_centrality(graph).values())
    np.testing.assert_allclose(relation_nodes.betweenness(nx.to_numpy_array(graph)), expected, atol=1e-12)


def test_centralities_and_their_ranges():
    by = numbers.cut(RESAMPLED)
    ranges = relation_nodes.centrality_ranges(RESAMPLED, by, RESAMPLED.selected)
    assert ranges["degree"].T.tolist() == [[1, 1, 1], [2, 1, 2], [2, 0, 2], [1, 0, 1]]
    assert ranges["betweenness"][0].tolist() == pytest.approx([0, 2 / 3, 2 / 3, 0])
    assert ranges["strength"][0, 1] == pytest.approx(1.0 + 0.875)
    ranked = relation_nodes.centrality_ranges(PLAIN, numbers.cut(PLAIN), PLAIN.selected)
    assert (ranked["degree"][1] <= ranked["degree"][0]).all() and (ranked["degree"][0] <= ranked["degree"][2]).all()
    none = relations(np.zeros((4, 4)))
    assert not relation_nodes.centrality_ranges(none, numbers.cut(none), none.selected)["degree"].any()


def test_predictability_may_be_missing():
    assert relation_nodes.predictability(PLAIN) is None
    given = relations(PLAIN.selected, node_attributes={"predictability": [0.5, None, 1.2, -0.1]})
    np.testing.assert_array_equal(relation_nodes.predictability(given), [0.5, np.nan, 1.0, 0.0])


def test_the_summary_says_what_is_known():
    assert numbers.summary(PLAIN, "X") == "X found 2 edges between 4 columns, 33% of all pairs."
    told = relations(square(1, 0, 0, 0, 0, 0), graph_attributes={"rows": 1200, "selection": "At least half chose it."})
    assert numbers.summary(told, "X") == ("X found 1 edge between 4 columns in 1,200 rows, 17% of all pairs. "
                                          "At least half chose it.")
    assert numbers.titled({"a": PLAIN, "b": PLAIN, "c": PLAIN}, {"a": "T", "b": "T"}) == {
        "a": "T (a)", "b": "T (b)", "c": "c"}


def test_names_that_would_cover_each_other_are_left_out():
    places = np.array([[0.0, 0.0], [0.02, 0.0], [0.04, 0.0], [1.0, 1.0]])
    linked = np.zeros((4, 4), dtype=bool)
    linked[1, 3] = linked[2, 3] = linked[3, 1] = linked[3, 2] = True
    names = ["a long name", "another name", "a third name", "far"]
    written, below = figures_relations.readable(places, names, linked, (400, 400))
    assert written.tolist() == [False, True, True, True], "who has no edge goes without"
    assert below.tolist()[1:] == [True, False, False], "where there is no room below, above"
    assert figures_relations.readable(np.zeros((1, 2)), ["x"], linked[:1, :1], (400, 400))[0].tolist() == [True]


def test_a_name_stands_on_the_side_where_fewer_edges_leave():
    places = np.array([[0.0, 0.0], [0.1, 1.0], [0.2, -1.0], [1.0, 0.1]])
    linked = np.zeros((4, 4), dtype=bool)
    linked[0, 1] = linked[1, 0] = linked[0, 3] = linked[3, 0] = True
    assert names_below(places, linked).tolist() == [True, False, False, False]
    linked[0, 2] = linked[2, 0] = True
    assert names_below(places, linked).tolist() == [False, False, True, False], "edges on both sides: above"
    drawn = Drawn(linked.astype(float), 0.5, places, ["a long name", "b", "c", "d"])
    figure = figures_relations.graph(drawn, lambda first, second: "")
    placed = {node: where for trace in figure.data if trace.mode == "markers+text"
              for node, where in zip(trace.customdata, trace.textposition)}
    assert [placed[node].split()[0] for node in range(4)] == ["top", "top", "bottom", "top"]


def test_common_edges_stand_out_beside_each_other():
    figure = figures_relations.side_by_side({"X": PLAIN.selected, "Y": RESAMPLED.selected}, np.eye(4)[:, :2], NAMES)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [np.isnan(trace.x.astype(float)).sum() for trace in lines] == [0, 2, 1, 2]


def test_few_columns_are_shown_of_many():
    ranges = {"degree": np.stack([np.arange(100.0)] * 3)}
    figure = figures_relations.columns([f"c{place}" for place in range(100)], None, ranges)
    assert figure.layout.meta == {"shown": 40, "total": 100} and figure.layout.yaxis.ticktext[0] == "c99"


def test_steady_edges_are_opaque_in_every_drawing():
    assert steady_bands(np.array([0.0, 0.49, 0.5, 2 / 3, 5 / 6, 1.0])).tolist() == [0, 0, 1, 2, 3, 3]
    drawn = graph_picture.Drawn(numbers.as_drawn(RESAMPLED, RESAMPLED.selected), 0.5, np.eye(4)[:, :2], NAMES,
                                steadiness=FREQUENCY)
    svg = graph_picture.svg(drawn).decode()
    assert svg.count('stroke-opacity="0.95"') == 2 and svg.count('stroke-opacity="0.40"') == 1
    assert network.pyvis_html(**vars(drawn)).count('"opacity":0.95') == 2
    lines = [trace for trace in figures.network_figure(**vars(drawn)).data if trace.mode == "lines"]
    assert sorted((trace.opacity, len(trace.x) // 3) for trace in lines) == [(0.4, 1), (0.95, 2)]


def test_negative_edges_are_blue_and_dashed_in_every_drawing():
    below = np.zeros((4, 4), dtype=bool)
    first, second = np.argwhere(np.triu(RESAMPLED.selected, 1))[0]
    below[first, second] = below[second, first] = True
    drawn = graph_picture.Drawn(numbers.as_drawn(RESAMPLED, RESAMPLED.selected), 0.5, np.eye(4)[:, :2], NAMES,
                                steadiness=FREQUENCY, negative=below)
    for dark in (False, True):
        color = palette.edge_styles(dark)["negative"].color
        figure = figures.network_figure(**vars(drawn), dark=dark)
        own = [trace for trace in figure.data if trace.mode == "lines" and trace.line.color == color]
        assert [(len(trace.x) // 3, trace.line.dash, trace.showlegend) for trace in own] == [
            (1, "dash", False), (0, "dash", True)]
        assert sum(len(trace.x) // 3 for trace in figure.data if trace.mode == "lines") == 3
    color = palette.edge_styles()["negative"].color
    svg = graph_picture.svg(drawn).decode()
    assert svg.count(f'stroke="{color}"') == 2 and svg.count(">negative</text>") == 1  # the edge, and in the legend
    page = network.pyvis_html(**vars(drawn))
    assert page.count(f'"color":"{color}"') == 1 and "negative</li>" in page
    plain = graph_picture.svg(replace(drawn, negative=np.zeros((4, 4), dtype=bool))).decode()
    assert color not in plain and "negative" not in plain


def test_a_partial_correlation_stands_beside_the_pair_and_in_its_hover():
    signed = replace(RESAMPLED, partial=np.where(np.eye(4, dtype=bool), 1.0, -0.25))
    assert (numbers.edge_table(signed, signed.selected)["Partial correlation"] == -0.25).all()
    assert "partial correlation −0.25" in numbers.edge_words(signed, 0, 1)
    assert "Partial correlation" not in numbers.edge_table(RESAMPLED, RESAMPLED.selected)


def test_names_at_the_sides_of_the_figure_have_room():
    called = ("proanthocyanins of the west", "b", "nonflavanoid phenols", "d")
    placed = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.5, -0.5]])
    drawn = graph_picture.Drawn(numbers.as_drawn(PLAIN, PLAIN.selected), 0.5, placed, called)
    low, high = figures_relations.graph(drawn, lambda first, second: "").layout.xaxis.range
    pixels_a_unit = 460 / (high - low)
    for (x, _), name in zip(placed, called):
        half = 3.2 * len(one_line(name, BESIDE)) - 1
        assert (x - low) * pixels_a_unit >= half and (high - x) * pixels_a_unit >= half
    short = graph_picture.Drawn(drawn.probabilities, 0.5, placed, ("a", "b", "c", "d"))
    narrow = figures_relations.graph(short, lambda first, second: "").layout.xaxis.range
    assert low < narrow[0] and high > narrow[1]
