"""Records of a training -> what is drawn of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sagvae_core.config import StageConfig

WORDS = {"elbo": "ELBO", "log_likelihood": "fit to the data, log p(x | z, A)", "kl_z": "latent code, KL(z)",
         "kl_graph": "graph, KL(A)", "temperature": "edge temperature", "learning_rate": "learning rate",
         "expected_edges": "expected edges", "edges": "edges above ½", "outlier_rate": "share of damaged values",
         "scale": "scale of the likelihood"}
TERMS = ("elbo", "log_likelihood", "kl_z", "kl_graph")
_GATE = "attention_gate_"
_SETTINGS = ("expected_edges", "temperature", "outlier_rate", "scale", "learning_rate")  # the most telling first
_MOST_SETTINGS = 4  # panels in the second row


def flat(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with a key for every attention gate: lists are no lines."""
    rows = []
    for record in records:
        gates = record.get("attention_gates")
        row = {key: value for key, value in record.items() if not isinstance(value, list)}
        rows.append(row | {f"{_GATE}{index + 1}": gate for index, gate in enumerate(gates or ())})
    return rows


def labels(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Words for every key that may be drawn, the terms of the ELBO first, then gates, then what is set or learned."""
    there = dict.fromkeys(key for row in rows for key in row)
    gates = {key: f"attention gate, layer {key.removeprefix(_GATE)}" for key in there if key.startswith(_GATE)}
    found = {key: WORDS[key] for key in TERMS if key in there}
    return found | gates | {key: WORDS[key] for key in (*_SETTINGS, "edges") if key in there}


def breaks(stages: Sequence[StageConfig]) -> dict[str, set[int]]:
    """Term -> the stages, from 0, with which it becomes another quantity: no line may join it to what came before.

    The same name stands for the bound and for the completion's fit of hidden values; and a bound with another
    likelihood or other weights, or a fit of values hidden in another way, is on a scale of its own, too.
    """
    measured = [_measured(stage) for stage in stages]
    return {key: {index for index, (before, after) in enumerate(pairwise(measured), 1) if before[key] != after[key]}
            for key in (*TERMS, "outlier_rate", "scale")}


def _measured(stage: StageConfig) -> dict[str, tuple]:
    """What each term of a stage's records is about; equal where it is the same quantity."""
    about = (stage.objective,)
    if stage.objective == "completion":
        fit = (*about, stage.hide_share, stage.hide_regions, stage.trust)
        bound = fit
    else:
        fit = (*about, stage.likelihood)
        bound = (*fit, stage.kl_z_weight, stage.kl_graph_weight)
    return {"elbo": bound, "log_likelihood": fit} | dict.fromkeys(("kl_z", "kl_graph", "outlier_rate", "scale"), about)


def second_row(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is drawn below the terms: the gates, the temperature and what else changes, few enough for one row."""
    there = [key for key in labels(rows) if key not in (*TERMS, "edges")]
    return there[:_MOST_SETTINGS]
