"""Tasks with a known graph, for measuring how well relations are found: random fields, structural equations, diffusion.

All numbers come from ``RandomState(derived_seed(seed, 3, family, part))``, whose stream numpy froze. ``part`` 0 draws
the graph, its weights and functions, 1 the rows, 2 what a task adds to them (a heavy tail, measurement noise). So the
tasks of one family and seed share their graph, and more rows of a task begin with the rows of the smaller one (before
the columns are standardised).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.random import RandomState

from ..errors import expected
from .base import derived_seed

FIELD_DEGREE, DAG_DEGREE = 3.0, 2.0  # expected neighbours of a node in the Erdős–Rényi graphs
SMALLEST_EIGENVALUE = 0.15  # of a random field's precision matrix with unit diagonal
FREEDOM = 3  # degrees of freedom of the heavy-tailed t distributions
DIFFUSION_TIME, DIFFUSION_NOISE = 1.0, 0.05
REFERENCE_ROWS = 4096  # the sample that fixes the scale of the nonlinear functions' arguments
_STREAM = 3  # names these random streams apart from those of base.damage_seed (0, 1) and karate (2)
_ER, _BA, _GRID, _LINEAR, _NONLINEAR, _DIFFUSION = range(6)

Truths = dict[str, np.ndarray]
Streams = Callable[[int], RandomState]  # part -> its random stream
Maker = Callable[[int, int, Streams], tuple[np.ndarray, Truths]]  # nodes, rows, streams -> float64 (rows, N), truths


@dataclass(frozen=True, eq=False)
class SyntheticTask:
    """Rows and the graphs behind them.

    Attributes:
        name, title, description: the key in ``TASKS``, the name a person reads, and one sentence.
        x: float32 (rows, N, 1), every column with mean 0 and standard deviation 1 over these rows.
        truths: name -> bool (N, N), symmetric, empty diagonal: {"graph"}, or of structural equations {"skeleton",
            "moral"}: who causes whom, and the same with the parents of a common child joined, which is what remains
            dependent given all other columns.
    """

    name: str
    title: str
    description: str
    x: np.ndarray
    truths: Truths


def make_task(name: str, num_nodes: int = 40, rows: int = 1000, seed: int = 0) -> SyntheticTask:
    """The task of that name (a key of ``TASKS``); graph and parameters depend on ``num_nodes`` and ``seed`` alone.

    Example:
        >>> task = make_task("gmrf-grid-signed", num_nodes=36, rows=200)
        >>> task.x.shape, int(task.truths["graph"].sum()) // 2
        ((200, 36, 1), 60)

    Raises:
        SagvaeError: the name is unknown, there are fewer than 5 nodes or 2 rows, ``seed`` is negative, or a grid task
            gets a prime number of nodes.
    """
    if name not in _TASKS:
        raise expected("task", "one of " + ", ".join(map(repr, _TASKS)), repr(name))
    for what, value, least in (("num_nodes", num_nodes, 5), ("rows", rows, 2), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise expected(what, f"a whole number of at least {least}", value)
    title, description, family, make = _TASKS[name]
    raw, truths = make(num_nodes, rows, lambda part: RandomState(derived_seed(seed, _STREAM, family, part)))
    x = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    return SyntheticTask(name, title, description, x.astype(np.float32)[:, :, None], truths)


# ---------------------------------------------------------------------- graphs, bool (N, N)

def erdos_renyi(num_nodes: int, degree: float, random: RandomState) -> np.ndarray:
    """Every pair is an edge with the same probability, ``degree`` neighbours expected; never empty."""
    while True:
        upper = np.triu(random.uniform(size=(num_nodes, num_nodes)) < min(1.0, degree / (num_nodes - 1)), k=1)
        if upper.any():
            return upper | upper.T


def barabasi_albert(num_nodes: int, random: RandomState) -> np.ndarray:
    """Preferential attachment with two edges a new node (networkx): few hubs, many nodes of degree 2."""
    import networkx as nx

    graph = nx.barabasi_albert_graph(num_nodes, 2, seed=int(random.randint(2**31 - 1)))
    return nx.to_numpy_array(graph).astype(bool)


def grid(num_nodes: int) -> np.ndarray:
    """Four neighbours on the squarest rectangle of ``num_nodes`` places: 40 = 5 x 8.

    Raises:
        SagvaeError: ``num_nodes`` is prime.
    """
    height = max(side for side in range(1, int(num_nodes**0.5) + 1) if num_nodes % side == 0)
    if height == 1:
        raise expected("num_nodes of a grid task", "a product of two numbers, as 40 = 5 x 8", f"the prime {num_nodes}",
                       f"Take {num_nodes + 1}.")
    row, column = np.divmod(np.arange(num_nodes), num_nodes // height)
    return np.abs(row[:, None] - row) + np.abs(column[:, None] - column) == 1


def connected(adjacency: np.ndarray, random: RandomState) -> np.ndarray:
    """The graph with one random edge from each connected part to the next."""
    import networkx as nx

    joined = adjacency.copy()
    for left, right in pairwise(sorted(part) for part in nx.connected_components(nx.from_numpy_array(adjacency))):
        i, j = random.choice(left), random.choice(right)
        joined[i, j] = joined[j, i] = True
    return joined


def moral_graph(parents: np.ndarray) -> np.ndarray:
    """The skeleton with the parents of a common child joined; ``parents[j, k]`` says that k is a parent of j."""
    counts = parents.astype(int)
    moral = (counts + counts.T + counts.T @ counts) > 0
    np.fill_diagonal(moral, False)
    return moral


# ---------------------------------------------------------------------- Gaussian Markov random fields

def field_precision(adjacency: np.ndarray, signed: bool, random: RandomState) -> np.ndarray:
    """A precision matrix with unit diagonal whose off-diagonal support is the graph, float64 (N, N).

    Its entries are -w_ij with |w| ~ U(0.3, 0.7), so the partial correlation of an edge is w_ij: all positive, or with
    random signs. Where the smallest eigenvalue would be below 0.15, one common factor shrinks all w until it is 0.15.
    """
    sizes = random.uniform(0.3, 0.7, size=adjacency.shape)
    signs = random.choice([-1.0, 1.0], size=adjacency.shape)
    weights = np.triu(adjacency * sizes * (signs if signed else 1.0), k=1)
    weights += weights.T
    largest = np.linalg.eigvalsh(weights)[-1]
    return np.eye(len(weights)) - weights * min(1.0, (1 - SMALLEST_EIGENVALUE) / largest)


def _field(graph: Callable[[int, RandomState], np.ndarray], signed: bool, heavy: bool, num_nodes: int, rows: int,
           streams: Streams) -> tuple[np.ndarray, Truths]:
    random = streams(0)
    adjacency = graph(num_nodes, random)
    factor = np.linalg.cholesky(field_precision(adjacency, signed, random))
    x = np.linalg.solve(factor.T, streams(1).standard_normal((rows, num_nodes)).T).T
    if heavy:  # a multivariate t: one common factor a row, so zeros of the precision keep their places
        x /= np.sqrt(streams(2).chisquare(FREEDOM, size=(rows, 1)) / FREEDOM)
    return x, {"graph": adjacency}


# ---------------------------------------------------------------------- structural equation models

FUNCTIONS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda x: np.square(x) - 1, np.abs, lambda x: np.cos(2 * x), lambda x: np.sin(3 * x), lambda x: np.tanh(3 * x))


def random_dag(num_nodes: int, random: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """A random order of the nodes, int (N,), and ``parents`` bool (N, N): [j, k] says that k is a parent of j."""
    edges, order = erdos_renyi(num_nodes, DAG_DEGREE, random), random.permutation(num_nodes)
    position = np.argsort(order)
    return order, edges & (position[None, :] < position[:, None])


def _linear(num_nodes: int, rows: int, streams: Streams) -> tuple[np.ndarray, Truths]:
    random = streams(0)
    _, parents = random_dag(num_nodes, random)
    weights = parents * random.uniform(0.5, 1.5, size=parents.shape) * random.choice([-1.0, 1.0], size=parents.shape)
    noise = streams(1).standard_normal((rows, num_nodes))
    return np.linalg.solve(np.eye(num_nodes) - weights, noise.T).T, _causal_truths(parents)


def _nonlinear(heavy: bool, num_nodes: int, rows: int, streams: Streams) -> tuple[np.ndarray, Truths]:
    random = streams(0)
    order, parents = random_dag(num_nodes, random)
    kinds = random.randint(len(FUNCTIONS), size=parents.shape)
    scales = random.uniform(1, 2, size=parents.shape) * random.choice([-1.0, 1.0], size=parents.shape)

    def noise(stream: RandomState, count: int) -> np.ndarray:
        if heavy:  # a t of 3 degrees of freedom has the variance 3
            return 0.5 * stream.standard_t(FREEDOM, size=(count, num_nodes)) / FREEDOM**0.5
        return 0.5 * stream.standard_normal((count, num_nodes))

    # A parent is standardised by a sample of fixed size, or else the functions would depend on how many rows are asked.
    x = np.concatenate([noise(random, REFERENCE_ROWS), noise(streams(1), rows)])
    for j in order:
        for k in np.flatnonzero(parents[j]):
            reference = x[:REFERENCE_ROWS, k]
            x[:, j] += scales[j, k] * FUNCTIONS[kinds[j, k]]((x[:, k] - reference.mean()) / reference.std())
    return x[REFERENCE_ROWS:], _causal_truths(parents)


def _causal_truths(parents: np.ndarray) -> Truths:
    return {"skeleton": parents | parents.T, "moral": moral_graph(parents)}


# ---------------------------------------------------------------------- diffusion

def _diffusion(num_nodes: int, rows: int, streams: Streams) -> tuple[np.ndarray, Truths]:
    random = streams(0)
    adjacency = connected(erdos_renyi(num_nodes, FIELD_DEGREE, random), random)
    degrees = adjacency.sum(axis=1)
    values, vectors = np.linalg.eigh(np.eye(num_nodes) - adjacency / np.sqrt(np.outer(degrees, degrees)))
    kernel = (vectors * np.exp(-DIFFUSION_TIME * values)) @ vectors.T  # exp(-tau L)
    deviations = np.sqrt(np.square(kernel).sum(axis=1))
    x = streams(1).standard_normal((rows, num_nodes)) @ kernel
    return x + DIFFUSION_NOISE * deviations * streams(2).standard_normal(x.shape), {"graph": adjacency}


_GRAPHS: dict[str, tuple[str, int, Callable[[int, RandomState], np.ndarray]]] = {
    "er": ("Erdős–Rényi", _ER, lambda num_nodes, random: erdos_renyi(num_nodes, FIELD_DEGREE, random)),
    "ba": ("Barabási–Albert", _BA, barabasi_albert),
    "grid": ("grid", _GRID, lambda num_nodes, random: grid(num_nodes)),
}
_SIGNS = {"signed": ("both signs", True), "positive": ("positive", False)}

# name -> title, description, family, maker
_TASKS: dict[str, tuple[str, str, int, Maker]] = {
    **{f"gmrf-{graph}-{sign}": (
        f"Random field, {shape}, {words}",
        f"Gaussian Markov random field on a graph of the {shape} kind; partial correlations {words}.", family,
        partial(_field, make, signed, False))
       for graph, (shape, family, make) in _GRAPHS.items() for sign, (words, signed) in _SIGNS.items()},
    "gmrf-heavy": ("Random field, Erdős–Rényi, heavy tails",
                   "The field of gmrf-er-signed as a multivariate Student t with 3 degrees of freedom.", _ER,
                   partial(_field, _GRAPHS["er"][2], True, True)),
    "sem-linear": ("Linear equations", "Linear structural equations on a random directed acyclic graph with as many "
                   "edges as nodes, Gaussian noise.", _LINEAR, _linear),
    "sem-nonlinear": ("Nonlinear equations", "Structural equations with mostly non-monotone functions of each parent, "
                      "Gaussian noise.", _NONLINEAR, partial(_nonlinear, False)),
    "sem-nonlinear-heavy": ("Nonlinear equations, heavy tails", "The equations of sem-nonlinear with noise from a "
                            "Student t with 3 degrees of freedom.", _NONLINEAR, partial(_nonlinear, True)),
    "diffusion": ("Diffusion", "White signals diffused over a connected Erdős–Rényi graph, exp(-L) w, with 5 % noise.",
                  _DIFFUSION, _diffusion),
}
TASKS: dict[str, str] = {name: title for name, (title, *_) in _TASKS.items()}
