"""Data sets: what the rows are, what is kept apart from what, and what is said when something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from sagvae_core.config import DataConfig, PerturbationConfig
from sagvae_core.data import DATASETS, Dataset, Split, data_folder, dataset_available, images, karate, load_dataset
from sagvae_core.data.base import damage_seed
from sagvae_core.errors import SagvaeError

NOISE = PerturbationConfig("uniform", pixels=16)
LABELS = {"train": np.arange(60) % 10, "t10k": np.arange(20) % 10}


def keys(split: Split) -> set[bytes]:
    """Rows as bytes: a set of the different ones."""
    return {row.numpy().tobytes() for row in split.clean}


@pytest.fixture
def small_idx(tmp_path, monkeypatch):
    """A SAGVAE_DATA with 60 + 20 pictures in MNIST's format, all different, 12 of the 60 for validation."""
    for folder in ("MNIST", "FashionMNIST"):
        raw = tmp_path / folder / "raw"
        raw.mkdir(parents=True)
        for part, labels in LABELS.items():
            pixels = np.zeros((len(labels), 28, 28), dtype=np.uint8)
            pixels[:, 3, 5], pixels[:, 0, 0] = np.arange(len(labels)), 255
            pixels[:, 27, 27] = part == "train"
            for kind, values in (("images-idx3", pixels), ("labels-idx1", labels.astype(np.uint8))):
                header = np.array([0x800 + values.ndim, *values.shape], dtype=">u4").tobytes()
                (raw / f"{part}-{kind}-ubyte").write_bytes(header + values.tobytes())
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path))
    monkeypatch.setattr(images, "VALIDATION_ROWS", 12)
    return tmp_path


# --- karate ---

def test_the_karate_graph_is_zacharys():
    data = load_dataset("karate")
    assert data.adjacency.sum() == 2 * 78 and data.edge_density == pytest.approx(78 / 561)
    assert (data.adjacency == data.adjacency.T).all() and not data.adjacency.diagonal().any()
    assert data.adjacency[0].sum() == 16 and data.adjacency[33].sum() == 17  # the two leaders
    assert data.node_names[0] == "1" and data.node_names[-1] == "34"
    assert data.node_label_names[data.node_labels[0]] == "Mr. Hi"
    assert data.node_label_names[data.node_labels[33]] == "Officer" and data.node_labels.sum() == 17


def test_generator_normalisations_are_the_two_named():
    adjacency = karate.club_graph()[0]
    with_loops, degrees = adjacency + np.eye(34), adjacency.sum(axis=1) + 1
    row = karate.normalised_adjacency(adjacency, "row")
    symmetric = karate.normalised_adjacency(adjacency, "symmetric")
    np.testing.assert_allclose(row.sum(axis=1), 1)
    np.testing.assert_allclose(symmetric, np.diag(degrees ** -0.5) @ with_loops @ np.diag(degrees ** -0.5))
    np.testing.assert_allclose(row, np.diag(1 / degrees) @ with_loops)
    first, second = (load_dataset("karate", generator=name).test.clean for name in ("row", "symmetric"))
    assert not torch.allclose(first, second)


def test_karate_rows_depend_on_the_graph():
    """The second layer reaches two steps: members further apart are independent within a pattern."""
    adjacency, clubs, _ = karate.club_graph()
    rows = karate.generate(adjacency, clubs, "symmetric", seed=0)[0, ..., 0]
    correlation = np.abs(np.corrcoef(rows.T))
    reach = np.linalg.matrix_power(adjacency + np.eye(34), 4) > 0  # X sees 2 steps, two X share a source within 4
    upper = np.triu(np.ones_like(adjacency), 1)
    assert correlation[~reach & upper].max() < 5 / np.sqrt(400)
    assert correlation[adjacency & upper].mean() > 2 * correlation[~adjacency & upper].mean()


@pytest.mark.parametrize("generator", ["symmetric", "row"])
def test_karate_splits_patterns_and_scale(generator):
    data = load_dataset("karate", seed=3, generator=generator)
    assert (len(data.train), len(data.validation), len(data.test)) == (1440, 160, 400)
    assert data.train.inputs.shape == (1440, 34, 2) and data.train.inputs.dtype == torch.float32
    assert data.train.patterns.bincount().tolist() == [360] * 4
    assert data.validation.patterns.bincount().tolist() == [40] * 4
    assert (data.test.patterns == 4).all()
    assert data.train.labels[:50].unique().tolist() == [0, 1, 2, 3]  # shuffled
    assert not keys(data.train) & keys(data.validation)
    assert float(data.train.clean.std()) == pytest.approx(1, abs=1e-3)


