"""The Evidence page without a browser: every study, missing and damaged records, names nobody has heard of."""

from __future__ import annotations

import json
import re
import shutil

import evidence_records as made
import pytest
from reading import metric, sound, unescaped, words

from sagvae_core.studies.reading import read_edges, read_record, table

STUDIES = {"karate": "Karate (Table 1)", "graphs": "Benchmark graphs (Table 2)", "suite": "Suite",
           "labels": "Without labels"}
IMAGES = "Images (Figures 4–9)"


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return made.write_all(tmp_path_factory.mktemp("studies"))


@pytest.fixture
def studies(made_once, tmp_path, monkeypatch):
    """A folder of records for this test to spoil."""
    folder = shutil.copytree(made_once, tmp_path / "studies")
    monkeypatch.setenv("SAGVAE_STUDIES", str(folder))
    return folder


def charts(app) -> dict[str, str]:
    return {element.key: element.proto.spec for element in app.get("plotly_chart")}


def frame(app, place: int = 0):
    return app.dataframe[place].value


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_study_of_confidences_renders(open_page, studies, theme):
    app = open_page("evidence", study="Confidence")
    app.context["theme"] = theme
    app.run()
    sound(app)
    assert not app.error and "reliability" in charts(app)
    lines = frame(app).set_index("Method")
    posterior = lines.loc["SAG-VAE, posterior"]
    right, stated = (float(posterior[name].rstrip("%")) for name in ("Right", "Stated"))
    assert right == pytest.approx(stated, abs=2)  # as it was made
    assert float(lines.loc["SAG-VAE, share of halves", "Right"].rstrip("%")) > right
    assert posterior["Selected"] == ""
    assert "SAG-VAE, posterior: " in unescaped(words(app)) and "at least 90% sure, " in unescaped(words(app))
    app.multiselect[0].set_value(["karate"]).run()
    sound(app)
    assert "Intervals, edges" not in frame(app)
    assert int(frame(app)["Sure pairs"][0].replace(",", "")) < int(posterior["Sure pairs"].replace(",", ""))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_study_of_images_renders(open_page, studies, theme):
    app = open_page("evidence", study=IMAGES)
    app.context["theme"] = theme
    app.run()
    sound(app)
    assert not app.error
    assert {"figure_six", "figure_nine"} <= set(charts(app))
    assert app.code[0].value == "sagvae study images"
    record = read_record(studies / "images.json")
    table_of_noise = frame(app).set_index("Method")
    mean, sd, _ = table(record, "mse_clean")["Small digits, noise"]["SAG-VAE", "trained on noise"]
    assert table_of_noise["MSE"]["SAG-VAE"] == f"{mean:.4f} ± {sd:.4f}"
    names = list(table_of_noise.index)
    assert names[:2] == ["SAG-VAE", "SAG-VAE, decoder alone"] and names[-1].startswith("Tried: ")
    assert names.index("Denoising autoencoder") < names.index("Median filter") < names.index("Input unchanged")
    assert metric(app, "Noisy images, SSIM") == pytest.approx(
        table(record, "ssim")["Small digits, noise"]["SAG-VAE", "trained on noise"][0], abs=5e-4)


def test_damage_and_training_choose_the_table_of_images(open_page, studies):
    app = open_page("evidence", study=IMAGES)
    app.selectbox(key="damaged_by").set_value("white block").run()
    sound(app)
    assert app.selectbox(key="trained_on").value == "trained on white blocks"
    record = read_record(studies / "images.json")
    for setting in ("trained on white blocks", "trained on clean images"):
        app.selectbox(key="trained_on").set_value(setting).run()
        sound(app)
        mean, sd, _ = table(record, "ssim")["Small digits, white block"]["VAE (A = I)", setting]
        assert frame(app).set_index("Method")["SSIM"]["VAE (A = I)"] == f"{mean:.3f} ± {sd:.3f}"
    app.selectbox(key="damaged_by").set_value("undamaged").run()
    sound(app)
    assert app.selectbox(key="trained_on").value == "trained on clean images"


def test_a_study_of_images_that_has_just_begun_shows_what_it_has(open_page, studies):
    path = studies / "images.json"
    record = json.loads(path.read_text())
    record["rows"] = [row for row in record["rows"] if row["task"] == "Small digits, noise" and not row["setting"]]
    path.write_text(json.dumps(record))
    app = open_page("evidence", study=IMAGES)
    sound(app)
    assert not app.error and "Median filter" in list(frame(app)["Method"])
    assert "figure_six" not in charts(app)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("study", STUDIES)
