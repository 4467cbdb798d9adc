"""Small study records as `sagvae study` writes them, with drawn scores instead of trained models."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from sagvae_core.data import load_dataset
from sagvae_core.data.base import derived_seed
from sagvae_core.studies import confidence, images
from sagvae_core.studies.cells import Cell, Measured
from sagvae_core.studies.record import edge_metrics, pairs, run_study

KNOWN, UNKNOWN = "density known", "density unknown"
NODE, SAMPLE = "SAG-VAE, per node", "SAG-VAE, per sample"
BASELINES = {"All edges": None, "Pairwise product": 1.0, "VGAE, no edges": 0.3, "VGAE, 10 % of the edges": 0.6,
             "Absolute correlation": 1.3, "Partial correlation": 2.2, "Graphical lasso": 2.6,
             "Smooth-signal graph": 1.4}
OURS = {NODE: 3.6, SAMPLE: 2.8, "SAG-VAE": 3.4, "candidate: linear": 3.3, "candidate: nonlinear": 2.9,
        "candidate: smoothing": 1.1}
SYMMETRIC, ROW = "karate, symmetric generator", "karate, row generator"
PAPER = {"Pairwise Product": (0.139, 0.985, 0.243), "VGAE (no input edge)": (0.142, 0.524, 0.223),
         "VGAE (10 % link)": (0.150, 0.539, 0.234), "SAG-VAE (data-wise)": (0.616, 0.558, 0.586),
         "SAG-VAE (dimension-wise)": (0.558, 0.611, 0.583)}
TABLE_2 = {"PROTEINS, 64 nodes": (0.367, 0.276, 0.283, 0.385), "ENZYMES, 18 nodes": (0.410, 0.315, 0.319, 0.423),
           "COIL-RAG, 6 nodes": (0.714, 0.620, 0.643, 0.800)}
REFERENCES = {"oracle: best threshold, clean products": 9.0, "reference: neighbours by number": 8.0}
FAMILIES = ("gmrf-er-signed", "gmrf-er-positive", "gmrf-ba-signed", "gmrf-grid-signed", "sem-linear (skeleton)",
            "sem-linear (moral)", "sem-nonlinear", "sem-nonlinear-heavy", "diffusion")


@cache
def graph(task: str) -> np.ndarray:
    """bool (N, N): the club's for karate, else a random one of about the size in the task's name."""
    if task.startswith(("karate", "ablation")):
        return load_dataset("karate").adjacency
    nodes = int(task.split(" nodes")[0].split(", ")[-1])
    random = np.random.RandomState(derived_seed(0, sum(map(ord, task))))
    upper = np.triu(random.uniform(size=(nodes, nodes)) < min(0.5, 4 / nodes), 1)
    upper[0, 1] = True
    return upper | upper.T


def measure(cell: Cell) -> Measured:
    """Scores that are the truth and noise, the less the better the method."""
    truth = graph(cell.task)
    random = np.random.RandomState(derived_seed(cell.seed, sum(map(ord, cell.task + cell.method + cell.setting))))
    strength = (OURS | BASELINES | REFERENCES).get(cell.method, 2.0)
    noise = np.triu(random.standard_normal(truth.shape), 1)
    scores = np.ones(truth.shape) if strength is None else truth * strength + noise + noise.T
    threshold = 0.5 if strength is None else strength / 2 + 0.5
    if cell.setting == KNOWN and strength is not None:
        threshold = np.sort(pairs(scores))[-int(pairs(truth).sum()) - 1]
    found = edge_metrics(scores, threshold, truth)
    if cell.method == "SAG-VAE":
        found |= {"regret_ap": abs(random.standard_normal()) * 0.006, "regret_f1": abs(random.standard_normal()) * 0.02}
    if cell.method in (NODE, SAMPLE):
        found |= {"mse_unseen": random.uniform(0.003, 0.004), "mse_unseen_mean": random.uniform(0.9, 1.1)}
    return Measured(found, pairs(scores), pairs(truth), threshold)


def write_karate(folder: Path, seeds: int = 3) -> Path:
    """Two tasks with the paper's rows, and an ablation without kept edges."""
    cells = [Cell(task, method, told, seed) for task in (SYMMETRIC, ROW) for method in (NODE, SAMPLE, *BASELINES)
             for told in (KNOWN, UNKNOWN) for seed in range(seeds)]
    ablation = "ablation, symmetric generator"
    cells += [Cell(ablation, NODE, setting, seed) for setting in ("recipe", "no attention", "no skip")
              for seed in range(seeds)]
    paper = [{"task": task, "method": f"paper: {method}", "setting": KNOWN, "metric": metric, "mean": value}
             for task in (SYMMETRIC, ROW) for method, values in PAPER.items()
             for metric, value in zip(("precision", "recall", "f1"), values, strict=True)]
    return _study("karate", cells, folder, seeds, paper, lambda cell: cell.seed == 0 and cell.task != ablation,
                  ["The paper's generator is not given: both readings are measured.",
                   "On the row generator no method reaches the symmetric one's F1."])


