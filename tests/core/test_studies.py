"""The commands behind the numbers: the tuning of the baselines, and the README's table."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sagvae_core.cli import cli
from sagvae_core.presets import run_config
from sagvae_core.runs import shipped_folder
from sagvae_core.settings import with_epochs
from sagvae_core.studies import kl_weight, shipped


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(kl_weight, "WEIGHTS", (0.1, 3.0))
    monkeypatch.setattr(kl_weight, "run_config", lambda *args, **options: with_epochs(run_config(*args, **options), 3))


@pytest.mark.parametrize(("model", "settings"), [("mlp_vae", 2), ("identity", 4)])
def test_the_best_weight_on_clean_validation_images_is_chosen(quick, tmp_path, model, settings):
    out = tmp_path / "deep" / "record.json"
    result = CliRunner().invoke(cli, ["study", "kl-weight", "--dataset", "digits", "--model", model, "--rows", "128",
                                      "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(out)
    record = json.loads(out.read_text())
    errors = {row["setting"]: row["mean"] for row in record["rows"] if row["metric"] == "mse_clean"}
    assert len(errors) == settings
    chosen = record["chosen"]
    assert errors[f"{chosen['likelihood']}, KL(z) x {chosen['kl_z_weight']:g}"] == min(errors.values())
    assert {row["n"] for row in record["rows"]} == {270}  # the validation rows, none of them trained on
    assert f"--model {model} --rows 128" in record["command"]


def test_more_rows_than_there_are_means_all(quick):
    assert "--rows 1078 " in kl_weight.tune_kl_weight("digits", "mlp_vae", rows=5000)["command"]


@pytest.mark.parametrize(("dataset", "model"), [(dataset, model) for dataset in ("digits", "mnist", "fashion")
                                                for model in ("identity", "mlp_vae")])
def test_the_recipes_use_what_the_committed_study_chose(dataset, model):
    record = json.loads((shipped_folder().parent / "studies" / f"kl-weight-{dataset}-{model}.json").read_text())
    config = run_config(dataset, model)
    assert {stage.kl_z_weight for stage in config.train.stages} == {record["chosen"]["kl_z_weight"]}
    assert config.model.likelihood == record["chosen"]["likelihood"]


def test_the_readme_shows_the_shipped_metrics(tmp_path):
    table = shipped.table(shipped_folder())
    assert len(table.splitlines()) == 2 + len(shipped.COMMANDS)
    readme = shipped_folder().parents[1] / "README.md"
    copy = tmp_path / "README.md"
    copy.write_text(readme.read_text(encoding="utf-8"), encoding="utf-8")
    shipped.write_readme(copy, shipped_folder())
    assert copy.read_text(encoding="utf-8") == readme.read_text(encoding="utf-8")
    assert table in copy.read_text(encoding="utf-8")
