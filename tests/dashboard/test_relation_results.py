"""The results of a fit on a page: every part of it, for few and many columns, with whatever names."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reading import errors, sound, unescaped, words
from strangers import NAMES

from sagvae_core.graph_files import RelationGraph


def graphs_of(names, methods=("sagvae", "correlation"), resampled=True, seed=0) -> dict[str, RelationGraph]:
    random, found = np.random.default_rng(seed), {}
    count = len(names)
    for place, method in enumerate(methods):
        scores = np.triu(random.random((count, count)), 1)
        scores += scores.T
        steady = np.round(20 * scores) / 20
        selected = steady >= (0.7 if resampled else 2)
        found[method] = RelationGraph(
            tuple(names), scores, None if place else scores, selected if resampled else (scores > 0.7),
            steady if resampled else None, scores - 0.1 if resampled else None, scores + 0.1 if resampled else None,
            {} if place else {"predictability": list(random.random(count))},
            {"rows": 100, "selection": "As 70 % chose."}, np.clip(scores - 0.4, -1, 1) if resampled else None)
    return found


def page() -> None:
    import streamlit as st

    from dashboard import relation_results

    relation_results.show(st.session_state["graphs"], "fit", {"sagvae": "SAG-VAE"}, st.session_state["known"])


@pytest.fixture
def shown():
    """``shown(graphs, known)``: the page with them."""
    from streamlit.testing.v1 import AppTest

    def opened(graphs, known=None):
        app = AppTest.from_function(page, default_timeout=120)
        app.session_state["graphs"], app.session_state["known"] = graphs, known
        return app.run()

    return opened


def headings(app) -> list[str]:
    return [element.value for element in app.subheader]


EVERYTHING = ["Graph", "Pairs", "Edges", "Methods side by side", "Agreement", "Chosen by several",
              "Against the known graph", "Columns"]


def test_everything_is_there_in_its_order(shown):
    graphs = graphs_of("abcdefgh")
    app = shown(graphs, graphs["correlation"].selected)
    sound(app)
    assert headings(app) == EVERYTHING
    assert unescaped(app.markdown[0].value).startswith("SAG-VAE found")
    assert "between 8 columns in 100 rows" in app.markdown[0].value and "As 70 % chose" in app.markdown[0].value
    assert len(app.dataframe[0].value) == np.triu(graphs["sagvae"].selected, 1).sum()
    assert app.dataframe[2].value["F1"].tolist()[1] == 1.0, "the known graph is this method's"


def test_the_threshold_moves_every_part(shown):
    graphs = graphs_of("abcdefgh")
    app = shown(graphs)
    slider = app.select_slider(key="fit_sagvae_frequency_threshold")
    assert slider.options[slider.value] == "70 %, as selected"
    slider.set_value(slider.options.index("85 %")).run()
    sound(app)
    steady = graphs["sagvae"].frequency
    assert len(app.dataframe[0].value) == (np.triu(steady, 1) >= 0.85 - 1e-9).sum() > 0
    assert app.dataframe[0].value["Frequency"].min() >= 0.85 - 1e-9
    app.segmented_control(key="fit_method").set_value("correlation").run()
    sound(app)
    assert "Posterior" not in app.dataframe[0].value
    assert list(app.segmented_control(key="fit_shown").options) == ["Frequency", "Score", "Partial"]
    for shown_kind in ("score", "partial"):
        app.segmented_control(key="fit_shown").set_value(shown_kind).run()
        sound(app)


@pytest.mark.parametrize("resampled", [True, False])
@pytest.mark.parametrize("count", [2, 3, 70])
def test_few_and_many_columns(shown, count, resampled):
    app = shown(graphs_of([f"column {place}" for place in range(count)], resampled=resampled))
    sound(app)
    assert not app.error
    assert "Columns" in headings(app)


def test_graphs_without_edges_and_one_method_alone(shown):
    empty = RelationGraph(("a", "b", "c"), np.zeros((3, 3)), None, np.zeros((3, 3), dtype=bool))
    app = shown({"correlation": empty})
    sound(app)
    assert headings(app) == ["Graph", "Pairs", "Edges", "Columns"]
    assert "no edge at this threshold" in words(app)
    app = shown({"correlation": empty, "sagvae": empty}, np.ones((3, 3), dtype=bool))
    sound(app)
    assert "No two methods chose the same pair." in words(app)
    app = shown({})
    sound(app)
    assert "no method has finished" in words(app)


def test_what_does_not_fit_together_is_said(shown):
    graphs = graphs_of("abc")
    app = shown(graphs, np.ones((2, 2), dtype=bool))
    sound(app)
    assert "one of the table's 3 columns, got 2" in errors(app)
    app = shown(graphs | {"other": graphs_of("abd")["sagvae"]})
    sound(app)
    assert "the columns of other must be those of the other methods" in errors(app)


def test_names_of_strangers_are_text(shown):
    graphs = graphs_of(NAMES, methods=("sagvae", NAMES[0], NAMES[4], NAMES[17]))
    app = shown(graphs, graphs["sagvae"].selected)
    sound(app)
    assert headings(app) == EVERYTHING
    for chart in app.get("plotly_chart"):
        text = json.dumps(json.loads(chart.proto.spec))
        assert "<img" not in text and "<script" not in text and "<a " not in text
    assert not any("<img" in element.value or "![" in element.value for element in app.markdown)
    names = {name for frame in app.dataframe[:2] for name in frame.value["Source"]}
    assert not any(name.startswith(("=", "-", "@")) for name in names)