def test_karate_is_centred_per_pattern_on_its_own_training_rows():
    data = load_dataset("karate", seed=1)
    for split in (data.train, data.test):
        for pattern in split.labels.unique():
            means = split.clean[split.labels == pattern].mean(dim=0)
            assert means.shape == (34, 2) and means.abs().max() < 1e-5
    held_out = data.validation.clean[data.validation.labels == 0].mean(dim=0)
    assert held_out.abs().max() > 1e-3  # centred by the training rows' mean, not by its own


def test_original_coordinates_are_those_of_the_generator():
    centred, plain = load_dataset("karate", seed=1), load_dataset("karate", seed=1, centred=False)
    assert not plain.offsets.any() and plain.scale != centred.scale
    for a, b in ((centred.train, plain.train), (centred.validation, plain.validation), (centred.test, plain.test)):
        torch.testing.assert_close(centred.original(a.clean, a.labels), plain.original(b.clean, b.labels),
                                   atol=1e-5, rtol=1e-4)
    assert plain.train.clean.mean(dim=0).abs().max() > 0.1


def test_karate_seed_decides_everything_drawn():
    assert torch.equal(load_dataset("karate", seed=5).test.inputs, load_dataset("karate", seed=5).test.inputs)
    assert not torch.equal(load_dataset("karate", seed=5).test.inputs, load_dataset("karate", seed=6).test.inputs)


# --- the frame ---

def test_splits_are_damaged_independently_and_clean_rows_stay_clean():
    data = load_dataset("digits", perturbation=NOISE, seed=2)
    plain = load_dataset("digits", seed=2)
    for name in ("train", "validation", "test"):
        split, untouched = getattr(data, name), getattr(plain, name)
        assert torch.equal(split.clean, untouched.clean) and torch.equal(split.labels, untouched.labels)
        assert (split.damaged.sum(dim=1) == 16).all() and not untouched.damaged.any()
        assert torch.equal(split.inputs[~split.damaged], split.clean[~split.damaged])
        assert not torch.equal(split.inputs, split.clean) and untouched.inputs is untouched.clean
    assert not torch.equal(data.train.damaged[:270], data.validation.damaged)
    assert not torch.equal(data.test.damaged[:270], data.validation.damaged)
    assert not torch.equal(data.test.damaged, load_dataset("digits", perturbation=NOISE, seed=3).test.damaged)


def test_a_split_is_made_when_first_asked_for_and_only_once():
    asked = []

    def load(split: str, limit: int | None):
        asked.append(split)
        return torch.zeros(9, 4, 1), torch.zeros(9)

    data = custom(load)
    assert asked == []
    assert data.test is data.test and asked == ["test"]
    assert len(data.train) == 9 and data.redraw(1).clean is data.redraw(2).clean and asked == ["test", "train"]


def custom(load, config: DataConfig | None = None, **changes) -> Dataset:
    arguments = {"name": "own", "title": "Own", "num_nodes": 4, "num_channels": 1, "node_names": tuple("abcd")}
    return Dataset(config=config or DataConfig(perturbation=PerturbationConfig("uniform", pixels=2)), load=load,
                   **(arguments | changes))


def test_redraw_gives_fresh_damage_from_seed_and_epoch():
    data = load_dataset("digits", perturbation=NOISE, train_rows=50)
    first, again, second = data.redraw(0), data.redraw(0), data.redraw(1)
    assert torch.equal(first.inputs, again.inputs) and not torch.equal(first.damaged, second.damaged)
    assert not torch.equal(first.damaged, data.train.damaged)
    assert first.clean is data.train.clean and len(first) == 50
    plain = load_dataset("digits")
    assert plain.redraw(3) is plain.train


def test_damage_seeds_are_all_different():
    seeds = [damage_seed(seed, split, epoch) for seed in range(20)
             for split, epoch in [("train", None), ("validation", None), ("test", None), ("train", 0), ("train", 1)]]
    assert len(set(seeds)) == 100


