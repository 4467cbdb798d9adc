"""What the pages compute once: the same damage for every model, caches that never serve an old one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dashboard import listing, resources
from sagvae_core.checkpoint import read_json, read_tensors, write_json, write_tensors
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import run_config
from sagvae_core.runs import Run, Status, shipped_folder


def info(name: str) -> listing.RunInfo:
    return next(info for info in listing.run_infos()[0] if info.name == name)


@pytest.fixture
def keys() -> tuple[str, str]:
    return info("digits-sagvae").key, info("digits-identity").key


# ---------------------------------------------------------------------------------------------------- runs

def test_shipped_runs_come_first_and_users_keep_their_name(copy_run, runs_folder):
    copy_run("karate-sagvae", "aaa")
    Run.create(runs_folder, "waiting", run_config("digits"))
    infos, problems = listing.run_infos()
    assert not problems
    shipped = [item.shipped for item in infos]
    assert shipped == sorted(shipped, reverse=True)
    assert not info("aaa").shipped
    assert "aaa" in info("aaa").label
    assert not info("waiting").has_model
    assert info("karate-sagvae").has_graph
    assert not info("digits-identity").has_graph


def test_an_unreadable_run_is_a_sentence(copy_run):
    (copy_run("digits-sagvae", "spoiled") / "config.json").write_text("{")
    infos, problems = listing.run_infos()
    assert "spoiled" not in [item.name for item in infos]
    assert len(problems) == 1
    assert problems[0].startswith("spoiled: config.json must be valid JSON")


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])


def another_model(folder: Path) -> None:
    for name in ("model.json", "model.safetensors"):
        shutil.copy(shipped_folder() / "karate-sagvae" / name, folder)


@pytest.mark.parametrize(("damage", "says"), [(cut_off, "model.safetensors must be"), (
    another_model, "model.json must be the model of config.json, got another model")])
def test_a_run_with_a_damaged_model_is_a_sentence_and_none_of_the_models(copy_run, damage, says):
    damage(copy_run("digits-sagvae", "spoiled"))
    infos, problems = listing.run_infos()
    assert "spoiled" not in [item.name for item in infos]
    assert len(problems) == 1
    assert problems[0].startswith(f"spoiled: {says}")


def test_key_and_cache_change_with_the_model_file(copy_run, cold_caches):
    folder = copy_run("digits-sagvae", "mine")
    before, posterior = info("mine").key, resources.edge_posterior(info("mine").key)
    assert resources.edge_posterior(before) is not None
    assert info("mine").key == before, "the key stays as long as the file"
    tensors = read_tensors(folder / "model.safetensors")
    tensors["posterior_pairs"] = torch.zeros_like(tensors["posterior_pairs"])
    write_tensors(folder / "model.safetensors", tensors)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    after = info("mine").key
    assert after != before
    assert posterior.max() > 0.5
    assert resources.edge_posterior(after).max() == 0


def test_a_model_is_shared_read_only_and_in_eval_mode(keys):
    model = resources.model(keys[0])
    assert model is resources.model(keys[0])
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_nothing_is_downloaded_by_looking(copy_run, cold_caches, monkeypatch, tmp_path):
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path / "empty"))
    folder = copy_run("digits-sagvae", "mine")
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"data": config["data"] | {"name": "mnist"}})
    with pytest.raises(SagvaeError, match="SAGVAE_DATA"):
        resources.dataset(info("mine").key)
    assert not (tmp_path / "empty").exists()


# ---------------------------------------------------------------------------------------------------- the graph

@pytest.mark.parametrize("name", ["karate-sagvae", "digits-sagvae"])
def test_graph_of_a_run(name):
    key = info(name).key
    posterior, nodes = resources.edge_posterior(key), resources.dataset(key).num_nodes
    assert posterior.shape == (nodes, nodes)
    np.testing.assert_array_equal(posterior, posterior.T)
    assert not posterior.diagonal().any()
    for by in ("original", "community", "degree"):
        assert sorted(resources.order(key, by)) == list(range(nodes))
    assert len(resources.communities(key)) == nodes
    layout = resources.layout(key)
    assert layout.shape == (nodes, 2)
    assert np.isfinite(layout).all()


def test_pixels_lie_on_their_grid():
    layout = resources.layout(info("digits-sagvae").key)
    assert len(np.unique(layout[:, 0].round(6))) == len(np.unique(layout[:, 1].round(6))) == 8
    assert layout[0, 0] < layout[7, 0], "columns run to the right"
    assert layout[0, 1] > layout[63, 1], "rows run downwards, y upwards"


def test_scores_follow_the_threshold():
    key = info("karate-sagvae").key
    scores = resources.scores(key, 0.5)
    for name in ("precision", "recall", "f1", "average_precision"):
        assert scores[name] == pytest.approx(info("karate-sagvae").metrics[name], abs=1e-6)
    assert resources.scores(key, 1.0)["recall"] == 0


def test_positions_are_one_held_out_row_of_every_pattern():
    key = info("karate-sagvae").key
    drawn, data = resources.positions(key, 0), resources.dataset(key)
    patterns = len(data.class_names)
    assert drawn.truth.shape == drawn.reconstruction.shape == (patterns, 34, 2)
    assert drawn.unseen == patterns - 1
    assert (data.test.labels == patterns - 1).all(), "the unseen pattern is the test split"
    assert not (data.train.labels == patterns - 1).any()
    unseen = data.original(data.test.clean[:1], torch.tensor([patterns - 1]))
    np.testing.assert_allclose(drawn.truth[-1], unseen[0].numpy(), rtol=1e-5)
    assert not np.array_equal(drawn.truth, resources.positions(key, 1).truth)
    assert np.mean((drawn.truth - drawn.reconstruction) ** 2) < 0.2 * drawn.truth.var()


def test_status_of_a_dead_process_is_interrupted(runs_folder):
    run = Run.create(runs_folder, "dead", run_config("digits"))
    run.write_status(Status(state="running", pid=2**22 + 1, pid_started=1.0))
    assert info("dead").state == "interrupted"


def test_models_that_learned_from_other_damage_say_so():
    infos = {info.name: info for info in listing.run_infos()[0]}
    assert (infos["mnist-sagvae"].short, infos["mnist-sagvae"].usual) == ("SAG-VAE", True)
    assert (infos["mnist-block-sagvae"].short, infos["mnist-block-sagvae"].usual) == (
        "SAG-VAE, from masked images", False)
    assert infos["mnist-clean-identity"].short == "VAE (A = I), from clean images"
    assert infos["karate-per-sample"].usual is False
