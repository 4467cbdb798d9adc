"""Settings: every refusal says what was expected, what came and which one; JSON and overrides come back exactly."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from sagvae_core.config import DataConfig, ModelConfig, PerturbationConfig, ReferenceConfig, StageConfig, TrainConfig
from sagvae_core.config_io import from_dict, to_dict
from sagvae_core.data import DATASETS, load_dataset
from sagvae_core.errors import SagvaeError, expected
from sagvae_core.presets import MODELS, apply_overrides, run_config
from sagvae_core.runs import RunConfig

RECIPES = [("karate", "sagvae", "per_node"), ("karate", "sagvae", "per_sample"), ("karate", "identity", "per_node"),
           *((dataset, model, "per_node") for dataset in ("digits", "mnist", "fashion") for model in MODELS)]

REFUSED = [
    (PerturbationConfig, {"kind": "rain"}, "perturbation.kind must be one of 'none', 'uniform', 'block', "
     "'salt_pepper', 'gaussian', 'stripes', 'blocks', 'rotated', 'contrast', got 'rain'."),
    (PerturbationConfig, {"pixels": -1}, "perturbation.pixels must be in [0, 1e+06], got -1."),
    (PerturbationConfig, {"size": 10**5}, "perturbation.size must be in [0, 10000], got 100000."),
    (PerturbationConfig, {"value": 1.5}, "perturbation.value must be in [0, 1], got 1.5."),
    (PerturbationConfig, {"sigma": -0.1}, "perturbation.sigma must be in [0, 10], got -0.1."),
    (PerturbationConfig, {"sigma": math.nan}, "perturbation.sigma must be in [0, 10], got nan."),
    (PerturbationConfig, {"count": -1}, "perturbation.count must be in [0, 1e+06], got -1."),
    (PerturbationConfig, {"width": 0}, "perturbation.width must be in [1, 10000], got 0."),
    (PerturbationConfig, {"direction": "diagonal"},
     "perturbation.direction must be one of 'horizontal', 'vertical', got 'diagonal'."),
    (PerturbationConfig, {"angle": 91}, "perturbation.angle must be in [0, 90], got 91."),
    (PerturbationConfig, {"contrast": 1.1}, "perturbation.contrast must be in [0, 1], got 1.1."),
    (DataConfig, {"generator": "column"}, "data.generator must be one of 'symmetric', 'row', got 'column'."),
    (DataConfig, {"seed": -1}, "data.seed must be in [0, 2.14748e+09], got -1."),
    (DataConfig, {"train_rows": 0}, "data.train_rows must be in [1, 1e+09], got 0."),
    *((ModelConfig, {"num_nodes": 3} | {name: value},
       f"model.{name} must be a whole number of at least {low}, got {value}.")
      for name, low in (("num_nodes", 1), ("num_channels", 1), ("latent_channels", 1), ("latent_dim", 1),
                        ("encoder_hidden", 1), ("node_embedding", 0), ("attention_channels", 1))
      for value in (low - 1, 2.0, True, "3")),
    *((ModelConfig, {"num_nodes": 3, name: "odd"}, f"model.{name} must be one of {allowed}, got 'odd'.")
      for name, allowed in (
          ("latent", "'per_node', 'per_sample'"), ("graph", "'learned', 'identity'"),
          ("encoder", "'node', 'all', 'linear'"),
          ("encoder_activation", "'relu', 'tanh', 'elu', 'softplus'"),
          ("edge_logits", "'free', 'amortised', 'both', 'moments'"),
          ("edge_regulariser", "'kl', 'density'"), ("edge_weights", "'none', 'positive', 'signed'"),
          ("activation", "'relu', 'tanh', 'elu', 'softplus'"), ("normalisation", "'row', 'symmetric', 'none'"),
          ("output", "'sigmoid', 'identity'"), ("likelihood", "'bernoulli', 'gaussian', 'robust'"),
          ("likelihood_scale", "'shared', 'node'"))),
    (ModelConfig, {"num_nodes": 3, "edge_prior": 0}, "model.edge_prior must be in (0, 1), got 0."),
    (ModelConfig, {"num_nodes": 3, "edge_prior": 1.0}, "model.edge_prior must be in (0, 1), got 1.0."),
    (ModelConfig, {"num_nodes": 3, "edge_prior": math.nan}, "model.edge_prior must be in (0, 1), got nan."),
    (ModelConfig, {"num_nodes": 3, "initial_scale": 0}, "model.initial_scale must be in [0.001, 1000], got 0."),
    (ModelConfig, {"num_nodes": 3, "initial_outlier_rate": 1}, "model.initial_outlier_rate must be in (0, 1), got 1."),
    (ModelConfig, {"num_nodes": 3, "edge_logit_scale": math.inf},
     "model.edge_logit_scale must be in [0.001, 1000], got inf."),
    (ModelConfig, {"num_nodes": 3, "hidden": (4, 0)},
     "model.hidden must be at most 64 widths of at least 1, got (4, 0)."),
    (ModelConfig, {"num_nodes": 3, "attention": (3,)}, "model.attention must be layer indices from 0 to 2, got (3,)."),
    (ModelConfig, {"num_nodes": 3, "attention": (-1,)},
     "model.attention must be layer indices from 0 to 2, got (-1,)."),
    (ModelConfig, {"num_nodes": 3, "graph": "identity", "self_loops": False},
     "model.self_loops must be True when graph='identity', got False. Without them no node would reach its own "
     "output."),
    (ModelConfig, {"num_nodes": 3, "output": "identity"},
     "model.output must be 'sigmoid' with the Bernoulli likelihood, got 'identity'."),
    (ModelConfig, {"num_nodes": 3, "weighted_convolution": True},
     "model.edge_weights must be 'positive' or 'signed' when weighted_convolution is on, got 'none'."),
    (ReferenceConfig, {"kind": "gan", "num_nodes": 3}, "model.kind must be one of 'mlp_vae', 'dae', 'conv_dae', "
     "got 'gan'."),
    (ReferenceConfig, {"kind": "dae", "num_nodes": 3, "likelihood": "robust"},
     "model.likelihood must be one of 'bernoulli', 'gaussian', got 'robust'."),
    *((ReferenceConfig, {"kind": "conv_dae", "num_nodes": 12, "image_shape": shape},
       f"model.image_shape must be (height, width) with height * width = 12 nodes, got {shape}. Convolutions need "
       "pictures.") for shape in (None, (3, 5), (-3, -4), (12,))),
    (ReferenceConfig, {"kind": "dae", "num_nodes": 12, "image_shape": (3, 4)},
     "model.image_shape must be None unless model.kind is 'conv_dae', got (3, 4)."),
    *((ReferenceConfig, {"kind": "conv_dae", "num_nodes": 12, "image_shape": (3, 4), "hidden": hidden},
       f"model.hidden must be the same width for every residual block, at least one, got {hidden}.")
      for hidden in ((), (8, 4))),
    (StageConfig, {"epochs": 0}, "stage.epochs must be in [1, 1e+06], got 0."),
    (StageConfig, {"likelihood": "odd"},
     "stage.likelihood must be one of 'bernoulli', 'gaussian', 'robust', got 'odd'."),
    (StageConfig, {"kl_z_weight": -1}, "stage.kl_z_weight must be in [0, 1e+06], got -1."),
    (StageConfig, {"kl_graph_weight": -1}, "stage.kl_graph_weight must be in [0, 1e+06], got -1."),
    (StageConfig, {"learning_rate": 0}, "stage.learning_rate must be in [1e-08, 10], got 0."),
    (StageConfig, {"constant_share": 1.1}, "stage.constant_share must be in [0, 1], got 1.1."),
    (StageConfig, {"final_rate": -0.1}, "stage.final_rate must be in [0, 1], got -0.1."),
    (TrainConfig, {"epochs": 3, "stages": (StageConfig(),)},
     "train must be either epochs or stages, got both. Set epochs inside each stage."),
    (TrainConfig, {"epochs": 0}, "stage.epochs must be in [1, 1e+06], got 0."),
    (TrainConfig, {"batch_size": 0}, "train.batch_size must be in [1, 1e+07], got 0."),
    (TrainConfig, {"clip_norm": 0}, "train.clip_norm must be in (0, 1e+09), got 0."),
    (TrainConfig, {"temperature": (1.0, 0.0)}, "train.temperature must be in [0.001, 100], got 0.0."),
    (TrainConfig, {"density_interval": 0}, "train.density_interval must be in [1, 1e+06], got 0."),
    (TrainConfig, {"posterior_decay": 1.1}, "train.posterior_decay must be in [0, 1], got 1.1."),
    (TrainConfig, {"seed": 2**31}, "train.seed must be in [0, 2.14748e+09], got 2147483648."),
    (TrainConfig, {"patience": 0}, "train.patience must be in [1, 1e+06], got 0."),
    (TrainConfig, {"precision": "int4"}, "train.precision must be one of 'no', 'bf16', 'fp16', got 'int4'."),
    (ModelConfig, {"num_nodes": 3, "likelihood": "gaussian", "output": "identity", "binary_nodes": (1, 3)},
     "model.binary_nodes must be empty, or nodes from 0 to 2 of one channel under the Gaussian likelihood, got "
     "(1, 3)."),
    (ModelConfig, {"num_nodes": 3, "binary_nodes": (1,)},
     "model.binary_nodes must be empty, or nodes from 0 to 2 of one channel under the Gaussian likelihood, got (1,)."),
    (ModelConfig, {"num_nodes": 3, "missing": True, "edge_logits": "amortised"},
     "model.missing must be False unless edge logits are free and there is no completion, got True."),
]


@pytest.mark.parametrize(("cls", "values", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_every_refusal_is_the_whole_sentence(cls, values, message):
    with pytest.raises(SagvaeError) as caught:
        cls(**values)
    assert str(caught.value) == message


def test_more_layers_and_stages_than_anybody_means_are_refused_and_quoted_in_short():
    with pytest.raises(SagvaeError, match="train.stages must be at most 1,000 stages, got 1,001"):
        TrainConfig(stages=(StageConfig(),) * 1001)
    with pytest.raises(SagvaeError) as caught:
        ModelConfig(num_nodes=3, hidden=(4,) * 100_000)
    assert len(str(caught.value)) < 400 and str(caught.value).endswith("….")


def test_reference_sizes_are_checked():
    for name, value in (("num_nodes", 0), ("latent_dim", 0), ("hidden", (3, 0)), ("num_channels", 0)):
        with pytest.raises(SagvaeError, match="model sizes must be at least 1"):
            ReferenceConfig(**{"kind": "dae", "num_nodes": 3} | {name: value})


def test_configurations_are_frozen_and_count_their_parts():
    config = ModelConfig(num_nodes=5, hidden=(4, 4, 4))
    assert (config.num_layers, config.num_pairs) == (4, 10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.num_nodes = 3
    assert TrainConfig(epochs=7) == TrainConfig(stages=(StageConfig(epochs=7),))
    assert TrainConfig().total_epochs == 10
    assert TrainConfig(stages=(StageConfig(epochs=2), StageConfig(epochs=3))).total_epochs == 5


# ---------------------------------------------------------------------- JSON

@pytest.mark.parametrize(("dataset", "model", "latent"), RECIPES)
def test_every_recipe_comes_back_from_json(dataset, model, latent):
    config = run_config(dataset, model, latent=latent, seed=3, data_seed=4)
    for part in (config.data, config.model, config.train):
        assert from_dict(type(part), json.loads(json.dumps(to_dict(part)))) == part
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert (config.train.seed, config.data.seed, config.role) == (3, 4, model)
    assert config.family == (dataset if latent == "per_node" else "karate-per_sample")
    assert dataclasses.replace(config.train, epochs=None) == config.train


@pytest.mark.parametrize(("cls", "values", "message"), [
    (ModelConfig, {}, "model.num_nodes is missing."),
    (ModelConfig, {"num_nodes": 3, "wings": 2}, "model.wings is not a setting. Known are: activation, attention, "),
    (ModelConfig, [], "model must be a JSON object, got list."),
    (ModelConfig, {"num_nodes": "3"}, "model.num_nodes must be of type int, got '3'."),
    (ModelConfig, {"num_nodes": True}, "model.num_nodes must be of type int, got True."),
    (ModelConfig, {"num_nodes": 3.0}, "model.num_nodes must be of type int, got 3.0."),
    (ModelConfig, {"num_nodes": None}, "model.num_nodes must be set, got None."),
    (ModelConfig, {"num_nodes": 3, "hidden": 4}, "model.hidden must be a list, got 4."),
    (ModelConfig, {"num_nodes": 3, "hidden": [4, "x"]}, "model.hidden[1] must be of type int, got 'x'."),
    (ModelConfig, {"num_nodes": 3, "edge_prior": "a"}, "model.edge_prior must be of type float, got 'a'."),
    (ModelConfig, {"num_nodes": 3, "edge_prior": True}, "model.edge_prior must be of type float, got True."),
    (ModelConfig, {"num_nodes": 3, "hard_edges": 1}, "model.hard_edges must be of type bool, got 1."),
    (TrainConfig, {"temperature": [1, 2, 3]}, "model.temperature must be a list of 2, got [1, 2, 3]."),
    (TrainConfig, {"stages": [{"epochs": 1}, {"speed": 2}]}, "model.stages[1].speed is not a setting."),
    (DataConfig, {"perturbation": 3}, "model.perturbation must be a JSON object, got int."),
    (DataConfig, {"perturbation": {"position": [1]}}, "model.perturbation.position must be a list of 2, got [1]."),
])
def test_wrong_json_names_the_setting(cls, values, message):
    with pytest.raises(SagvaeError) as caught:
        from_dict(cls, values, "model")
    assert str(caught.value).startswith(message)


def test_a_name_from_a_file_is_not_quoted_without_end():
    for read in (lambda: from_dict(DataConfig, {"9" * 5000: 1}), lambda: load_dataset("karate", **{"9" * 5000: 1})):
        with pytest.raises(SagvaeError, match=r"9… is not a setting\. Known are: ") as caught:
            read()
        assert len(str(caught.value)) < 600


def test_the_json_of_a_reference_model_from_before_it_could_hold_an_image_shape_is_read():
    old = to_dict(ReferenceConfig("dae", 3, denoise=True))
    del old["image_shape"]
    assert from_dict(ReferenceConfig, old, "model") == ReferenceConfig("dae", 3, denoise=True)


def test_json_numbers_and_nulls_become_what_the_setting_is():
    data = from_dict(DataConfig, {"train_rows": None, "classes": [1, 2], "perturbation": {
        "value": 1, "position": [2, 3], "kind": "block"}})
    assert data.classes == (1, 2)
    assert data.perturbation.position == (2, 3)
    assert isinstance(data.perturbation.value, float)
    assert from_dict(PerturbationConfig, {"value": None}).value is None
    with pytest.raises(SagvaeError, match=r"^wings is not a setting"):
        from_dict(DataConfig, {"wings": 1})


def test_damage_written_before_there_were_more_kinds_still_loads():
    old = {"kind": "uniform", "pixels": 16, "size": 7, "value": 1.0, "position": None}
    assert from_dict(PerturbationConfig, old) == PerturbationConfig("uniform", pixels=16)


@pytest.mark.parametrize("damage", [
    PerturbationConfig("gaussian", sigma=0.3), PerturbationConfig("rotated", value=None, angle=30.0, position=(2, 3)),
    PerturbationConfig("stripes", count=4, width=2, direction="vertical"), PerturbationConfig("contrast", contrast=0.2),
], ids=lambda damage: damage.kind)
def test_every_kind_of_damage_comes_back_from_json(damage):
    assert from_dict(PerturbationConfig, json.loads(json.dumps(to_dict(damage)))) == damage


# ---------------------------------------------------------------------- recipes and overrides

def test_overrides_reach_every_depth_and_are_validated():
    config = apply_overrides(run_config("digits"), {
        "model.hidden": [8, 9], "train.batch_size": 7, "train.stages.1.kl_z_weight": 0.5, "data.perturbation.pixels": 3,
        "train.temperature.1": 0.25, "data.classes": [1, 2]})
    assert config.model.hidden == (8, 9)
    assert (config.train.batch_size, config.train.stages[1].kl_z_weight) == (7, 0.5)
    assert config.train.stages[0] == run_config("digits").train.stages[0]
    assert (config.data.perturbation.pixels, config.data.classes) == (3, (1, 2))
    assert config.train.temperature == (0.5, 0.25)
    assert apply_overrides(config, {"model.hidden.0": 5}).model.hidden == (5, 9)
    assert apply_overrides(config, {}) == config


@pytest.mark.parametrize(("name", "value", "message"), [
    ("hidden", 3, "a setting must be data.NAME, model.NAME or train.NAME, got 'hidden'."),
    ("model", 3, "a setting must be data.NAME, model.NAME or train.NAME, got 'model'."),
    ("wings.size", 3, "a setting must be data.NAME, model.NAME or train.NAME, got 'wings.size'."),
    ("model.wings", 3, "'model.wings' is not a setting. At 'wings' there are: num_nodes, "),
    ("model.num_nodes.deep", 3, "'model.num_nodes.deep' is not a setting. At 'deep' there are: nothing."),
    ("model.latent.0", 3, "'model.latent.0' is not a setting. At '0' there are: nothing."),
    ("train.stages.7.epochs", 3, "'train.stages.7.epochs' is not a setting. At '7' there are: 0 to 4."),
    ("model.hidden.²", 3, "'model.hidden.²' is not a setting. At '²' there are: 0 to 1."),
    ("data.classes.0", 3, "'data.classes.0' is not a setting. At '0' there are: nothing."),
    ("model.edge_prior", "x", "model.edge_prior must be of type float, got 'x'."),
    ("train.epochs", 3, "train must be either epochs or stages, got both."),
])
def test_a_wrong_override_is_a_sentence(name, value, message):
    with pytest.raises(SagvaeError) as caught:
        apply_overrides(run_config("digits"), {name: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"dataset": "cats"}, "dataset must be one of 'karate', 'digits', 'mnist', 'fashion', got 'cats'. See"),
    ({"dataset": "digits", "model": "gan"},
     "model must be one of 'sagvae', 'identity', 'mlp_vae', 'dae', 'conv_dae', got 'gan'."),
    ({"dataset": "karate", "model": "dae"}, "model must be 'sagvae' or 'identity' on 'karate', got 'dae'."),
    ({"dataset": "karate", "model": "conv_dae"}, "model must be 'sagvae' or 'identity' on 'karate', got 'conv_dae'."),
    ({"dataset": "digits", "latent": "per_sample"}, "latent must be 'per_node' on 'digits', got 'per_sample'."),
    ({"dataset": "karate", "latent": "odd"}, "model.latent must be one of"),
])
def test_a_recipe_that_does_not_exist_is_a_sentence(arguments, words):
    with pytest.raises(SagvaeError) as caught:
        run_config(**arguments)
    assert str(caught.value).startswith(words)


def test_the_recipes_keep_what_the_comparison_rests_on():
    for dataset in ("digits", "mnist", "fashion"):
        for model in MODELS:
            config = run_config(dataset, model)
            assert config.data.perturb_each_epoch == (model in ("dae", "conv_dae"))
            assert getattr(config.model, "denoise", False) == (model in ("dae", "conv_dae"))
            assert config.data.perturbation.kind == "uniform"
        assert run_config(dataset, "conv_dae").data == run_config(dataset, "dae").data
        assert run_config(dataset, "conv_dae").model.image_shape == DATASETS[dataset].image_shape
    assert run_config("digits", "identity").model.graph == "identity"
    assert run_config("karate", latent="per_sample").title.endswith(", one code a row")


def test_the_error_sentence_has_its_three_parts():
    assert str(expected("x", "small", 7, "Shrink it.")) == "x must be small, got 7. Shrink it."
    assert str(expected("x", "small", 7)) == "x must be small, got 7."
    assert isinstance(expected("x", 1, 2), ValueError)
