"""The page Your data without a browser: a table, its columns, a fit, what it found, and what bad input says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from reading import errors, sound, unescaped, words

from sagvae_core import relation_runs
from sagvae_core.relation_runs import RelationRun, list_relation_runs
from sagvae_core.relation_work import fit_run
from sagvae_core.run_status import own_process
from sagvae_core.tables import recognise


def csv(rows: int = 40) -> bytes:
    random = np.random.default_rng(0)
    first = random.standard_normal(rows)
    columns = [first, first + 0.3 * random.standard_normal(rows), random.standard_normal(rows),
               random.integers(0, 2, rows)]
    lines = [",".join(f"{value:.5g}" for value in row) for row in zip(*columns)]
    return "\n".join(["one,[two](http://x.y),three,four,text", *(f"{line},t{n}" for n, line in enumerate(lines))
                      ]).encode()


@pytest.fixture
def no_process(monkeypatch):
    """Starting makes the run's folder and remembers it, but no process."""
    from dashboard import jobs

    started = []
    monkeypatch.setattr(jobs, "resume", started.append)
    return started


@pytest.fixture
def fitted(runs_folder) -> RelationRun:
    import io

    import pandas as pd

    table = recognise(pd.read_csv(io.BytesIO(csv())))
    run = RelationRun.create(runs_folder, "mine", table, "<b>people</b>.csv", ("partial_correlation", "correlation"), 4)
    fit_run(run)
    return run


def said(app) -> str:
    return unescaped(words(app))


def uploaded(app, name: str = "people.csv", data: bytes | None = None):
    app.file_uploader(key="table_file").set_value((name, csv() if data is None else data, "text/csv")).run()
    sound(app)
    return app


def edit(app, rows: dict[int, dict[str, str]]) -> None:
    """Cells of the preview become others."""
    app.session_state[app.data_editor[0].key] = {"edited_rows": rows, "added_rows": [], "deleted_rows": []}
    app.run()
    sound(app)


def start(app):
    return app.button(key="fit_start")


def test_nothing_is_there_at_all(open_page, monkeypatch, tmp_path):
    monkeypatch.setattr(relation_runs, "shipped_folder", lambda: tmp_path)
    app = open_page("your_data")
    sound(app)
    assert app.header[0].value == "Your data"
    assert "No table was fitted yet." in said(app)
    assert not app.error


@pytest.mark.parametrize(("name", "known"), [
    ("wine", ("total phenols", "flavanoids")), ("diabetes", ("total cholesterol", "LDL"))])
def test_at_first_there_are_finished_examples_which_stay(open_page, name, known):
    app = open_page("your_data", fit=f"{name.capitalize()} (example)")
    sound(app)
    assert not app.error and "Finished fits of two example tables" in said(app)
    assert app.selectbox(key="fit").options == ["Diabetes (example)", "Wine (example)"]
    assert " · 50 resamples" in said(app)
    assert {button.key for button in app.button if button.key} & {"fit_stop", "fit_resume", "fit_delete"} == set()
    edges = app.dataframe[0].value
    assert set(known) in [{first, second} for first, second in edges.iloc[:, :2].to_numpy()]


@pytest.mark.parametrize(("source", "columns"), [("wine", 13), ("diabetes", 11)])
def test_an_example_is_recognised_and_started(open_page, no_process, source, columns, runs_folder):
    app = open_page("your_data")
    app.button_group(key="table_source").set_value(source).run()
    sound(app)
    assert len(app.data_editor[0].value) == columns
    start(app).click().run()
    sound(app)
    run, = list_relation_runs(runs_folder)
    assert [started.name for started in no_process] == [run.name] == [source]
    assert (run.settings.methods, run.settings.resamples, len(run.settings.kinds)) == (("sagvae",), 20, columns)
    assert app.selectbox(key="fit").value == source


def test_an_upload_shows_its_columns_and_names_are_shown_letter_by_letter(open_page, no_process, runs_folder):
    app = uploaded(open_page("your_data"), "[a](http://b.c)=1.csv")
    shown = app.data_editor[0].value
    assert shown["Kind"].tolist() == ["continuous", "continuous", "continuous", "binary", "left out"]
    assert shown["Column"][1] == "[two](http://x.y)"
    assert shown["Examples"][0] == "0.12573, -0.1321, 0.64042"
    assert "40 rows, 5 columns, of which 1 is left out." in said(app)
    assert not [text.value for text in (*app.caption, *app.markdown) if "](http" in text.value]
    start(app).click().run()
    run, = list_relation_runs(runs_folder)
    assert run.name == "b", "what stands before the slash is a folder"
    sound(app)
    assert not [text.value for text in (*app.caption, *app.markdown) if "](http" in text.value]


def test_examples_of_numbers_keep_their_minus_and_a_formula_is_no_formula(open_page):
    rows = b"".join(b"-%d.5,%d,=1+%d\n" % (n * n % 31, n % 7, n) for n in range(30))
    app = uploaded(open_page("your_data"), data=b"a,b,c\n" + rows)
    assert app.data_editor[0].value["Examples"].tolist() == ["-0.5, -1.5, -4.5", "0, 1, 2", "'=1+0, =1+1, =1+2"]


