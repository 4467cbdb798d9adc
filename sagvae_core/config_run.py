"""Everything that decides a run's result: data, model, training. Frozen, and the same in JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from . import __version__
from .checkpoint import model_config_from_dict
from .config import DataConfig, ModelConfig, ReferenceConfig, TrainConfig
from .config_io import from_dict, to_dict
from .errors import expected


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's result, and the command that repeats it."""

    data: DataConfig
    model: ModelConfig | ReferenceConfig
    train: TrainConfig
    title: str = ""
    command: str = ""
    family: str = ""  # runs of one family were trained on the same data to be compared
    role: str = "sagvae"  # what the model is in its family: a key of presets.MODELS

    def to_dict(self) -> dict[str, Any]:
        kind = "sagvae" if isinstance(self.model, ModelConfig) else self.model.kind
        return {"sagvae_core": __version__, "kind": kind} | {
            field.name: to_dict(value) if dataclasses.is_dataclass(value := getattr(self, field.name)) else value
            for field in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, values: Any) -> RunConfig:
        if not isinstance(values, dict) or not {"kind", "data", "model", "train"} <= set(values):
            raise expected("config.json", "an object with kind, data, model and train", type(values).__name__,
                           "Start the run again with `sagvae train`.")
        train = dict(values["train"]) if isinstance(values["train"], dict) else values["train"]
        texts = {name: str(values.get(name, "")) for name in ("title", "command", "family", "role")}
        return cls(from_dict(DataConfig, values["data"], "data"),
                   model_config_from_dict(values["kind"], values["model"]),
                   from_dict(TrainConfig, train, "train"), **texts)
