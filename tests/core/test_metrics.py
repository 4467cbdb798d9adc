"""Scores against values worked out by hand or by a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sagvae_core import metrics
from sagvae_core.errors import SagvaeError
from sagvae_core.metrics import edge_distances, edge_scores, reconstruction_scores, summarise


def symmetric(pairs: dict[tuple[int, int], float], nodes: int = 4) -> np.ndarray:
    matrix = np.zeros((nodes, nodes))
    for (i, j), value in pairs.items():
        matrix[i, j] = matrix[j, i] = value
    return matrix


PATH = symmetric({(0, 1): 1, (1, 2): 1, (2, 3): 1})  # 3 edges of 6 pairs


def test_edge_scores_by_hand():
    # Found: 01 (true), 12 (true), 02 (false). Missed: 23. Ranking 01, 02, 12, 23: AP = (1 + 2/3 + 3/4) / 3.
    scores = edge_scores(symmetric({(0, 1): 0.9, (0, 2): 0.8, (1, 2): 0.7, (2, 3): 0.4}), PATH)
    assert scores["precision"] == pytest.approx(2 / 3) and scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert scores["edges"] == 3 and scores["density"] == 0.5
    assert scores["all_edges_f1"] == pytest.approx(2 * 0.5 / 1.5)


def test_the_truth_itself_is_perfect_and_its_complement_is_the_worst_ranking():
    perfect = edge_scores(PATH, PATH)
    assert (perfect["f1"], perfect["average_precision"]) == (1, 1)
    inverted = edge_scores(1 - PATH, PATH)
    # All three true edges share the last rank, 4 to 6 of 6: precision is 3/6 once they are reached.
    assert inverted["f1"] == 0 and inverted["average_precision"] == pytest.approx(0.5)
    assert edge_scores(np.ones((4, 4)), PATH)["f1"] == pytest.approx(perfect["all_edges_f1"])


def test_threshold_is_exclusive_and_an_empty_prediction_scores_zero():
    half = 0.5 * PATH
    assert edge_scores(half, PATH)["edges"] == 0
    assert edge_scores(half, PATH)["precision"] == edge_scores(half, PATH)["f1"] == 0
    assert edge_scores(half, PATH, threshold=0.49)["f1"] == 1


def test_diagonal_is_ignored_and_torch_equals_numpy():
    posterior = symmetric({(0, 1): 0.9, (1, 3): 0.8})
    expected = edge_scores(posterior, PATH)
    assert edge_scores(posterior + np.eye(4), PATH + np.eye(4)) == expected
    tensor = torch.tensor(posterior, dtype=torch.float64, requires_grad=True)
    assert edge_scores(tensor, torch.tensor(PATH).bool()) == expected


@pytest.mark.parametrize(("posterior", "adjacency", "words"), [
    (np.eye(3), PATH, "posterior must be of the adjacency's shape (4, 4), got (3, 3)"),
    (np.zeros((4, 3)), PATH, "posterior must be of shape (N, N) with at least 2 nodes, got (4, 3)"),
    (np.triu(PATH), PATH, "posterior must be symmetric, got entries (i, j) and (j, i) that differ by 1"),
    (np.where(PATH > 0, np.nan, 0), PATH, "posterior must be finite everywhere, got NaN or infinity at 6 places"),
    (PATH, np.eye(4), "adjacency must be a graph with at least one edge"),
])
def test_edge_errors(posterior, adjacency, words):
    with pytest.raises(SagvaeError) as error:
        edge_scores(posterior, adjacency)
    assert words in str(error.value)


def test_edge_distances_by_hand():
    graph = np.zeros((12, 12))  # 3 x 4 pixels
    for i, j, probability in ((0, 5, 0.9), (0, 2, 0.6), (0, 11, 0.8), (1, 2, 0.4), (3, 7, 0.9)):
        graph[i, j] = graph[j, i] = probability
    active = np.ones(12, dtype=bool)
    active[3] = False  # its edge to pixel 7 does not count
    found = edge_distances(graph, (3, 4), active)
    assert found["active_edges"] == 3  # .4 is none
    assert [found[f"within_{limit}"] for limit in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert found["chance_within_3"] == 1 and 0 < found["chance_within_1"] < found["chance_within_2"] < 1
    assert edge_distances(torch.zeros(12, 12), (3, 4), active)["within_3"] == 0
    pair = np.zeros(12, dtype=bool)
    pair[[0, 5]] = True
    assert edge_distances(graph, (3, 4), pair)["chance_within_1"] == 1
    with pytest.raises(SagvaeError, match="of the posterior's 12 nodes"):
        edge_distances(graph, (3, 5), active)
    with pytest.raises(SagvaeError, match="at least two pixels, got 1"):
        edge_distances(graph, (3, 4), np.eye(12, dtype=bool)[0])


def test_mse_and_psnr_by_hand_row_by_row():
    clean = torch.zeros(3, 4, 2)
    x = torch.zeros(3, 4, 2)
    x[0] = 0.1  # every value off by a tenth: MSE .01, 20 dB
    x[1, 0, 0] = 0.8  # one of eight values: MSE .64 / 8 = .08
    scores = reconstruction_scores(x, clean, perturbed=torch.full_like(x, 0.1))
    torch.testing.assert_close(scores["mse_clean"], torch.tensor([0.01, 0.08, 0.0]))
    torch.testing.assert_close(scores["psnr"], torch.tensor([20.0, -10 * math.log10(0.08), 100.0]))
    torch.testing.assert_close(scores["mse_perturbed"], torch.tensor([0.0, (0.49 + 7 * 0.01) / 8, 0.01]))
    assert "ssim" not in scores
    means = summarise(scores)
    assert means["mse_clean"] == pytest.approx(0.03) and isinstance(means["mse_clean"], float)


def ssim_loop(x: np.ndarray, y: np.ndarray, window: int) -> float:
    """SSIM over all windows inside the picture, from the definition."""
    values = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = x[i:i + window, j:j + window], y[i:i + window, j:j + window]
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            values.append((2 * a.mean() * b.mean() + 1e-4) * (2 * covariance + 9e-4)
                          / ((a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (a.var() + b.var() + 9e-4)))
    return float(np.mean(values))


@pytest.mark.parametrize(("shape", "window"), [((28, 28), 7), ((8, 8), 7), ((9, 12), 7), ((6, 6), 5), ((3, 4), 3)])
def test_ssim_equals_a_loop_over_windows(shape, window):
    random = np.random.RandomState(0)
    clean, noise = random.rand(2, *shape), random.rand(2, *shape)
    x = 0.7 * clean + 0.3 * noise
    flat = [torch.tensor(v.reshape(2, -1, 1)) for v in (x, clean)]
    scores = reconstruction_scores(*flat, image_shape=shape)
    assert scores["ssim"].tolist() == pytest.approx([ssim_loop(x[k], clean[k], window) for k in range(2)], abs=1e-4)


def test_ssim_of_identical_pictures_is_one_and_channels_are_averaged():
    random = torch.Generator().manual_seed(0)
    clean, x = torch.rand(5, 64, 2, generator=random), torch.rand(5, 64, 2, generator=random)
    same = reconstruction_scores(clean, clean, (8, 8))
    torch.testing.assert_close(same["ssim"], torch.ones(5))
    assert same["psnr"].tolist() == [100.0] * 5
    both = reconstruction_scores(x, clean, (8, 8))["ssim"]
    single = [reconstruction_scores(x[..., c:c + 1], clean[..., c:c + 1], (8, 8))["ssim"] for c in range(2)]
    torch.testing.assert_close(both, (single[0] + single[1]) / 2)
    assert (both < 0.5).all()


def test_scores_do_not_depend_on_chunks(monkeypatch):
    x, clean = torch.rand(2, 20, 64, 1, generator=torch.Generator().manual_seed(0))
    whole = reconstruction_scores(x, clean, (8, 8), x)
    monkeypatch.setattr(metrics, "_CHUNK_VALUES", 3 * 64)
    chunked = reconstruction_scores(x, clean, (8, 8), x)
    for name, values in whole.items():
        assert values.shape == (20,)
        torch.testing.assert_close(chunked[name], values)


@pytest.mark.parametrize(("changes", "words"), [
    ({"clean": torch.zeros(2, 63, 1)}, "clean must be of the shape of x, (2, 64, 1), got (2, 63, 1)"),
    ({"perturbed": torch.zeros(1, 64, 1)}, "perturbed must be of the shape of x"),
    ({"x": torch.zeros(2, 64)}, "x must be of shape (B, N, C), got (2, 64)"),
    ({"image_shape": (7, 9)}, "height * width = 64 nodes, got (7, 9)"),
    ({"image_shape": (1, 64)}, "of at least 3"),
    ({"x": torch.full((2, 64, 1), torch.nan)}, "x must be finite everywhere, got NaN or infinity in 2 of 2 rows"),
    ({"x": torch.zeros(0, 64, 1), "clean": torch.zeros(0, 64, 1)}, "x must be at least one row"),
])
def test_reconstruction_errors(changes, words):
    arguments = {"x": torch.zeros(2, 64, 1), "clean": torch.zeros(2, 64, 1), "image_shape": (8, 8)} | changes
    with pytest.raises(SagvaeError) as error:
        reconstruction_scores(**arguments)
    assert words in str(error.value)
