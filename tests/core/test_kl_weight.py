"""The baselines' KL weight: chosen by the error to clean validation images, in each reading."""

from __future__ import annotations

import pytest

from sagvae_core.presets import run_config
from sagvae_core.runs import Run, shipped_folder
from sagvae_core.studies import kl_weight
from sagvae_core.studies.image_methods import damage_settings
from sagvae_core.studies.reading import read_record


@pytest.mark.parametrize("damage", kl_weight.DAMAGES)
def test_the_weight_with_the_smallest_error_is_chosen(damage, monkeypatch):
    monkeypatch.setattr(kl_weight, "WEIGHTS", (0.3, 1000.0))
    seen = []
    record = kl_weight.tune_kl_weight("digits", "mlp_vae", damage, rows=100, on_row=seen.append)
    assert [row["setting"] for row in seen] == ["bernoulli, KL(z) x 0.3", "bernoulli, KL(z) x 1000"]
    assert {row["task"] for row in record["rows"]} == {f"digits, validation, {damage}"}
    errors = {0.3: seen[0]["mean"], 1000.0: seen[1]["mean"]}
    assert len(set(errors.values())) == 2 and record["chosen"]["mse_clean"] == min(errors.values())
    assert record["chosen"]["kl_z_weight"] == min(errors, key=errors.get)
    assert record["command"].endswith(f"--model mlp_vae --damage {damage} --rows 100 --seed 0")


def test_who_learns_from_clean_images_is_measured_on_masked_ones(monkeypatch):
    monkeypatch.setattr(kl_weight, "WEIGHTS", (0.01,))
    monkeypatch.setattr(kl_weight, "LIKELIHOODS", {"identity": ("bernoulli",)})
    record = kl_weight.tune_kl_weight("digits", "identity", "none", rows=300)
    assert record["chosen"]["mse_clean"] > 0.01, "a copy of undamaged images would have next to no error"


def test_the_recipes_use_what_was_chosen():
    studies = shipped_folder().parent / "studies"
    for name in ("digits", "mnist", "fashion"):
        for damage, what in kl_weight.DAMAGES.items():
            overrides = damage_settings(what, name)
            path = studies / f"kl-weight-{name}-identity-{damage}.json"
            if path.is_file():
                chosen, config = read_record(path)["chosen"], run_config(name, "identity", overrides=overrides)
                assert {stage.kl_z_weight for stage in config.train.stages} == {chosen["kl_z_weight"]}
                assert config.model.likelihood == chosen["likelihood"]
        chosen = read_record(studies / f"kl-weight-{name}-mlp_vae-noise.json")["chosen"]
        assert run_config(name, "mlp_vae").train.stages[0].kl_z_weight == chosen["kl_z_weight"]
    one, other = (Run(shipped_folder() / f"mnist-{role}").config for role in ("sagvae", "identity"))
    assert one.data == other.data and one.model.hidden == other.model.hidden
    elbo = [stage.epochs for stage in one.train.stages if stage.objective == "elbo"]
    assert elbo == [stage.epochs for stage in other.train.stages]
