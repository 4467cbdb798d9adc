"""The judge of generated pictures: right about clean pictures, the same for a seed, blind to its neighbours."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sagvae_core.data import dataset_available, load_dataset
from sagvae_core.errors import SagvaeError
from sagvae_core.perturbations import uniform_noise
from sagvae_core.studies import classifier
from sagvae_core.studies.classifier import Classifier, train_classifier


@pytest.fixture(scope="module")
def judge() -> Classifier:
    return train_classifier("digits")


@pytest.fixture(scope="module")
def test_split():
    return load_dataset("digits").test


def test_its_accuracy_is_measured_on_the_clean_test_pictures(judge, test_split):
    predicted = judge.predict(test_split.clean)
    assert (predicted.dtype, predicted.shape) == (torch.long, (len(test_split),))
    assert judge.accuracy == pytest.approx((predicted == test_split.labels).double().mean().item())
    assert judge.accuracy > 0.95
    assert judge.test_rows == len(test_split) == 449
    assert (judge.dataset, judge.classes, judge.class_names[3]) == ("digits", tuple(range(10)), "3")


def test_probabilities_are_probabilities_and_fall_where_the_picture_is_spoiled(judge, test_split):
    found = judge.probabilities(test_split.clean)
    assert found.shape == (449, 10) and found.min() >= 0
    assert torch.allclose(found.sum(1), torch.ones(449), atol=1e-5)
    assert torch.equal(found.argmax(1), judge.predict(test_split.clean))
    spoiled = judge.probabilities(uniform_noise(test_split.clean, 40, seed=0).x)
    of_the_truth = [table.gather(1, test_split.labels[:, None]).mean() for table in (found, spoiled)]
    assert of_the_truth[1] < of_the_truth[0] - 0.2


def test_no_picture_is_judged_by_its_neighbours_and_none_is_changed(judge, test_split):
    x = test_split.clean[:7].clone()
    together = judge.probabilities(x)
    assert torch.allclose(together, torch.cat([judge.probabilities(row[None]) for row in x]), atol=1e-5)
    assert torch.equal(x, test_split.clean[:7])
    assert torch.allclose(judge.probabilities(x.double()), together)
    assert not together.requires_grad
    assert judge.predict(x[:0]).shape == (0,)


def test_the_seed_decides_everything_and_the_global_generator_is_left_alone(monkeypatch, test_split):
    monkeypatch.setattr(classifier, "_LEAST_STEPS", 20)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again = (train_classifier("digits", seed=3, rows=256) for _ in range(2))
    other = train_classifier("digits", seed=4, rows=256)
    assert torch.equal(torch.get_rng_state(), before)
    found = [each.probabilities(test_split.clean) for each in (first, again, other)]
    assert torch.equal(found[0], found[1]) and first.accuracy == again.accuracy
    assert not torch.allclose(found[0], found[2], atol=1e-3)


def test_it_learns_from_clean_training_pictures_and_as_many_as_are_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(classifier, "_fit", lambda network, pictures, labels, seed: seen.append((pictures, labels))
                        or network.eval())
    train_classifier("digits", rows=50)
    train_classifier("digits")
    data = load_dataset("digits")
    assert torch.equal(seen[0][0], data.train.clean[:50]) and torch.equal(seen[0][1], data.train.labels[:50])
    assert len(seen[1][0]) == len(data.train)


def test_classes_it_has_not_seen_are_never_predicted(monkeypatch):
    original = classifier.load_dataset
    monkeypatch.setattr(classifier, "load_dataset", lambda name, **options: original(name, classes=(1, 7), **options))
    monkeypatch.setattr(classifier, "_LEAST_STEPS", 30)
    judge = train_classifier("digits")
    assert judge.classes == (1, 7)
    found = judge.probabilities(torch.rand(50, 64, 1, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (50, 10)
    assert found[:, [0, 2, 3, 4, 5, 6, 8, 9]].eq(0).all()
    assert judge.accuracy > 0.9


@pytest.mark.parametrize(("x", "message"), [
    (torch.zeros(2, 784, 1), "x must be of shape (B, 64, 1), got (2, 784, 1). This classifier was trained on 'digits'"),
    (torch.zeros(2, 64), "x must be of shape (B, 64, 1), got (2, 64)."),
    (torch.zeros(2, 64, 3), "x must be of shape (B, 64, 1), got (2, 64, 3)."),
    ([1.0], "x must be of shape (B, 64, 1), got list."),
    (torch.full((1, 64, 1), float("nan")), "x must be finite, got NaN or infinity. Remove"),
])
def test_wrong_pictures_are_a_sentence(judge, x, message):
    for ask in (judge.predict, judge.probabilities):
        with pytest.raises(SagvaeError) as caught:
            ask(x)
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"dataset": "karate"}, "dataset must be one of 'mnist', 'fashion', 'digits', got 'karate'."),
    ({"dataset": "digits", "rows": 0}, "data.train_rows must be in [1, 1e+09], got 0."),
    ({"dataset": "digits", "rows": 5000}, "data.train_rows must be at most 1078, the training rows of 'digits', got"),
])
def test_what_cannot_be_trained_is_a_sentence(arguments, message):
    with pytest.raises(SagvaeError) as caught:
        train_classifier(**arguments)
    assert str(caught.value).startswith(message)


def test_missing_files_are_a_sentence(monkeypatch, tmp_path):
    def no_network(*args, **options):
        raise SagvaeError("no network")

    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path))
    monkeypatch.setattr("sagvae_core.data.images._open", no_network)
    with pytest.raises(SagvaeError, match="files of 'mnist' are not in .* choose the data set 'digits'"):
        train_classifier("mnist")


def test_it_is_frozen(judge):
    with pytest.raises(dataclasses.FrozenInstanceError):
        judge.accuracy = 1.0


@pytest.mark.parametrize(("name", "classes", "least"), [("mnist", tuple(range(10)), 0.9),
                                                        ("fashion", (0, 1, 2, 3, 4, 6), 0.7)])
def test_the_real_files(name, classes, least, monkeypatch):
    if not dataset_available(name):
        pytest.skip(f"no {name} files: set SAGVAE_DATA to a folder that has them")
    monkeypatch.setattr(classifier, "_LEAST_STEPS", 60)
    judge = train_classifier(name, rows=3000)
    assert judge.classes == classes
    assert judge.accuracy > least
