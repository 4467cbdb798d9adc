"""Small trainings that one process and several must finish alike; run as a program it is one of the several.

``python trainings_to_share.py FOLDER`` with the environment a launcher sets (RANK, WORLD_SIZE, MASTER_ADDR ...) trains
all of them together with the others and writes what this process has got into FOLDER.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sagvae_core.config import CompletionConfig, ModelConfig, ReferenceConfig, StageConfig, TrainConfig
from sagvae_core.data import Split
from sagvae_core.devices import first_on_machine, part_processes
from sagvae_core.generative import GenerativeModel
from sagvae_core.model import SAGVAE
from sagvae_core.reference import MLPVAE, ConvolutionalDAE, DenoisingAutoencoder
from sagvae_core.training import Trainer, TrainingStopped

N, ROWS = 16, 33  # pictures of 4 x 4; batches of 8 leave a last one of a single row


def rows(count: int, seed: int) -> torch.Tensor:
    """Noisy rows (count, N, 1) whose neighbours resemble each other."""
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.rand(count, N // 4, 1, generator=generator).repeat_interleave(4, dim=1)
    return (smooth + 0.1 * torch.rand(count, N, 1, generator=generator)).clamp(0, 1)


TRAIN, HELD_OUT = rows(ROWS, 1), rows(7, 2)


def damaged(epoch: int) -> Split:
    """The rows with the damage of this epoch."""
    drawn = torch.rand(TRAIN.shape, generator=torch.Generator().manual_seed(100 + epoch))
    hit = drawn < 0.2
    return Split(inputs=torch.where(hit, drawn * 5, TRAIN), clean=TRAIN, labels=torch.zeros(ROWS, dtype=torch.long),
                 damaged=hit[..., 0])


@dataclass(frozen=True)
class Case:
    """A model and how it is trained."""

    build: Callable[[], GenerativeModel]
    train: TrainConfig
    fresh_damage: bool = False


def config(*stages: StageConfig, **changes: Any) -> TrainConfig:
    return TrainConfig(**{"stages": stages, "batch_size": 8, "device": "cpu", "density_interval": 3,
                          "temperature": (1.0, 0.4)} | changes)


def graph(completion: CompletionConfig | None = None, **changes: Any) -> SAGVAE:
    values = {"num_nodes": N, "encoder_hidden": 6, "hidden": (4,), "attention": (0, 1), "edge_logits": "both",
              "edge_weights": "positive", "edge_regulariser": "density", "edge_prior": 0.2, "likelihood": "robust"}
    return SAGVAE(ModelConfig(**values | changes, completion=completion))


WARM_UP = StageConfig(epochs=2, likelihood="bernoulli", kl_z_weight=0.1, kl_graph_weight=0.05, learning_rate=0.01)
BOUND = StageConfig(epochs=2, kl_z_weight=0.2, kl_graph_weight=0.01, learning_rate=0.005)
COMPLETE = StageConfig(epochs=2, objective="completion", hide_regions=2, trust=True, learning_rate=0.005)
PLAIN = StageConfig(epochs=3, learning_rate=0.005)
PICTURES = {"num_nodes": N, "hidden": (6,), "denoise": True}

CASES = {
    "sagvae": Case(lambda: graph(CompletionConfig(neighbours=6, channels=8, layers=2, levels=6, damage="regions")),
                   config(WARM_UP, BOUND, COMPLETE)),
    "sagvae, moments of the batch": Case(lambda: graph(edge_logits="moments", edge_weights="signed"), config(BOUND)),
    "sagvae, one code a row": Case(
        lambda: graph(latent="per_sample", latent_dim=3, edge_logits="amortised", edge_weights="none",
                      edge_regulariser="kl", hard_edges=True), config(BOUND)),
    "sagvae, early end": Case(lambda: graph(attention=()), config(
        WARM_UP, StageConfig(epochs=30, learning_rate=0.2), patience=2)),
    "identity": Case(lambda: graph(graph="identity", edge_weights="none", attention=(), likelihood="gaussian"),
                     config(PLAIN)),
    "mlp_vae": Case(lambda: MLPVAE(ReferenceConfig("mlp_vae", N, hidden=(6,), latent_dim=3)), config(PLAIN)),
    "dae": Case(lambda: DenoisingAutoencoder(ReferenceConfig("dae", **PICTURES)), config(PLAIN), fresh_damage=True),
    "conv_dae": Case(lambda: ConvolutionalDAE(ReferenceConfig("conv_dae", **PICTURES, image_shape=(4, 4))),
                     config(PLAIN), fresh_damage=True),
    "bfloat16": Case(lambda: graph(), config(BOUND, precision="bf16")),
}


def trained(case: Case) -> tuple[list[dict[str, Any]], Trainer]:
    """Records and trainer of a finished training."""
    trainer = Trainer(case.build(), case.train)
    split, redraw = (damaged(0), damaged) if case.fresh_damage else (TRAIN, None)
    return trainer.fit(split, HELD_OUT, redraw), trainer


def stopped() -> Trainer:
    """A trainer that the main process alone was asked to stop, after its sixth step; the others were asked before."""
    trainer = Trainer(graph(), config(BOUND), should_stop=lambda: trainer.step == (6 if main else 2))
    main = trainer.accelerator.is_main_process
    try:
        trainer.fit(TRAIN, HELD_OUT)
    except TrainingStopped:
        return trainer
    raise AssertionError("nobody stopped it")


def tensors_of(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of a :meth:`Trainer.state`, with flat names."""
    found = {f"model.{name}": tensor for name, tensor in state["model"].items()}
    found |= {f"best.{name}": tensor for name, tensor in (state["best_state"] or {}).items()}
    return found | {f"optimizer.{index}.{name}": tensor for index, entry in state["optimizer"]["state"].items()
                    for name, tensor in entry.items()}


def main(folder: Path) -> None:
    """Train all cases as one of several processes."""
    results: dict[str, Any] = {}
    with first_on_machine(config(PLAIN)):
        results["here before"] = sorted(path.name for path in folder.glob("*.here"))
        (folder / f"{os.environ['RANK']}.here").touch()
    for name, case in CASES.items():
        records, trainer = trained(case)
        results[name] = records
        save_file(tensors_of(trainer.state()), folder / f"{name}.{trainer.processes.index}.safetensors")
    trainer = stopped()
    state = trainer.state()
    results["stopped"] = {name: state[name] for name in ("step", "epoch", "batch", "rows", "sums")}
    save_file(tensors_of(state), folder / f"stopped.{trainer.processes.index}.safetensors")
    results["processes"] = trainer.processes.count
    (folder / f"{trainer.processes.index}.json").write_text(json.dumps(results))
    part_processes()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