def test_every_study_renders(open_page, studies, study, theme):
    app = open_page("evidence", study=STUDIES[study])
    app.context["theme"] = theme
    app.run()
    sound(app)
    assert not app.error
    assert app.header[0].value == "Evidence"
    assert {"precision_recall", "graph"} <= set(charts(app))
    assert ("figure_three" in charts(app)) == (study == "karate")
    assert app.code[0].value == f"sagvae study {'suite' if study == 'labels' else study}"
    assert frame(app)["Method"][0].startswith("SAG-VAE")


def test_headlines_are_the_records_numbers(open_page, studies):
    app = open_page("evidence")
    karate = table(read_record(studies / "karate.json"), "f1")[made.SYMMETRIC]
    assert metric(app, "Karate club, F1") == pytest.approx(karate[made.NODE, made.KNOWN][0], abs=5e-4)
    regrets, worst = ([row["mean"] for row in read_record(studies / "suite.json")["rows"] if row["metric"] == name]
                      for name in ("regret_ap", "regret_ap_worst"))
    assert metric(app, "Without labels, AP lost") == pytest.approx(sum(regrets) / len(regrets), abs=5e-4)
    assert metric(app, "… on the worst draw") == pytest.approx(max(worst), abs=5e-4)
    assert max(worst) > max(regrets)


def test_what_was_tried_stands_below_its_task_and_is_no_competitor(open_page, studies):
    app = open_page("evidence", study="Suite")
    sound(app)
    reached = table(read_record(studies / "suite.json"), "average_precision")[app.selectbox(key="task").value]
    mean, sd, _ = reached["tried: another normalisation", ""]
    assert f"another normalisation {mean:.3f} ± {sd:.3f}." in words(app)
    assert not [name for name in frame(app)["Method"] if "normalisation" in name]
    app.selectbox(key="task").set_value(app.selectbox(key="task").options[1]).run()
    assert "another normalisation" not in words(app)


def test_knowledge_and_task_choose_the_table(open_page, studies):
    app = open_page("evidence", task=made.ROW, told="Density unknown")
    sound(app)
    expected = table(read_record(studies / "karate.json"), "f1")[made.ROW][made.NODE, made.UNKNOWN]
    assert frame(app)["F1"][0] == f"{expected[0]:.3f} ± {expected[1]:.3f}"
    assert "F1, paper" not in frame(app)
    before = charts(app)["graph"]
    app.selectbox(key="task").set_value(made.SYMMETRIC).run()
    sound(app)
    assert charts(app)["graph"] != before
    app.selectbox(key="task").set_value("ablation, symmetric generator").run()
    sound(app)
    assert frame(app)["Method"].tolist() == ["recipe", "no attention", "no skip"]
    assert "No single edges were kept" in words(app)


def test_the_graph_is_of_the_chosen_method_and_cut(open_page, studies):
    app = open_page("evidence", told="Density unknown")
    kept = read_edges(studies / "karate.json")
    for method in ("All edges", made.SAMPLE):
        app.selectbox(key="method").set_value(method).run()
        sound(app)
        cell = next(cell for cell in kept if (cell.task, cell.method, cell.setting) ==
                    (made.SYMMETRIC, method, made.UNKNOWN))
        hits = int(((kept[cell].scores > kept[cell].threshold) & kept[cell].truth).sum())
        assert f"{hits} found and true" in words(app)
    before = charts(app)["graph"]
    app.segmented_control(key="cut").set_value("top K").run()
    sound(app)
    assert charts(app)["graph"] != before
    found = re.search(r"(\d+) found and true, (\d+) missed, (\d+) not true", words(app))
    hits, missed, false = map(int, found.groups())
    assert hits + missed == hits + false == 78  # as many as the club has friendships


def test_table_2_opens_where_there_is_a_graph_to_see(open_page, studies):
    app = open_page("evidence", study=STUDIES["graphs"])
    sound(app)
    assert app.selectbox(key="task").value == "PROTEINS, 64 nodes, graph 249"
    assert frame(app)["Method"].tolist()[-1] == "Reference: neighbours by number"
    assert "Grey lines are no competitors" in words(app)
    app.selectbox(key="task").set_value("ENZYMES, 18 nodes, all").run()
    sound(app)
    assert "No single edges were kept of this task, but of “ENZYMES, 18 nodes, graph 249”." in words(app)
    (studies / "graphs.safetensors").write_bytes(b"broken")
    app = open_page("evidence", study=STUDIES["graphs"])
    sound(app)
    assert app.selectbox(key="task").value == "PROTEINS, 64 nodes, all"
    assert len(app.error) == 1


