"""How good are the edges and the reconstructions (tables 1-4 of the paper). Pure functions of arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import expected

PSNR_CAP = 100.0  # dB, where identical pictures would have infinitely many: a mean over rows must stay finite
SSIM_WINDOW = 7  # pixels; see reconstruction_scores
_CHUNK_VALUES = 1_000_000  # values per slice of rows; SSIM holds about fifteen arrays of this size


def edge_scores(posterior: Any, adjacency: Any, threshold: float = 0.5) -> dict[str, float]:
    """Compare scored pairs with the true graph; only the upper triangle (i < j) counts, the diagonal never does.

    Args:
        posterior: (N, N), symmetric, numpy or torch: edge probabilities, or any finite score that ranks the pairs.
        adjacency: (N, N), symmetric, numpy or torch: the true edges are its non-zero entries.
        threshold: a pair is an edge when its score is greater than this; 0.5 is natural for probabilities.

    Returns:
        ``precision``, ``recall`` and ``f1`` at the threshold (0 where nothing is predicted), ``average_precision``
        over all thresholds, all in [0, 1]; ``edges``, how many pairs pass the threshold, and ``density``, their share
        of all pairs; ``all_edges_f1``, the F1 of calling every pair an edge, which a useful F1 has to beat.

    Raises:
        SagvaeError: a matrix is not square, not symmetric or not finite, the shapes differ, or there is no true edge.
    """
    from sklearn.metrics import average_precision_score

    scores, truth = _symmetric(posterior, "posterior"), _symmetric(adjacency, "adjacency")
    if scores.shape != truth.shape:
        raise expected("posterior", f"of the adjacency's shape {truth.shape}", scores.shape)
    upper = np.triu_indices(len(truth), k=1)
    scores, truth = scores[upper], truth[upper] != 0
    if not truth.any():
        raise expected("adjacency", "a graph with at least one edge between two nodes", "none",
                       "Retrieval of an empty graph has no recall.")
    predicted = scores > threshold
    hits = int((predicted & truth).sum())
    edges, true_edges, pairs = int(predicted.sum()), int(truth.sum()), len(truth)
    return {
        "precision": hits / edges if edges else 0.0,
        "recall": hits / true_edges,
        "f1": 2 * hits / (edges + true_edges),
        "average_precision": float(average_precision_score(truth, scores)),
        "edges": edges,
        "density": edges / pairs,
        "all_edges_f1": 2 * true_edges / (pairs + true_edges),
    }


def edge_distances(posterior: Any, image_shape: tuple[int, int], active: Any, threshold: float = 0.5,
                   reach: int = 3) -> dict[str, float]:
    """How near in the picture the pixels are that edges join; the model knows nothing of the grid.

    Args:
        posterior: (N, N), symmetric, numpy or torch: edge probabilities.
        image_shape: (height, width) with height * width = N.
        active: bool (N,): only pairs of these pixels count. A pixel that never lights up has edges to anywhere.
        threshold: a pair is an edge when its probability is greater.
        reach: the largest distance that is told.

    Returns:
        ``active_edges``, how many; ``within_1`` ... ``within_REACH``, the share of them whose pixels lie at most so far
        apart (Chebyshev distance: 1 are the eight around a pixel), 0 without edges; ``chance_within_1`` ..., the share
        of all pairs of active pixels.

    Raises:
        SagvaeError: the posterior is not square, symmetric and finite, the sizes differ, or fewer than two pixels are
            active.
    """
    scores, active = _symmetric(posterior, "posterior"), np.asarray(active, dtype=bool)
    height, width = image_shape
    if height * width != len(scores) or active.shape != (len(scores),):
        raise expected("image_shape and active", f"of the posterior's {len(scores)} nodes",
                       f"{tuple(image_shape)} and {active.shape}")
    if active.sum() < 2:
        raise expected("active", "at least two pixels", int(active.sum()))
    place = np.stack(np.divmod(np.arange(len(scores)), width), axis=1)[active]
    first, second = np.triu_indices(len(place), k=1)
    distance = np.abs(place[first] - place[second]).max(axis=1)
    edges = scores[np.ix_(active, active)][first, second] > threshold
    found: dict[str, float] = {"active_edges": int(edges.sum())}
    for name, chosen in (("within", distance[edges]), ("chance_within", distance)):
        found |= {f"{name}_{limit}": float((chosen <= limit).mean()) if len(chosen) else 0.0
                  for limit in range(1, reach + 1)}
    return found


def reconstruction_scores(x: Tensor, clean: Tensor, image_shape: tuple[int, int] | None = None,
                          perturbed: Tensor | None = None) -> dict[str, Tensor]:
    """Score every reconstructed row.

    Args:
        x: (B, N, C), the reconstructions.
        clean: (B, N, C), the undamaged rows; values in [0, 1] for PSNR and SSIM to mean what they say.
        image_shape: (height, width) when the nodes are pixels, at least 3 x 3.
        perturbed: (B, N, C), what the model was given.

    Returns:
        float32 (B,) tensors on ``x``'s device: ``mse_clean``, the mean squared error per value; ``psnr`` in dB for a
        data range of 1, capped at 100 dB, which identical rows get; with ``image_shape`` ``ssim`` in [-1, 1] for a
        data range of 1; with ``perturbed`` also ``mse_perturbed``, to the damaged rows.

    SSIM means over the uniform 7 x 7 windows that lie fully inside the picture, scikit-image's default (but for its
    49/48 in the variances, which moves noisy MNIST by less than .0005). A picture of fewer than 7 pixels a side takes
    the largest odd window that fits; the 8 x 8 digits have four windows of 7. The choice matters: torchmetrics' own
    default, Gaussian windows over a picture reflected at its border, gives noisy MNIST .27 where this gives .47,
    because the black border then counts in full.

    Raises:
        SagvaeError: shapes differ, a value is not finite, or ``image_shape`` does not hold N pixels.
    """
    given = {"x": x, "clean": clean} | ({} if perturbed is None else {"perturbed": perturbed})
    if x.ndim != 3:
        raise expected("x", "of shape (B, N, C)", tuple(x.shape))
    for name, value in given.items():
        if value.shape != x.shape:
            raise expected(name, f"of the shape of x, {tuple(x.shape)}", tuple(value.shape))
        if not bool(torch.isfinite(value).all()):
            raise expected(name, "finite everywhere", f"NaN or infinity in {_rows_not_finite(value)} of {len(x)} rows")
    if image_shape is not None and (image_shape[0] * image_shape[1] != x.shape[1] or min(image_shape) < 3):
        raise expected("image_shape", f"(height, width) of at least 3 with height * width = {x.shape[1]} nodes",
                       tuple(image_shape))
    if len(x) == 0:
        raise expected("x", "at least one row", "0 rows")
    step = max(1, _CHUNK_VALUES // max(1, x[0].numel()))
    parts = [_score_rows({name: value[i:i + step].detach().float() for name, value in given.items()}, image_shape)
             for i in range(0, len(x), step)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def summarise(scores: dict[str, Tensor]) -> dict[str, float]:
    """The mean over the rows of every score :func:`reconstruction_scores` returned, in float64."""
    return {name: float(values.double().mean()) for name, values in scores.items()}


def _score_rows(rows: dict[str, Tensor], image_shape: tuple[int, int] | None) -> dict[str, Tensor]:
    x, clean = rows["x"], rows["clean"]
    mse = (x - clean).square().mean(dim=(1, 2))
    scores = {"mse_clean": mse, "psnr": (-10 * mse.log10()).clamp(max=PSNR_CAP)}
    if image_shape is not None:
        scores["ssim"] = _ssim(x, clean, image_shape)
    if "perturbed" in rows:
        scores["mse_perturbed"] = (x - rows["perturbed"]).square().mean(dim=(1, 2))
    return scores


def _ssim(x: Tensor, clean: Tensor, image_shape: tuple[int, int]) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure

    pictures = [rows.transpose(1, 2).unflatten(2, image_shape) for rows in (x, clean)]  # (B, C, height, width)
    window = min(SSIM_WINDOW, min(image_shape) - (min(image_shape) + 1) % 2)
    _, values = structural_similarity_index_measure(*pictures, gaussian_kernel=False, kernel_size=window,
                                                    data_range=1.0, reduction="none", return_full_image=True)
    border = window // 2  # windows centred here reach into the reflection
    height, width = image_shape
    return values[:, :, border:height - border, border:width - border].mean(dim=(1, 2, 3))


def _symmetric(matrix: Any, name: str) -> np.ndarray:
    """``matrix`` as a float64 (N, N) array, checked."""
    values = np.asarray(matrix.detach().cpu() if isinstance(matrix, Tensor) else matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise expected(name, "of shape (N, N) with at least 2 nodes", values.shape)
    if not np.isfinite(values).all():
        raise expected(name, "finite everywhere", f"NaN or infinity at {int((~np.isfinite(values)).sum())} places")
    gap = float(np.abs(values - values.T).max())
    if gap > 1e-4 * max(1.0, float(np.abs(values).max())):
        raise expected(name, "symmetric", f"entries (i, j) and (j, i) that differ by {gap:.3g}",
                       "Only i < j is read: average it with its transpose first.")
    return values


def _rows_not_finite(value: Tensor) -> int:
    return int((~torch.isfinite(value)).flatten(1).any(dim=1).sum())