def write_graphs(folder: Path, seeds: int = 3) -> Path:
    """Table 2: all graphs of a size, and a single one, with rows that no fair method could have."""
    tasks = [f"{name}, {which}" for name in TABLE_2 for which in ("all", "graph 249")]
    cells = [Cell(task, method, told, seed) for task in tasks for method in (NODE, *BASELINES)
             for told in (KNOWN, UNKNOWN) for seed in range(seeds if task.endswith("all") else 1)]
    cells += [Cell(task, method, "", seed) for task in tasks for method in REFERENCES
              for seed in range(seeds if task.endswith("all") else 1)]
    methods = ("Pairwise Product", "VGAE (no input edge)", "VGAE (10 % link)", "SAG-VAE (dimension-wise)")
    paper = [{"task": f"{name}, {which}", "method": f"paper: {method}", "setting": KNOWN, "metric": "f1", "mean": value}
             for name, values in TABLE_2.items() for which in ("all", "graph 249")
             for method, value in zip(methods, values, strict=True)]
    return _study("graphs", cells, folder, seeds, paper, lambda cell: cell.task.endswith("graph 249"),
                  "COIL-RAG: the paper's .800 is below calling every pair an edge.")


def write_suite(folder: Path, seeds: int = 3, sizes=((40, 200), (40, 1000)), families=FAMILIES) -> Path:
    """Tasks of several sizes, one learner of ours with its candidates."""
    methods = ("SAG-VAE", *(name for name in OURS if name.startswith("candidate")), *BASELINES)
    cells = [Cell(f"{family}, {nodes} nodes, {rows} rows", method, "", seed) for family in families
             for nodes, rows in sizes for method in methods for seed in range(seeds)]
    cells += [Cell(cells[0].task, "tried: another normalisation", "", seed) for seed in range(seeds)]
    return _study("suite", cells, folder, seeds, [], lambda cell: cell.seed == 0, None)


def measure_pictures(cell: Cell) -> Measured:
    """Errors drawn around what a method usually has."""
    random = np.random.RandomState(derived_seed(cell.seed, sum(map(ord, cell.task + cell.method + cell.setting))))
    if cell.task.endswith(images.EDGES):
        return Measured({"active_edges": 2000} | {f"within_{reach}": 0.7 + 0.1 * reach for reach in (1, 2, 3)}
                        | {f"chance_within_{reach}": 0.01 * reach for reach in (1, 2, 3)})
    error = random.uniform(0.9, 1.1) * (0.005 if cell.method.startswith(("SAG-VAE", "tried")) else 0.03)
    if cell.task.endswith(images.TRAINING):
        return Measured({"mse_clean": error, "mse_perturbed": 2 * error})
    hidden = {"hidden_log_likelihood": -error} if cell.method.startswith(("SAG-VAE", "tried")) else {}
    return Measured({"mse_clean": error, "psnr": -10 * np.log10(error), "ssim": 1 - 10 * error, "mse_perturbed": 0.08,
                     "test_images": 300} | hidden)


def write_images(folder: Path, seeds: int = 2, datasets=("digits",)) -> Path:
    """Every cell of the study of images, on pictures that need no files."""
    return run_study("images", list(images.plan(datasets, range(seeds))), measure_pictures, out=folder / "images.json",
                     command="sagvae study images", seeds=range(seeds), notes=images.NOTES, quiet=True)


def measure_confidence(cell: Cell) -> Measured:
    """A posterior that is worth its number, and shares of halves that are too cautious."""
    random = np.random.RandomState(derived_seed(cell.seed, sum(map(ord, cell.task))))  # the same pairs for all methods
    chance = random.beta(0.2, 0.8, size=2000)
    true = random.uniform(size=2000) < chance
    stated = chance if cell.method == confidence.POSTERIOR else chance**2
    found = confidence.counted(stated, true) | {"brier": float(((stated - true) ** 2).mean())}
    if cell.method in (confidence.HALVES, *confidence.CLASSICAL):
        found |= {"selected": 20, "false_selected": 0.5, "false_bound": 0.9}
    if cell.method in (confidence.HALVES, confidence.BOOTSTRAP) and not cell.task.startswith("karate"):
        found |= {"coverage_edges": 0.94, "coverage_others": 0.97}
    return Measured(found)


def write_confidence(folder: Path, seeds: int = 2) -> Path:
    """Every cell of the study of confidences, for three kinds of tasks."""
    cells = list(confidence._cells(("gmrf-er-signed", "diffusion", "karate"), 20, (200, 1000), range(seeds), False))
    return run_study("confidence", cells, measure_confidence, out=folder / "confidence.json",
                     command="sagvae study confidence", seeds=range(seeds), notes=confidence.NOTES, quiet=True)


def _study(name, cells, folder, seeds, paper, keep, notes) -> Path:
    return run_study(name, cells, measure, out=folder / f"{name}.json", command=f"sagvae study {name}",
                     seeds=range(seeds), paper_rows=paper, notes=notes, quiet=True, keep_edges=keep,
                     worst=("regret_ap", "regret_f1"))


def write_all(folder: Path) -> Path:
    """All five, as small as they can be and still show everything."""
    write_karate(folder, 2)
    write_graphs(folder, 2)
    write_suite(folder, 2, families=FAMILIES[:3])
    write_images(folder)
    write_confidence(folder)
    return folder