def test_a_method_of_another_study_is_forgotten(open_page, studies):
    app = open_page("evidence", method="All edges")
    assert app.selectbox(key="method").value == "All edges"
    for study in ("labels", "graphs", "suite", "karate"):
        app.segmented_control(key="study").set_value(study).run()
        sound(app)
        assert not app.error
        assert app.selectbox(key="method").value in app.selectbox(key="method").options


def test_sizes_of_the_suite(open_page, studies):
    app = open_page("evidence", study="Suite", size="40 nodes, 200 rows")
    sound(app)
    assert all(task.endswith("40 nodes, 200 rows") for task in app.selectbox(key="task").options)
    ap = table(read_record(studies / "suite.json"), "average_precision")
    mean, *_ = ap[f"{made.FAMILIES[0]}, 40 nodes, 200 rows"]["SAG-VAE", ""]
    assert frame(app)[made.FAMILIES[0]][0].startswith(f"{mean:.3f}")


@pytest.mark.parametrize("study", STUDIES)
def test_a_missing_study_says_how_to_make_it(open_page, studies, study):
    name = "suite" if study == "labels" else study
    (studies / f"{name}.json").unlink()
    app = open_page("evidence", study=STUDIES[study])
    sound(app)
    assert not app.error
    assert f"`sagvae study {name}`" in words(app)


def test_nothing_measured_yet(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv("SAGVAE_STUDIES", str(tmp_path / "nothing"))
    app = open_page("evidence")
    sound(app)
    assert not app.metric
    assert "`sagvae study karate`" in words(app)


@pytest.mark.parametrize(("content", "message"), [
    (b"{", "valid JSON"), (b"[1]", "a study's record"), (b'{"study": 1}', "a study's record"),
    (b'{"study":"k","command":3,"versions":[],"seeds":[],"seconds":1,"rows":[]}', "Make the study again"),
])
def test_a_damaged_record_is_one_clear_sentence(open_page, studies, content, message):
    (studies / "karate.json").write_bytes(content)
    app = open_page("evidence")
    sound(app)
    assert len(app.error) == 1
    assert message in app.error[0].value
    app.segmented_control(key="study").set_value("suite").run()
    sound(app)
    assert not app.error


@pytest.mark.parametrize("damage", [lambda data: data[:200], lambda data: b"", lambda data: b"\xff" * 500])
def test_broken_edges_leave_table_and_command(open_page, studies, damage):
    edges = studies / "karate.safetensors"
    edges.write_bytes(damage(edges.read_bytes()))
    app = open_page("evidence")
    sound(app)
    assert "karate.safetensors must be the kept edges of a study" in app.error[0].value
    assert len(frame(app)) == 10
    assert app.code


def test_missing_edges_are_no_error(open_page, studies):
    (studies / "karate.safetensors").unlink()
    app = open_page("evidence")
    sound(app)
    assert not app.error
    assert "No single edges were kept" in words(app)


@pytest.mark.parametrize("study", ["karate", "graphs", "suite"])
def test_names_nobody_has_heard_of(open_page, studies, study):
    rows = [{"task": "<b>t</b> [x](y)", "method": method, "setting": setting, "metric": metric, "mean": 0.5, "sd": None,
             "n": None} for method, setting in (("m <i>", ""), ("m <i>", "s"), ("k", ""), ("paper: z", ""))
            for metric in ("f1", "average_precision", "new metric")]
    record = json.loads((studies / f"{study}.json").read_text()) | {"rows": rows, "notes": ["a *note*"]}
    (studies / f"{study}.json").write_text(json.dumps(record))
    app = open_page("evidence", study=STUDIES[study])
    sound(app)
    assert not app.error
    assert "m <i>, s" in frame(app)["Method"].tolist()
    assert "a \\*note\\*" in words(app)


def test_a_record_without_measurements(open_page, studies):
    record = json.loads((studies / "suite.json").read_text()) | {"rows": []}
    (studies / "suite.json").write_text(json.dumps(record))
    app = open_page("evidence", study="Suite")
    sound(app)
    assert "no measurement" in words(app)
