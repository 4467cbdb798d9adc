"""What the figures show, read back from the figure itself; how much of it travels to the browser."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dashboard import figures, network, palette
from dashboard.names import ALONG, plotly_text

RNG = np.random.default_rng(0)
HOSTILE = "<a href='https://evil.example'>x</a>"


def symmetric(size: int) -> np.ndarray:
    matrix = np.triu(RNG.uniform(0, 1, (size, size)), 1)
    return matrix + matrix.T


THREE = np.array([[0.0, 0.904, 0.2], [0.904, 0.0, 0.5], [0.2, 0.5, 0.0]])
TRUTH = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("dark", [False, True])
def test_partial_correlations_have_the_page_as_their_nought(dark):
    partial = np.array([[1.0, -0.5, np.nan], [-0.5, 1.0, 0.25], [np.nan, 0.25, 1.0]])
    figure = figures.score_heatmap(partial, names=["a", "b", "c"], dark=dark, signed=True)
    heat = figure.data[0]
    assert (heat.zmin, heat.zmax) == (-1, 1) and heat.z[0][1] == -0.5 and np.isnan(heat.z[0][[0, 2]]).all()
    assert [color for place, color in heat.colorscale if place == 0.5] == [palette.diverging(dark)[3]]
    assert heat.colorscale[0][1] == palette.edge_styles(dark)["negative"].color, "as in the graph"
    assert "partial correlation <b>%{z:+.2f}" in heat.hovertemplate
    assert figures.score_heatmap(partial).data[0].zmin > -1


def test_heatmap_shows_whole_per_cents_in_the_asked_order():
    figure = figures.adjacency_heatmap(THREE, np.array([2, 0, 1]), ["a", HOSTILE, "c"], selected=0)
    heat = figure.data[0]
    assert heat.z.dtype == np.uint8
    assert heat.z.tolist() == [[0, 20, 50], [20, 0, 90], [50, 90, 0]]
    assert list(figure.layout.xaxis.ticktext) == ["c", "a", plotly_text(HOSTILE, ALONG)]
    assert "<" not in plotly_text(HOSTILE)
    assert "%{z} %" in heat.hovertemplate
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert [shape.x0 for shape in figure.layout.shapes] == [-0.5, 0.5]  # node 0 stands in place 1
    with pytest.raises(ValueError, match=r"got \(2, 3\)"):
        figures.adjacency_heatmap(np.zeros((2, 3)))


def test_names_stand_on_the_axes_of_small_graphs_only():
    assert figures.adjacency_heatmap(symmetric(60)).layout.xaxis.showticklabels
    assert not figures.adjacency_heatmap(symmetric(61)).layout.xaxis.showticklabels


def test_heatmap_of_an_image_model_is_below_a_megabyte():
    probabilities = symmetric(784)
    assert len(figures.adjacency_heatmap(probabilities).to_json()) < 1_000_000
    assert len(figures.truth_heatmap(probabilities, probabilities > 0.9, 0.5).to_json()) < 1_000_000


def test_truth_heatmap_codes_hits_misses_and_false_edges():
    heat = figures.truth_heatmap(THREE, TRUTH, 0.4).data[0]
    assert heat.z.dtype == np.uint8
    assert heat.z.tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
    assert heat.customdata.tolist()[0] == [0, 90, 20]
    colors = [color for _, color in heat.colorscale]
    assert colors[2] == palette.edge_styles()["hit"].color
    assert colors[-1] == palette.edge_styles()["false"].color
    dark = figures.truth_heatmap(THREE, TRUTH, 0.4, dark=True)
    assert dark.data[1].marker.color == palette.edge_styles(True)["hit"].color


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_edge_count_curve_marks_the_current_count(threshold):
    figure = figures.edge_count_curve(THREE, threshold)
    curve, mark = figure.data
    assert curve.y[0] == 3
    assert curve.y[-1] == 0
    assert mark.x[0] == 100 * threshold
    assert mark.y[0] == network.edge_count(THREE, threshold)
    assert figure.layout.yaxis.type != "log"
    assert figures.edge_count_curve(symmetric(100), 0.5).layout.yaxis.type == "log"
    assert len(figures.edge_count_curve(np.zeros((5, 5)), threshold).data) == 2


def edges_of(trace) -> int:
    return len(trace.x) // 3


def test_network_figure_counts_edges_by_kind():
    positions = np.array([[-1, 0], [1, 0], [0, 1]])
    figure = figures.network_figure(THREE, 0.4, positions, ["a", HOSTILE, "c"], [0, 0, 1], ["x", "y"], TRUTH)
    by_name = {trace.name: trace for trace in figure.data}
    assert {kind: edges_of(by_name[palette.edge_styles()[kind].label]) for kind in palette.EDGE_KINDS} == {
        "hit": 1, "miss": 1, "false": 1}
    assert by_name["found, not true"].line.dash == "dash"
    assert by_name["true, not found"].line.dash == "dot"
    assert by_name["x"].customdata.tolist() == [0, 1]
    assert by_name["y"].customdata.tolist() == [2]
    assert figure.layout.meta == {"shown": 3, "total": 3}
    assert "<a" not in figure.to_json().replace("\\u003c", "<")


def test_network_figure_keeps_the_surest_and_reports_the_rest():
    probabilities = symmetric(100)
    figure = figures.network_figure(probabilities, 0.1, network.layout(probabilities, "circular"), max_edges=200)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert sum(map(edges_of, lines)) == 200
    assert figure.layout.meta == {"shown": 200, "total": network.edge_count(probabilities, 0.1)}


def test_highlight_draws_the_own_edges_of_a_node():
    figure = figures.network_figure(THREE, 0.1, np.eye(3, 2), highlight=0)
    own = [trace for trace in figure.data if trace.mode == "lines" and trace.line.color == palette.accent()]
    assert [edges_of(trace) for trace in own] == [2]
    assert sum(edges_of(trace) for trace in figure.data if trace.mode == "lines") == 3


def test_pixel_grid_of_784_nodes_is_light_and_upright():
    probabilities = symmetric(784)
    positions = network.layout(probabilities, "grid", (28, 28))
    figure = figures.network_figure(probabilities, 0.5, positions)
    assert len(figure.to_json()) < 400_000
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.yaxis.range[0] < figure.layout.yaxis.range[1]
    assert figure.layout.meta["shown"] == 4000


def test_pixel_picker_reports_the_flat_index_and_never_dims():
    values = np.arange(6, dtype=float).reshape(2, 3)
    figure = figures.pixel_picker(values, (1, 2), backdrop=values / 5, label="links")
    pick = next(trace for trace in figure.data if trace.type == "scatter")
    index = int(np.flatnonzero((np.asarray(pick.x) == 2) & (np.asarray(pick.y) == 1))[0])
    assert pick.customdata[index] == 5
    assert pick.text[index] == "5"
    assert pick.marker.opacity == pick.selected.marker.opacity == pick.unselected.marker.opacity
    assert pick.marker.size >= figure.layout.height / 3  # cells are square: no gap between the markers
    assert figure.data[0].hoverinfo == "skip"
    assert [(shape.x0, shape.y0) for shape in figure.layout.shapes] == [(1.5, 0.5)] * 2
    blank = figures.pixel_picker(values, backdrop=np.zeros((2, 3)))
    assert [trace.type for trace in blank.data] == ["heatmap", "scatter"]
    with pytest.raises(ValueError, match=r"\(H, W\), got \(6,\)"):
        figures.pixel_picker(values.ravel())


def test_neighbourhood_map_is_small_and_leaves_out_the_pixel_itself():
    row = np.linspace(0, 1, 784)
    row[30] = 1.0
    figure = figures.neighbourhood_map(row, (28, 28), (1, 2))
    assert figure.data[0].z[1, 2] == 0
    assert figure.data[0].z[27, 27] == 100
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 100)
    assert len(figure.to_json()) < 30_000
    with pytest.raises(ValueError, match=r"shape \(784,\) for an image of 28 x 28, got \(783,\)"):
        figures.neighbourhood_map(row[1:], (28, 28), (1, 2))


def test_figure_one_has_three_rows_and_marks_the_unseen_column():
    truth, rebuilt = RNG.normal(size=(2, 3, 2)), RNG.normal(size=(2, 3, 2))
    figure = figures.figure_one(truth, rebuilt, np.array([[0, 1], [0, 2]]), THREE, 0.4, [0, 1, 1], ["A", "B"], unseen=1)
    same = figures.figure_one(truth, rebuilt, TRUTH, THREE, 0.4, [0, 1, 1], ["A", "B"], unseen=1)
    assert same.to_json() == figure.to_json()  # the links as an adjacency
    with pytest.raises(ValueError, match=r"shape \(E, 2\) or \(3, 3\), got \(4, 4\)"):
        figures.figure_one(truth, rebuilt, np.zeros((4, 4)), THREE, 0.4)
    lines = [edges_of(trace) for trace in figure.data if trace.mode == "lines"]
    assert lines == [2, 2, 1, 1] * 2  # truth, truth on reconstruction, hits, false edges
    assert [trace.name for trace in figure.data if trace.showlegend] == ["found and true", "found, not true"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles[:2] == ["A", "B<br><b>never seen in training</b>"]
    for column in (1, 2):
        axes = [figure.get_subplot(row, column) for row in (1, 2, 3)]
        assert len({axis.xaxis.range for axis in axes}) == 1
        assert len({axis.yaxis.range for axis in axes}) == 1
        assert {axis.xaxis.linecolor == palette.accent() for axis in axes} == {column == 2}


def test_curves_of_several_runs_have_a_colour_each_and_no_line_without_numbers():
    runs = {"one": [{"epoch": epoch, "elbo": -epoch, "validation_elbo": -epoch - 1} for epoch in (1, 2, 3)],
            "<b>two": [{"epoch": 1, "elbo": float("nan")}, {"epoch": 2, "elbo": 5.0}], "none": [{"epoch": 1}]}
    figure = figures.compare_curves(runs, "elbo", "ELBO")
    curves, meanings = figure.data[:3], figure.data[3:]
    assert [(trace.name, trace.mode, trace.line.dash, list(trace.x)) for trace in curves] == [
        ("one", "lines", "solid", [1, 2, 3]), ("one", "lines", "dash", [1, 2, 3]),
        ("&lt;b&gt;two", "markers", "solid", [1, 2])]
    assert len({trace.line.color for trace in curves}) == 2
    assert [trace.showlegend for trace in curves] == [True, False, True]
    assert [(trace.name, trace.line.dash, trace.legend) for trace in meanings] == [
        ("training", "solid", "legend2"), ("held out", "dash", "legend2")]
    assert figure.layout.yaxis.title.text == "ELBO"


STAGES = [{"epoch": epoch, "stage": stage, "elbo": 1.0 * epoch, "validation_elbo": 2.0 * epoch}
          for epoch, stage in ((1, 0), (2, 0), (3, 1), (4, 1), (5, 2))]


@pytest.mark.parametrize("dark", [False, True])
def test_compared_curves_are_marked_where_a_stage_begins_and_broken_where_the_quantity_changes(dark):
    figure = figures.compare_curves({"one": STAGES, "two": STAGES[:2]}, "elbo", "ELBO", dark, {"one": {2}})
    drawn = [trace for trace in figure.data if trace.legend != "legend2"]
    assert [(trace.mode, list(trace.x)) for trace in drawn] == [
        ("lines", [1, 2, 3, 4]), ("markers", [5]), ("lines", [1, 2, 3, 4]), ("markers", [5]), ("markers", [3, 5]),
        ("lines", [1, 2]), ("lines", [1, 2])]
    assert [trace.showlegend for trace in drawn] == [True, *[False] * 4, True, False]
    said = [trace for trace in figure.data if trace.legend == "legend2"]
    assert [trace.name for trace in said] == ["training", "held out", "a stage begins"]
    assert said[-1].marker.symbol == drawn[4].marker.symbol == "diamond"
    assert said[-1].marker.line.color == palette.ink(dark)


def test_a_curve_is_broken_where_its_name_stands_for_another_quantity():
    from dashboard.curves import breaks
    from sagvae_core.presets import run_config

    found = breaks(run_config("digits").train.stages)  # warm, warm with more KL, robust, completion, trusting
    assert found["elbo"] == {1, 2, 3, 4}
    assert found["log_likelihood"] == {2, 3, 4}
    assert found["kl_z"] == found["kl_graph"] == found["outlier_rate"] == {3}
    assert not any(breaks(run_config("karate").train.stages).values())
    figure = figures.training_curves(STAGES, breaks={"elbo": {1}})
    assert [(trace.mode, list(trace.x)) for trace in figure.data] == [
        ("lines", [1, 2]), ("lines", [3, 4, 5])] * 2
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2


def test_small_numbers_have_no_unit_and_large_ones_have():
    def ticks(value: float) -> str:
        return figures.training_curves([{"epoch": 1, "elbo": value}]).layout.yaxis.tickformat

    assert (ticks(0.4), ticks(-12_000), ticks(float("nan"))) == ("~g", "~s", "~g")


def test_training_curves_draw_train_solid_and_held_out_dashed():
    records = [{"epoch": epoch, "stage": epoch // 3, "elbo": -1.0 * epoch, "validation_elbo": -2.0 * epoch, "kl_z": 1.0}
               for epoch in (1, 2, 3)]
    records.append({"epoch": 4, "stage": 1, "elbo": float("nan")})
    figure = figures.training_curves(records)
    assert [(trace.name, trace.line.dash) for trace in figure.data] == [
        ("training", "solid"), ("held out", "dash"), ("training", "solid")]
    np.testing.assert_array_equal(figure.data[0].y, [-1, -2, -3, np.nan])
    np.testing.assert_array_equal(figure.data[1].y, [-2, -4, -6, np.nan])
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2
    assert {shape.x0 for shape in figure.layout.shapes} == {2.5}  # between the stages
    assert len(figures.training_curves([]).data) <= 1
    own_words = figures.training_curves(records, ["kl_z"], {"kl_z": "code"})
    assert [note.text for note in own_words.layout.annotations] == ["code"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_transparent_and_valid_json(dark):
    positions = np.eye(3, 2)
    for figure in (
        figures.adjacency_heatmap(THREE, dark=dark), figures.truth_heatmap(THREE, TRUTH, 0.4, dark=dark),
        figures.edge_count_curve(THREE, 0.4, dark=dark), figures.network_figure(THREE, 0.4, positions, dark=dark),
        figures.pixel_picker(THREE, dark=dark), figures.neighbourhood_map(THREE.ravel(), (3, 3), (0, 0), dark=dark),
        figures.training_curves([{"epoch": 1, "elbo": 0.0}], dark=dark),
        figures.figure_one(positions[None], positions[None], np.array([[0, 1]]), THREE, 0.4, dark=dark),
    ):
        layout = json.loads(figure.to_json())["layout"]
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
