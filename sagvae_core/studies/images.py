"""Section 4.2 of the paper and more: who repairs noisy and masked pictures, of MNIST and Fashion-MNIST.

Two readings of the paper: a model learns from damaged pictures and never sees a clean one, or it learns from clean ones
and is shown damage. All training pictures are used, every choice was made on validation pictures, and the test pictures
are looked at once.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config_data import one_of
from ..data import DATASETS, load_dataset
from ..errors import expected
from ..metrics import edge_distances, reconstruction_scores, summarise
from ..model import SAGVAE
from ..presets import MODELS
from .cells import Cell, Measured
from .image_methods import (
    DAMAGES,
    FILTERS,
    INPUT,
    MEAN_IMAGE,
    METHODS,
    OURS,
    SAME_RULE,
    TRAINED_ON,
    config_of,
    curve_steps,
    pictures,
    repairer,
    trained,
    training_curve,
)
from .record import aggregate, run_study

IMAGE_SETS = ("mnist", "fashion", "digits")
EDGES, TRAINING = "learned edges", "during training"
# Test pictures of a task; None: all of them. Models that look for damaged regions take tens of milliseconds for each.
_COUNTS = {"noise": None, "less noise": 1000, "white block": 1000, "black block": 500, "random block": 500}
_SEARCHED = {"noise": 300, "less noise": 300}
_FEW_IMAGES, _QUICK_IMAGES = 200, 60
_NOISE, _WHITE, _CLEAN = "trained on noise", "trained on white blocks", "trained on clean images"
NOTES = (
    "The seeds draw weights, the order of training and all damage; the pictures of the three splits are always the "
    "same. Seed 0 takes the shipped runs wherever their settings are those of the cell.",
    "test_images: the paper's noise is measured on all test pictures, the other tasks on the first "
    f"{max(filter(None, _COUNTS.values())):,} to {_FEW_IMAGES}; models that look for damaged regions, which takes tens "
    f"of milliseconds a picture, on {_SEARCHED['noise']} noisy ones.",
    "Autoencoders that denoise learn from clean targets and fresh damage every epoch; all others in a reading are "
    "trained on the same pictures and nothing else. Settings, the KL weights of the VAEs among them, were chosen on "
    "clean validation pictures; filters are tuned there for each damage anew. The search for damaged regions was made "
    "with blocks in view: about this size, of one brightness or noise. No other method knows of that.",
    "psnr is a mean over pictures and 100 dB for an exact copy: where a block falls on black, doing nothing is exact.",
    f"“{SAME_RULE}” is trained as SAG-VAE and may distrust values as it does, without a graph: what it puts "
    "in their place is what each pixel is like in general. “Decoder alone” is the paper's own decoder of the same "
    "SAG-VAE. Rows that begin with “tried” change one thing in SAG-VAE.",
    "hidden_log_likelihood: log probability of the brightness levels of hidden held-out values given the visible ones, "
    "in nats a pixel, on damaged pictures alone: by it a setting can be chosen without any clean picture.",
    f"{EDGES}: of the edges above .5 between pixels that ever light up, how many join pixels at most 1, 2 or 3 "
    "apart, and by chance.",
    f"{TRAINING}: Figure 6, the error of the decoder's output for held-out noisy pictures to the clean and to the "
    "noisy ones, while the evidence lower bound is maximised.",
    "The paper shows pictures and no numbers for all this: there is nothing of its own to stand beside ours.",
)


def images_study(out: Path, datasets: Sequence[str] = ("mnist", "fashion"), seeds: int = 3, quick: bool = False,
                 workers: int = 1, quiet: bool = False, minutes: float | None = None,
                 test_images: int | None = None) -> Path:
    """Run the study and write its record to ``out``; on two CPU cores the whole of it takes many hours.

    Args:
        datasets: among "mnist", "fashion" and "digits".
        seeds: how many, from 0 on.
        quick: the small digits, one seed, few pictures and four epochs: does it run, and no more.
        minutes: as in :func:`.record.run_study`; what matters most comes first.
        test_images: at most so many for every task.

    Raises:
        SagvaeError: an unknown data set, or as :func:`.record.run_study`.
    """
    if test_images is not None and test_images < 1:
        raise expected("test_images", "at least 1", test_images)
    if quick:
        datasets, seeds, test_images = ("digits",), 1, min(test_images or _QUICK_IMAGES, _QUICK_IMAGES)
    for name in datasets:
        one_of("dataset", name, IMAGE_SETS)
    chosen = list(range(seeds))
    limit = "" if test_images is None or quick else f" --test-images {test_images}"
    command = "sagvae study images" + (" --quick" if quick else f" --seeds {seeds}" + "".join(
        f" --dataset {name}" for name in datasets) + limit)
    return run_study("images", list(plan(datasets, chosen, quick)), functools.partial(measure, test_images=test_images),
                     out=out, command=command, seeds=chosen, notes=NOTES, workers=workers, quiet=quiet,
                     together=together, minutes=minutes)


def image_rows(cells: Sequence[Cell], test_images: int | None = None) -> list[dict[str, Any]]:
    """The rows of ``cells``, of :func:`plan`, without a file."""
    return aggregate({cell: measure(cell, test_images).metrics for cell in cells})


def task_name(dataset: str, what: str) -> str:
    """How the record calls a damage, or :data:`EDGES` or :data:`TRAINING`, on a data set."""
    return f"{DATASETS[dataset].title}, {what}"


def plan(datasets: Sequence[str], seeds: Sequence[int], quick: bool = False) -> Iterator[Cell]:
    """All cells, what the claims rest on first: the main comparisons before any variant."""
    identity, mlp_vae, dae, conv_dae = (MODELS[role] for role in ("identity", "mlp_vae", "dae", "conv_dae"))
    alone = f"{OURS}, decoder alone"
    noise = [(method, _NOISE) for method in (OURS, alone, identity, dae)]
    masks = [(method, setting) for setting in (_WHITE, _CLEAN) for method in (OURS, alone, identity)]
    beside = [(SAME_RULE, _WHITE), (SAME_RULE, _CLEAN), (SAME_RULE, _NOISE), (dae, _WHITE),
              *((mlp_vae, setting) for setting in (_NOISE, _WHITE, _CLEAN))]
    variants = [(method, _NOISE) for method in METHODS if method.startswith("tried: ")]
    other_blocks = [(method, setting) for setting in ("trained on black blocks", "trained on random blocks")
                    for method in (OURS, identity)]
    first, rest = seeds[:1], seeds[1:]
    steps = [(noise, first), (masks, first), (noise, rest), (masks, rest), ([(conv_dae, _NOISE)], seeds),
             (beside, first), (beside, rest)]
    for methods, chosen in steps if quick else [*steps, (variants, seeds), (other_blocks, seeds)]:
        for seed in chosen:
            for name in datasets:
                for method, setting in methods:
                    yield from _trained(name, method, setting, seed, quick)
                if methods is noise:
                    yield from _untrained(name, seed, quick)
                if methods is beside:
                    yield from _curves(name, seed, quick)


def _untrained(name: str, seed: int, quick: bool) -> Iterator[Cell]:
    for what in DAMAGES:
        for method in (INPUT, *FILTERS):
            yield Cell(task_name(name, what), method, "", seed, quick)
    for setting in (_NOISE, _WHITE, _CLEAN):
        for what in DAMAGES:
            yield Cell(task_name(name, what), MEAN_IMAGE, setting, seed, quick)


def _trained(name: str, method: str, setting: str, seed: int, quick: bool) -> Iterator[Cell]:
    for what in DAMAGES:
        yield Cell(task_name(name, what), method, setting, seed, quick)
    if METHODS[method].role == "sagvae" and METHODS[method].expectation is None and method != SAME_RULE:
        yield Cell(task_name(name, EDGES), method, setting, seed, quick)


def _curves(name: str, seed: int, quick: bool) -> Iterator[Cell]:
    for method in (OURS, MODELS["identity"]):
        config = config_of(name, METHODS[method], _NOISE, seed, quick)
        rows = config.data.train_rows or len(load_dataset(config.data).train)
        for step in curve_steps(config, rows):
            yield Cell(task_name(name, TRAINING), method, _seen(step * config.train.batch_size), seed, quick)


def _seen(images: int) -> str:
    return f"{images} images seen"


def together(cell: Cell) -> Hashable:
    """Cells of one training, which one process remembers; those of each filter are on their own."""
    name, what = _parts(cell)
    if cell.method not in METHODS:
        return cell
    own = METHODS[cell.method]
    if what == TRAINING:
        return name, TRAINING, cell.method, cell.seed
    return name, own.role, own.settings, cell.setting, cell.seed


def _parts(cell: Cell) -> tuple[str, str]:
    """The data set's key and the damage."""
    name = next(name for name in IMAGE_SETS if cell.task.startswith(f"{DATASETS[name].title}, "))
    return name, cell.task.removeprefix(f"{DATASETS[name].title}, ")


