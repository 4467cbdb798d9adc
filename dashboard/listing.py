"""Which runs there are, and what pages say of each. Nothing is kept: a training may change any of it. No Streamlit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashboard.names import ALONG, one_line
from sagvae_core.config import ModelConfig
from sagvae_core.data import DATASETS
from sagvae_core.errors import SagvaeError
from sagvae_core.presets import MODELS, TRAINED_ON
from sagvae_core.runs import Run, is_name, is_shipped, list_runs, runs_folder

_TITLE = 64  # characters; the name of a run has no more


@dataclass(frozen=True)
class RunInfo:
    """What pages show of a run. ``key`` changes when the model file does, so caches never serve an old model.

    Its texts may be a stranger's: each is one line of visible characters, still to be escaped where it is shown.
    """

    name: str
    key: str
    title: str
    dataset: str
    role: str
    family: str
    state: str
    shipped: bool
    has_model: bool
    has_graph: bool
    seconds: float
    device: str
    metrics: dict[str, float]
    command: str

    @property
    def label(self) -> str:
        return self.title if self.shipped else f"{self.title} · {self.name}"

    @property
    def usual(self) -> bool:
        """Whether it was trained as the paper's models on this data set were: the other families vary that."""
        return self.family == self.dataset

    @property
    def short(self) -> str:
        """The model where its data set is known: what it is, and what it learned from if that is not noise."""
        name = MODELS.get(self.role, self.role)
        damage = self.family.removeprefix(f"{self.dataset}-")
        if damage in TRAINED_ON:
            name += f", from {TRAINED_ON[damage]}"
        return name if self.shipped else " · ".join(filter(None, (name, self.name)))


def run_infos() -> tuple[list[RunInfo], list[str]]:
    """All runs without damage, shipped ones first, and a sentence for each of the others."""
    runs, problems = named_runs()
    found = list(map(_info_or_problem, runs))
    infos = [info for info in found if isinstance(info, RunInfo)]
    problems += [f"{run.name}: {what}" for run, what in zip(runs, found, strict=True) if isinstance(what, str)]
    position = {name: index for index, name in enumerate(DATASETS)}
    roles = list(MODELS)
    infos.sort(key=lambda info: (not info.shipped, position.get(info.dataset, 99),
                                 roles.index(info.role) if info.role in roles else 99, info.name))
    return infos, problems


def named_runs(*roots: Path) -> tuple[list[Run], list[str]]:
    """The runs below ``roots`` (default: as ``list_runs``), and a sentence for each folder that a run may not have.

    A folder that somebody has unpacked there may be called anything. Hidden ones are nobody's: a run on its way in.
    """
    problems = []
    for folder in sorted(folder for root in roots or (runs_folder(),) for folder in Path(root).glob("[!.]*")):
        if not is_name(folder.name) and (folder / "config.json").is_file():
            problems.append(f"“{one_line(folder.name)}”: the name of a run's folder must be 1 to 64 letters, digits, "
                            "“.”, “_” or “-”, the first a letter or digit. Rename the folder.")
    return list_runs(*roots), problems


def problem(run: Run) -> str | None:
    """What is wrong with a run, in a sentence; None where nothing is known to be."""
    found = _info_or_problem(run)
    return found if isinstance(found, str) else None


def _info_or_problem(run: Run) -> RunInfo | str:
    try:
        return _info(run)
    except (SagvaeError, OSError) as error:
        return str(error)
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:  # one run must not take all pages
        return (f"its files must hold what a training wrote, got another value ({type(error).__name__}). Delete the "
                "run or restore the files.")


def _info(run: Run) -> RunInfo:
    config, status = run.check()
    weights = run.folder / "model.safetensors"
    stamp = weights.stat().st_mtime_ns if run.has_model else 0
    has_graph = isinstance(config.model, ModelConfig) and config.model.graph == "learned"
    family, device, command = map(one_line, (config.family, status.device, config.command))
    title, role = one_line(config.title, _TITLE) or run.name, one_line(config.role, ALONG)
    metrics = {one_line(name): float(value) for name, value in status.metrics.items()}
    return RunInfo(run.name, f"{run.name}@{stamp}", title, config.data.name, role, family, status.state,
                   is_shipped(run), run.has_model, has_graph,
                   float(status.seconds), device, metrics, command)