def test_train_rows_takes_the_first_with_the_same_damage():
    some, every = (load_dataset("digits", perturbation=NOISE, train_rows=rows) for rows in (30, None))
    assert len(some.train) == 30 and len(some.test) == len(every.test)
    assert torch.equal(some.train.inputs, every.train.inputs[:30])
    assert load_dataset("karate", train_rows=30).scale == load_dataset("karate").scale


def test_configuration_and_overrides_agree():
    config = DataConfig("digits", seed=4, perturbation=NOISE)
    from_config, from_name = load_dataset(config), load_dataset("digits", seed=4, perturbation=NOISE)
    assert from_config.config == from_name.config == config
    assert torch.equal(from_config.test.inputs, from_name.test.inputs)
    assert load_dataset(config, seed=9).config.seed == 9
    assert repr(from_config) == "Dataset('digits', num_nodes=64, num_channels=1, seed=4, perturbation='uniform')"


@pytest.mark.parametrize("name", [name for name, info in DATASETS.items() if not info.needs_files])
def test_the_catalogue_tells_the_truth(name):
    info, data = DATASETS[name], load_dataset(name)
    assert dataset_available(name)
    assert (info.name, info.title, info.num_nodes, info.image_shape) == (
        data.name, data.title, data.num_nodes, data.image_shape)
    assert int(data.train.labels.max()) < len(data.class_names)
    assert info.classes == (data.class_names if info.image_shape is not None else ())


@pytest.mark.parametrize(("call", "words"), [
    (lambda: load_dataset("cifar"), "data.name must be one of 'karate', 'digits', 'mnist', 'fashion', got 'cifar'."),
    (lambda: dataset_available("cifar"), "data.name must be one of 'karate'"),
    (lambda: load_dataset("karate", sead=1), "data.sead is not a setting. Known are: centred, classes,"),
    (lambda: load_dataset("karate", perturbation=PerturbationConfig("uniform")), "to the 34 nodes of a row, got 200"),
    (lambda: load_dataset("karate", perturbation=PerturbationConfig("block")), "These rows are no pictures"),
    (lambda: load_dataset("karate", classes=(0,)), "data.classes must be None for 'karate'"),
    (lambda: load_dataset("digits", classes=(3, 10)), "different whole numbers from 0 to 9, got (3, 10)"),
    (lambda: load_dataset("digits", classes=()), "different whole numbers from 0 to 9, got ()"),
    (lambda: load_dataset("digits", train_rows=2000).train, "data.train_rows must be at most 1078"),
    (lambda: load_dataset("digits").redraw(-1), "epoch must be a whole number of at least 0, got -1"),
])
def test_errors_of_names_and_settings(call, words):
    with pytest.raises(SagvaeError) as error:
        call()
    assert words in str(error.value)


def test_errors_of_rows_that_cannot_be_used():
    bad = torch.zeros(9, 4, 1)
    bad[2, 1], bad[2, 2], bad[7, 0] = torch.nan, torch.inf, -torch.inf
    with pytest.raises(SagvaeError, match=r"finite everywhere, got NaN or infinity in 2 of 9 rows\. Remove"):
        _ = custom(lambda split, limit: (bad, torch.zeros(9))).test
    with pytest.raises(SagvaeError, match=r"the test rows of 'own' must be of shape \(M, 4, 1\), got \(9, 5, 1\)"):
        _ = custom(lambda split, limit: (torch.zeros(9, 5, 1), torch.zeros(9))).test
    with pytest.raises(SagvaeError, match="labels must be of shape"):
        _ = custom(lambda split, limit: (torch.zeros(9, 4, 1), torch.zeros(8))).test
    with pytest.raises(SagvaeError, match="at least one row"):
        _ = custom(lambda split, limit: (torch.zeros(0, 4, 1), torch.zeros(0))).test
    with pytest.raises(SagvaeError, match="node_names must be 4 names, got 3"):
        custom(None, node_names=tuple("abc"))
    with pytest.raises(SagvaeError, match="symmetric with an empty diagonal"):
        custom(None, adjacency=np.triu(np.ones((4, 4)), 1))


# --- pictures ---