def measure(cell: Cell, test_images: int | None = None) -> Measured:
    """One method on one damage of one data set, or what its graph or its training looks like."""
    name, what = _parts(cell)
    if what == TRAINING:
        point = training_curve(name, cell.method, cell.seed, cell.quick)[int(cell.setting.split()[0])]
        return Measured({"mse_clean": point.mse_clean, "mse_perturbed": point.mse_perturbed})
    own = METHODS.get(cell.method)
    model = own and trained(name, own.role, own.settings, cell.setting, cell.seed, cell.quick)
    if what == EDGES:
        lit = (pictures(name, "undamaged", "validation", cell.seed, None).clean > 0).any(0)[:, 0]
        return Measured(edge_distances(model.model.edge_posterior, DATASETS[name].image_shape, lit))
    searched = own is not None and isinstance(model.model, SAGVAE) and model.model.searches_regions
    counts = [_COUNTS.get(what, _FEW_IMAGES), _SEARCHED.get(what) if searched else None, test_images]
    shown = pictures(name, what, "test", cell.seed, min((count for count in counts if count), default=None))
    repaired = repairer(name, what, cell.method, cell.setting, cell.seed, cell.quick)(shown.damaged)
    scores = summarise(reconstruction_scores(repaired, shown.clean, DATASETS[name].image_shape, shown.damaged))
    if (model and model.hidden_log_likelihood is not None and own.expectation is None
            and TRAINED_ON[cell.setting] == what):
        scores["hidden_log_likelihood"] = model.hidden_log_likelihood
    return Measured(scores | {"test_images": len(shown.clean)})
