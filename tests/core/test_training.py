"""The loop: repeatable numbers, exact resume, schedules, early stopping, and what is said when it goes wrong."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from sagvae_core.config import ModelConfig, ReferenceConfig, StageConfig, TrainConfig
from sagvae_core.data import Split
from sagvae_core.distributions import edge_kl
from sagvae_core.errors import SagvaeError
from sagvae_core.model import SAGVAE
from sagvae_core.reference import MLPVAE, DenoisingAutoencoder
from sagvae_core.schedules import learning_rate, step_generator, temperature_at
from sagvae_core.training import Progress, Trainer, TrainingStopped

N = 6
GENERATOR = torch.Generator().manual_seed(0)
TRAIN, HELD_OUT = torch.rand(20, N, 1, generator=GENERATOR), torch.rand(9, N, 1, generator=GENERATOR)
STAGES = (StageConfig(epochs=2, likelihood="bernoulli", kl_z_weight=0.1, learning_rate=0.02),
          StageConfig(epochs=3, kl_z_weight=0.2, kl_graph_weight=0.01, learning_rate=0.01, constant_share=0.3,
                      final_rate=0.1))


def build(**changes) -> SAGVAE:
    values = {"num_nodes": N, "encoder_hidden": 6, "hidden": (4,), "attention": (1,), "edge_logits": "both",
              "likelihood": "robust", "edge_regulariser": "density", "edge_weights": "positive"}
    return SAGVAE(ModelConfig(**values | changes))


def config(**changes) -> TrainConfig:
    values = {"stages": STAGES, "batch_size": 8, "temperature": (1.0, 0.3), "density_interval": 3, "device": "cpu"}
    return TrainConfig(**values | changes)


def comparable(records: list[dict]) -> list[dict]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---------------------------------------------------------------------- repeatable

def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(results))  # the global generator must not matter
        model = build()
        results.append((comparable(Trainer(model, config(seed=seed)).fit(TRAIN, HELD_OUT)), model))
    assert results[0][0] == results[1][0]
    assert same_weights(results[0][1], results[1][1])
    assert results[0][0] != results[2][0]


def test_a_record_says_everything_once_an_epoch():
    seen: list[Progress] = []
    model = build()
    records = Trainer(model, config(), on_step=seen.append).fit(TRAIN, HELD_OUT)
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5]
    assert [record["stage"] for record in records] == [0, 0, 1, 1, 1]
    assert [record["step"] for record in records] == [3, 6, 9, 12, 15]
    assert [progress.step for progress in seen] == list(range(1, 16))
    assert {(progress.total_steps, progress.total_epochs) for progress in seen} == {(15, 5)}
    assert [progress.epoch for progress in seen] == [epoch for epoch in range(5) for _ in range(3)]
    wanted = {"elbo", "log_likelihood", "kl_z", "kl_graph", "validation_elbo", "validation_log_likelihood",
              "validation_kl_z", "learning_rate", "temperature", "seconds", "expected_edges", "edges",
              "attention_gates"}
    assert wanted <= set(records[0])
    assert "scale" not in records[0]  # the Bernoulli stage does not use it
    assert {"scale", "outlier_rate"} <= set(records[-1])
    last = records[-1]
    assert last["elbo"] == pytest.approx(
        last["log_likelihood"] - 0.2 * last["kl_z"] - 0.01 * last["kl_graph"], abs=1e-3)
    assert last["validation_elbo"] == pytest.approx(
        last["validation_log_likelihood"] - 0.2 * last["validation_kl_z"] - 0.01 * model.graph_kl().item(), abs=1e-3)
    assert not model.training


def test_training_raises_the_bound():
    model = build(likelihood="bernoulli", num_nodes=N, node_bias=True)
    rows = (TRAIN[:1] > 0.5).float().expand(16, N, 1).contiguous()
    records = Trainer(model, TrainConfig(stages=(StageConfig(epochs=30, learning_rate=0.03, kl_graph_weight=0.01),),
                                         batch_size=8, device="cpu")).fit(rows, rows)
    assert records[-1]["elbo"] > records[0]["elbo"] + 1
    assert records[-1]["validation_elbo"] > records[0]["validation_elbo"] + 1


def test_the_averages_weigh_a_short_last_batch_by_its_rows():
    plain = {"graph": "identity", "likelihood": "bernoulli", "attention": (), "edge_weights": "none"}
    stage = StageConfig(epochs=1, learning_rate=1e-8)
    record = Trainer(build(**plain), TrainConfig(stages=(stage,), batch_size=8, device="cpu")).fit(TRAIN)[0]
    q = build(**plain).encode(TRAIN)
    kl = (0.5 * (q.loc ** 2 + q.scale ** 2 - 1) - q.scale.log()).sum((1, 2)).mean()
    assert record["kl_z"] == pytest.approx(kl.item(), rel=1e-4)
    assert "validation_elbo" not in record


# ---------------------------------------------------------------------- schedules

def test_the_learning_rate_is_constant_then_falls_linearly_within_its_stage():
    stage = StageConfig(learning_rate=0.1, constant_share=0.6, final_rate=0.05)
    assert [learning_rate(stage, at) for at in (0, 0.3, 0.6)] == [0.1] * 3
    assert learning_rate(stage, 0.8) == pytest.approx(0.1 * 0.525)
    assert learning_rate(stage, 1.0) == pytest.approx(0.005)
    assert learning_rate(StageConfig(learning_rate=0.1, final_rate=0.0), 1.0) == 0.1
    records = Trainer(build(), config()).fit(TRAIN)
    assert [record["learning_rate"] for record in records[:2]] == [0.02, 0.02]
    # The last steps of the second stage's epochs stand at 2, 5 and 8 of its 9 steps.
    wanted = [0.01 * (1 - max(0, step / 9 - 0.3) / 0.7 * 0.9) for step in (2, 5, 8)]
    assert [record["learning_rate"] for record in records[2:]] == pytest.approx(wanted)


def test_the_temperature_is_geometric_over_the_whole_training():
    assert [temperature_at((1.0, 0.25), at) for at in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0.25])
    records = Trainer(build(), config()).fit(TRAIN)
    wanted = [0.3 ** (step / 14) for step in (2, 5, 8, 11, 14)]
    assert [record["temperature"] for record in records] == pytest.approx(wanted)


def test_every_stage_starts_with_a_fresh_optimiser():
    steps = []
    trainer = Trainer(build(), config())
    for _ in trainer.epochs(TRAIN):
        steps.append(next(iter(trainer.optimizer.state_dict()["state"].values()))["step"].item())
    assert steps == [3, 6, 3, 6, 9]


def test_seeds_of_different_steps_do_not_meet():
    pairs = [(seed, step) for seed in range(20) for step in range(-50, 50)]
    # PyTorch's CPU generator drops all but the low 32 bits: what is drawn has to differ, not only the seed's number.
    draws = {torch.randint(2**62, (1,), generator=step_generator("cpu", *pair)).item() for pair in pairs}
    assert len(draws) == len(pairs)
    starts = torch.tensor([step_generator("cpu", seed, 0).initial_seed() for seed in range(1000)]) % 2**32
    steps = (starts * pow(1_000_003, -1, 2**32)) % 2**32  # where each seed's steps begin on the one circle of 2**32
    assert steps.sort().values.diff().min() > 10**6


def test_every_row_is_seen_once_an_epoch_in_a_new_order():
    class Spy(MLPVAE):
        def forward(self, x, **kwargs):
            if self.training:
                seen.append(x[:, 0, 0])
            return super().forward(x, **kwargs)

    seen: list[torch.Tensor] = []
    model = Spy(ReferenceConfig("mlp_vae", N, hidden=(4,)))
    Trainer(model, TrainConfig(epochs=2, batch_size=8, device="cpu")).fit(TRAIN)
    assert [len(batch) for batch in seen] == [8, 8, 4] * 2
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    assert torch.equal(first.sort().values, TRAIN[:, 0, 0].sort().values)
    assert torch.equal(second.sort().values, first.sort().values)
    assert not torch.equal(first, second)


# ---------------------------------------------------------------------- the graph while training

@pytest.mark.parametrize("edge_logits", ["free", "amortised", "both"])
def test_density_matching_holds_the_mean_probability_at_the_prior(edge_logits):
    model = build(edge_logits=edge_logits, edge_prior=0.15)
    Trainer(model, config(density_interval=1)).fit(TRAIN)
    assert model.infer_graph(TRAIN).probs.mean().item() == pytest.approx(0.15, abs=0.01)
    assert model.posterior_pairs.mean().item() == pytest.approx(0.15, abs=0.03)
    loose = build(edge_logits=edge_logits, edge_prior=0.15, edge_regulariser="kl")
    bias = loose.graph_encoder.bias.clone()
    Trainer(loose, config(density_interval=1)).fit(TRAIN)
    assert torch.equal(loose.graph_encoder.bias, bias)


def test_the_plain_kl_pulls_the_edges_to_the_prior():
    model = build(edge_logits="free", edge_regulariser="kl", edge_prior=0.03, likelihood="bernoulli")
    stage = StageConfig(epochs=60, kl_graph_weight=100.0, learning_rate=0.02)
    Trainer(model, TrainConfig(stages=(stage,), batch_size=20, device="cpu")).fit(TRAIN)
    assert edge_kl(model.infer_graph().logits, 0.03).max() < 0.02


def test_after_training_the_edge_posterior_is_the_exact_average_over_the_training_rows():
    model = build()
    Trainer(model, config()).fit(TRAIN)
    exact = torch.stack([model.graph_encoder(row[None]).probs for row in TRAIN]).mean(0)
    assert torch.allclose(model.posterior_pairs, exact, atol=1e-6)
    model = build()
    trainer = Trainer(model, config(posterior_decay=0.5))
    next(iter(trainer.epochs(TRAIN)))
    assert model.posterior_updates.item() == 3


# ---------------------------------------------------------------------- stopping

def test_early_stopping_restores_the_best_state_of_the_last_stage(monkeypatch):
    model = build()
    stages = (StageConfig(epochs=2), StageConfig(epochs=60, learning_rate=0.1))
    # Two epochs of the warm-up stage, better than all that follows; then the best is the third of its stage.
    script = [9.0, 9.0, 1.0, 2.0, 4.0, 3.0, 4.0, 5.0]
    monkeypatch.setattr(Trainer, "_held_out", lambda self, _: {"validation_elbo": script[self.epoch - 1]})
    trainer = Trainer(model, config(stages=stages, patience=2))
    states, records = [], []
    for record in trainer.epochs(TRAIN, 1 - HELD_OUT):
        records.append(record)
        states.append(copy.deepcopy(model.state_dict()))
    assert [record["validation_elbo"] for record in records] == script[:7]
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, states[4][name]), name
    assert any(not torch.equal(parameter, states[-1][name]) for name, parameter in model.named_parameters())
    exact = torch.stack([model.graph_encoder(row[None]).probs for row in TRAIN]).mean(0)
    assert torch.allclose(model.posterior_pairs, exact, atol=1e-6)


def test_should_stop_ends_it_after_the_step_and_is_asked_after_every_one():
    calls: list[int] = []
    trainer = Trainer(build(), config(), should_stop=lambda: calls.append(1) or len(calls) == 4)
    records = []
    with pytest.raises(TrainingStopped, match=r"Stopped in epoch 2\."):
        records.extend(trainer.epochs(TRAIN))
    assert (trainer.step, trainer.epoch, len(calls)) == (4, 1, 4)


def test_a_diverged_loss_is_a_sentence_with_a_remedy():
    model = build()
    model.decoder.layers[0].bias.data.fill_(math.nan)
    with pytest.raises(SagvaeError, match=r"no longer finite in epoch 1 \(expected a number, got nan\)\. Lower the"):
        Trainer(model, config()).fit(TRAIN)


def test_wrong_rows_and_devices_are_refused_before_the_first_step():
    with pytest.raises(SagvaeError, match=r"x must be of shape \(B, 6, 1\), got \(20, 5, 1\)"):
        Trainer(build(), config()).fit(TRAIN[:, :5])
    with pytest.raises(SagvaeError, match="x must be finite"):
        Trainer(build(), config()).fit(TRAIN, HELD_OUT * math.nan)
    with pytest.raises(SagvaeError, match="train.device must be 'auto', 'cpu', 'cuda' or 'mps', got 'abacus'"):
        Trainer(build(), config(device="abacus"))
    for kind, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not there:
            with pytest.raises(SagvaeError, match=f"got '{kind}'. No {kind.upper()} GPU is visible: use device 'auto'"):
                Trainer(build(), config(device=kind))


# ---------------------------------------------------------------------- damage anew, precision

def test_redraw_gives_every_epoch_but_the_first_its_own_rows():
    asked: list[int] = []

    def redraw(epoch: int) -> torch.Tensor:
        asked.append(epoch)
        return TRAIN if epoch < 3 else TRAIN * math.nan

    with pytest.raises(SagvaeError, match="x must be finite"):  # the fresh rows are really used, and checked
        Trainer(build(), config()).fit(TRAIN, redraw=redraw)
    assert asked == [1, 2, 3]


def test_clean_targets_follow_their_damaged_rows_through_a_redraw():
    clean = torch.arange(20.0).view(20, 1, 1).expand(20, N, 1) / 20
    seen = []

    class Spy(DenoisingAutoencoder):
        def forward(self, x, **kwargs):
            seen.append(x.detach()[:, 0, 0])
            return super().forward(x, **kwargs)

    def split(epoch: int) -> Split:
        return Split(clean + epoch, clean.clone(), torch.zeros(20, N, dtype=torch.bool), torch.zeros(20).long())

    targets = []
    model = Spy(ReferenceConfig("dae", N, hidden=(4,), denoise=True))
    original = model.likelihood.log_prob
    model.likelihood.log_prob = lambda pre, x, observed: targets.append(x[:, 0, 0]) or original(pre, x, observed)
    Trainer(model, TrainConfig(epochs=3, batch_size=8, device="cpu")).fit(split(0), redraw=split)
    for index, (x, target) in enumerate(zip(seen, targets)):
        assert torch.allclose(x, target + index // 3, atol=1e-6)


def test_bfloat16_runs_on_the_cpu_and_is_not_full_precision():
    results = {}
    for precision in ("no", "bf16", "no"):
        records = Trainer(build(), config(precision=precision)).fit(TRAIN, HELD_OUT)
        results.setdefault(precision, records[-1]["elbo"])
        assert records[-1]["elbo"] == results[precision]  # one training leaves nothing behind for the next
    assert math.isfinite(results["bf16"])
    assert results["bf16"] != results["no"]
    assert results["bf16"] == pytest.approx(results["no"], rel=0.2, abs=1)
