"""A quick look at wide tables: which variants of :class:`SAGVAERelations` need not be fitted.

Training and searching take seconds on 40 columns and minutes on 256, and nearly always end with the linear variant.
"""

from __future__ import annotations

import numpy as np

from .bits import RIDGE

WIDE = 128  # columns; narrower tables are given the whole of every variant
_FUNCTIONS = (np.square, lambda z: z ** 3, np.abs, lambda z: np.sin(3 * z), lambda z: np.cos(2 * z))
_LARGEST_R2 = 0.99


def curved_gain(ranks: np.ndarray, graph: np.ndarray, prior_log_odds: float) -> float:
    """What functions of single columns explain of the others' linear residuals, in nats a value.

    For every pair five functions of one column, less what is linear in them, are tested on the residual of the other's
    regression on its neighbours; only what is left of a gain after its price (BIC and prior) counts, and the gains of
    all pairs are added up as if they did not overlap. 0 says that no pair has a nonlinear relation.

    Args:
        ranks: (M, N) normal scores, NaN where missing.
        graph: bool (N, N), the linear variant's.
        prior_log_odds: of an edge before any data.
    """
    z = np.nan_to_num(ranks)
    rows, nodes = z.shape
    residual = np.empty_like(z)
    for i in range(nodes):
        design = z[:, graph[i]]
        gram = design.T @ design + RIDGE * rows * np.eye(design.shape[1])
        residual[:, i] = z[:, i] - design @ np.linalg.solve(gram, design.T @ z[:, i])
    residual -= residual.mean(axis=0)
    total, price = 0.0, prior_log_odds - 0.5 * len(_FUNCTIONS) * np.log(rows)
    for j in range(nodes):
        line = (z[:, j] - z[:, j].mean()) / max(z[:, j].std(), 1e-9)
        bent = np.stack([function(z[:, j]) for function in _FUNCTIONS], axis=1)
        bent = bent - bent.mean(axis=0)
        bent = bent - line[:, None] * (line @ bent / rows)
        bent = bent / np.maximum(bent.std(axis=0), 1e-9)
        cross = bent.T @ residual / rows
        gram = bent.T @ bent / rows + RIDGE * np.eye(len(_FUNCTIONS))
        share = (cross * np.linalg.solve(gram, cross)).sum(axis=0) / np.maximum(residual.var(axis=0), 1e-9)
        share[j] = 0.0
        gains = -0.5 * rows * np.log1p(-np.clip(share, 0, _LARGEST_R2)) + price
        total += float(np.clip(gains, 0, None).sum())
    return total / z.size