def test_a_kind_that_a_column_cannot_be_is_a_sentence_and_nothing_is_lost(open_page, no_process):
    app = uploaded(open_page("your_data"))
    edit(app, {0: {"Kind": "binary"}, 2: {"Kind": "left out"}})
    assert "column 'one' must be of two distinct values to be binary" in errors(app)
    assert start(app).disabled
    assert app.session_state[app.data_editor[0].key]["edited_rows"][2] == {"Kind": "left out"}, "the editor keeps it"
    edit(app, {2: {"Kind": "left out"}})
    assert not app.error and not start(app).disabled
    start(app).click().run()
    assert list(no_process[0].settings.kinds) == ["one", "[two](http://x.y)", "four"]
    assert no_process[0].settings.left_out["three"] == "as you chose"


@pytest.mark.parametrize(("name", "data", "sentence"), [
    ("bad.csv", b"a,b\n1,2\n3,4,5\n6,7\n", "line 3 of the table must be 2 cells long"),
    ("empty.csv", b" ", "the table must be"), ("x.parquet", b"PAR1", "the table must be a whole Parquet file"),
    ("text.csv", b"a,b\nx,y\nz,w\nu,v\n", "at least two columns of numbers that vary")])
def test_a_bad_table_is_a_sentence(open_page, name, data, sentence):
    app = uploaded(open_page("your_data"), name, data)
    assert sentence in errors(app)
    assert "Traceback" not in errors(app)
    assert not [button for button in app.button if button.key == "fit_start"]


def test_what_was_found_is_shown_compared_and_deleted(open_page, fitted):
    app = open_page("your_data")
    sound(app)
    assert not app.error
    assert app.get("plotly_chart")
    assert "<b>people</b>.csv, 4 columns · Partial correlation, Correlation · 4 resamples" in said(app)
    assert "Left out: text: " in said(app)
    app.file_uploader(key="known_mine").set_value(("known.csv", b"one,three\n", "text/csv")).run()
    sound(app)
    assert not app.error, errors(app)
    app.file_uploader(key="known_mine").set_value(("known.csv", b"one,nobody\n", "text/csv")).run()
    sound(app)
    assert "nobody" in errors(app)
    app.button(key="fit_delete").click().run()
    sound(app)
    assert not fitted.folder.exists()
    assert app.selectbox(key="fit").value.endswith("-relations")  # what is left are the examples


def test_damaged_results_and_settings_are_sentences(open_page, fitted, cold_caches):
    (fitted.folder / "graph-correlation.npz").write_bytes(b"PK nothing")
    app = open_page("your_data")
    sound(app)
    assert "Correlation: graph-correlation.npz must be a file of arrays" in errors(app)
    assert app.get("plotly_chart"), "the other method is shown"
    (fitted.folder / "relations.json").write_text("{")
    app.run()
    sound(app)
    assert "relations.json must be valid JSON" in errors(app)
    app.button(key="fit_delete").click().run()
    assert not fitted.folder.exists()


def test_the_queue_of_the_train_page_shows_fits_which_are_stopped_and_watched_on_their_own_page(open_page, fitted):
    import dataclasses

    other = RelationRun.create(fitted.folder.parent, "other", fitted.table, "x.csv", ("correlation",))
    for place, run in enumerate((fitted, other)):
        run.write_status(dataclasses.replace(run.status, state="queued", device_key="cpu", queued_at=1.0 + place,
                                             **own_process()))
    app = open_page("train")
    sound(app)
    assert not app.error
    app.button(key="pause_other").click().run()
    assert (other.requested(), fitted.requested()) == ("stop", None)
    app.button(key="watch_mine").click().run()
    sound(app)
    assert app.header[0].value == "Your data"
    assert app.selectbox(key="fit").value == "mine"
    assert "Waits for" not in said(app) and "About to begin." in said(app)


def test_a_fit_in_progress_says_how_far_it_is_and_is_stopped(open_page, fitted):
    import dataclasses

    status = dataclasses.replace(fitted.status, state="running", step=7, seconds=30.0, eta_seconds=100.0,
                                 device_key="cpu", **own_process())
    (fitted.folder / "graph-correlation.npz").unlink()
    with fitted.claim():
        fitted.write_status(status)
        app = open_page("your_data")
        sound(app)
        bar, = app.get("progress")
        # The seconds since the status was written count too, and the machine may be slow.
        assert re.fullmatch(r"Correlation, 1 of 4 resamples · \d+ (s|min) so far · \d+ (s|min) left", bar.proto.text)
        train = open_page("train")
        sound(train)
        assert not train.error and not train.warning, "it is no damaged training"
        app.button(key="fit_stop").click().run()
        assert fitted.requested() == "stop"
    fitted.clear_request()
    app.run()
    sound(app)
    assert "Its process ended" in said(app)
    assert app.button(key="fit_resume").label == "Go on"


def test_what_all_rows_say_is_shown_while_resamples_are_fitted(open_page, fitted, monkeypatch):
    import dataclasses

    whole = fitted.graph("partial_correlation")
    first = dataclasses.replace(whole, frequency=None, lower=None, upper=None)
    fitted.graph_path("correlation").unlink()
    fitted.graph_path("partial_correlation").unlink()
    fitted.write_graph("partial_correlation", first, first=True)
    fitted.write_status(dataclasses.replace(fitted.status, state="running", step=2, **own_process()))
    app = open_page("your_data", fit="mine")
    sound(app)
    assert "Partial correlation: what all rows say." in " ".join(box.value for box in app.info)
    assert app.select_slider[0].label == "How many of the best pairs?"
    fitted.write_graph("partial_correlation", whole)
    app.run()
    sound(app)
    assert not app.info and app.select_slider[0].label == "How many resamples must choose a pair?"