def test_digits_are_split_without_overlap_and_for_good():
    data, other = load_dataset("digits", seed=0), load_dataset("digits", seed=1)
    splits = (data.train, data.validation, data.test)
    assert [len(split) for split in splits] == [1078, 270, 449]
    assert len(set.union(*map(keys, splits))) == sum(len(keys(split)) for split in splits) == 1797
    assert torch.equal(data.validation.clean, other.validation.clean)
    assert data.image_shape == (8, 8) and data.node_names[:2] == ("0,0", "0,1") and data.node_names[8] == "1,0"
    assert data.train.clean.min() == 0 and data.train.clean.max() == 1
    assert load_dataset("digits", classes=(1, 7)).test.labels.unique().tolist() == [1, 7]


def test_pictures_are_split_scaled_and_laid_out(small_idx):
    assert data_folder() == small_idx and dataset_available("mnist")
    data = load_dataset("mnist")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [48, 12, 20]
    numbers = {name: (getattr(data, name).clean[:, 3 * 28 + 5, 0] * 255).round().int().tolist()
               for name in ("train", "validation", "test")}
    assert sorted(numbers["train"] + numbers["validation"]) == list(range(60))
    assert numbers["test"] == list(range(20)) and numbers["train"] != sorted(numbers["train"])
    assert data.train.clean.shape == (48, 784, 1) and (data.train.clean[:, 0] == 1).all()
    assert data.node_names[3 * 28 + 5] == "3,5"
    assert data.train.labels.tolist() == [number % 10 for number in numbers["train"]]
    assert (data.train.clean[:, -1] > 0).all() and (data.test.clean[:, -1] == 0).all()
    assert keys(load_dataset("mnist", seed=8).validation) == keys(data.validation)


def test_fashion_keeps_shirts_and_trousers_in_every_split(small_idx):
    data, every = load_dataset("fashion"), load_dataset("fashion", classes=tuple(range(10)))
    for name in ("train", "validation", "test"):
        kept, full = getattr(data, name), getattr(every, name)
        assert set(kept.labels.tolist()) <= {0, 1, 2, 3, 4, 6}
        rows = torch.isin(full.labels, torch.tensor([0, 1, 2, 3, 4, 6]))
        assert torch.equal(kept.clean, full.clean[rows])
    assert data.class_names[6] == "Shirt" and len(data.test) == 12
    assert len(load_dataset("fashion", train_rows=5).train) == 5


def test_missing_files_are_named_with_a_way_out(tmp_path, monkeypatch):
    def refuse(root, train, download):
        (Path(root) / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
        raise RuntimeError("Error downloading")

    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path / "new" / "data"))
    monkeypatch.setattr(torchvision.datasets, "MNIST", refuse)
    assert not dataset_available("mnist")
    with pytest.raises(SagvaeError, match="could not be downloaded. Set the environment variable SAGVAE_DATA") as error:
        load_dataset("mnist")
    assert str(tmp_path) in str(error.value) and "'digits'" in str(error.value)
    assert not list(tmp_path.iterdir()), "no empty folders are left behind"
    (tmp_path / "new" / "data").mkdir(parents=True)
    with pytest.raises(SagvaeError):
        load_dataset("mnist")
    assert (tmp_path / "new" / "data").is_dir(), "but what was there stays"


def test_a_broken_file_is_named(small_idx):
    (small_idx / "MNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(b"not a picture")
    with pytest.raises(SagvaeError, match="cannot be read .* Delete them"):
        _ = load_dataset("mnist").test


@pytest.mark.parametrize(("name", "sizes"), [("mnist", (60_000, 10_000)), ("fashion", (36_000, 6_000))])
def test_the_real_files(name, sizes):
    if not dataset_available(name):
        pytest.skip(f"no {name} files: set SAGVAE_DATA to a folder that has them")
    data = load_dataset(name, perturbation=PerturbationConfig("uniform", pixels=200))
    assert len(data.test) == sizes[1] and "train" not in vars(data)
    error = (data.test.inputs - data.test.clean).square().mean()
    assert float(error) == pytest.approx({"mnist": 0.080, "fashion": 0.0624}[name], abs=1e-3)
    plain = load_dataset(name)
    assert len(plain.train) + len(plain.validation) == sizes[0]
    # How many of the 5,000 held-out garments are shirts or trousers depends on the order within the file.
    assert len(plain.validation) == 5_000 if name == "mnist" else 2_800 < len(plain.validation) < 3_200


def test_importing_the_data_package_is_light():
    heavy = ["torchvision", "sklearn", "networkx", "torchmetrics", "pandas"]
    code = f"import sys, sagvae_core.data, sagvae_core.metrics; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
