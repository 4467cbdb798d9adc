"""The second decoder: what it may see, what it maximises, and what it makes of damaged rows."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from sagvae_core.checkpoint import build_model, load_model, save_model
from sagvae_core.completion import NodeCompletion
from sagvae_core.config import CompletionConfig, ModelConfig, StageConfig, TrainConfig
from sagvae_core.config_io import from_dict, to_dict
from sagvae_core.errors import SagvaeError
from sagvae_core.levels import Levels
from sagvae_core.model import SAGVAE
from sagvae_core.objective import completion_terms, draw_hidden, regions_of
from sagvae_core.restoration import fold_of_nodes, restore, row_outliers, trust_of
from sagvae_core.training import Trainer

SIDE = 5
N = SIDE * SIDE
SMALL = CompletionConfig(channels=8, heads=4, layers=2, neighbours=8, hops=1, least_path=0.4, node_embedding=4,
                         levels=6)
CONFIG = ModelConfig(num_nodes=N, encoder_hidden=6, hidden=(4,), completion=SMALL)
COMPLETION = StageConfig(epochs=1, objective="completion", learning_rate=1e-2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid() -> torch.Tensor:
    """Every pixel and the four beside it."""
    place = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"), -1).view(-1, 2)
    return 0.9 * ((place[:, None] - place[None]).abs().sum(-1) == 1).float()


def pictures(count: int, seed: int) -> torch.Tensor:
    """Rows of one brightness each, (count, N): half of them black."""
    level = torch.rand(count, 1, generator=seeded(seed))
    return torch.where(level < 0.5, 0.0, level).expand(-1, N).contiguous()


def damaged(clean: torch.Tensor, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    hit = torch.rand(clean.shape, generator=seeded(seed)) < share
    return torch.where(hit, torch.rand(clean.shape, generator=seeded(seed + 1)), clean), hit


def with_graph(config: CompletionConfig = SMALL, seed: int = 0) -> NodeCompletion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        completion = NodeCompletion(N, config)
    completion.set_graph(grid())
    for layer in completion.layers:  # zero at the start: what is heard would not show
        torch.nn.init.normal_(layer.output.weight, generator=seeded(seed))
    return completion


@pytest.fixture(scope="module")
def trained() -> tuple[SAGVAE, list[dict]]:
    """On damaged rows alone, with the pixels' own grid as graph."""
    model = SAGVAE(CONFIG, seed=0)
    rows = damaged(pictures(512, 1), 0.2, 2)[0][..., None]
    model.posterior_pairs.copy_(grid()[*torch.triu_indices(N, N, 1)])
    stages = (dataclasses.replace(COMPLETION, epochs=12),
              dataclasses.replace(COMPLETION, epochs=4, trust=True, constant_share=0.4, final_rate=0.05))
    records = Trainer(model, TrainConfig(stages=stages, batch_size=32, device="cpu", seed=1)).fit(rows, rows[:64])
    return model, records


def test_levels_tile_the_unit_interval_with_atoms_at_its_ends():
    levels = Levels(4)
    assert len(levels) == 6
    assert levels.width.sum() == pytest.approx(1)
    assert levels.index(torch.tensor([0.0, 0.00005, 0.1, 0.26, 0.6, 0.9, 0.99995, 1.0])).tolist() \
        == [0, 0, 1, 2, 3, 4, 5, 5]
    assert levels.middle[0] == 0 and levels.middle[-1] == 1


def test_a_prediction_depends_on_neighbours_only_and_never_on_a_hidden_value():
    completion = with_graph()
    x = torch.rand(2, N, generator=seeded(3))
    visible = torch.ones(2, N)
    visible[:, 12] = 0
    said = completion(x, visible)
    assert said.shape == (8, 2, N)
    assert torch.allclose(said.exp().sum(0), torch.ones(2, N), atol=1e-5)
    changed = x.clone()
    changed[:, 12] = 1 - x[:, 12]
    assert torch.equal(completion(changed, visible), said)  # its own value is hidden from it, and from all others
    near, far = x.clone(), x.clone()
    near[:, 7], far[:, 0] = 1 - x[:, 7], 1 - x[:, 0]
    assert not torch.allclose(completion(near, visible)[..., 12], said[..., 12])
    assert torch.equal(completion(far, visible)[..., 12], said[..., 12])  # four edges away, and there are two layers


def test_the_likelihood_is_the_hand_assembled_mixture_over_the_hidden_nodes():
    completion = with_graph().requires_grad_(False)
    x, _ = damaged(pictures(3, 5), 0.3, 6)
    hidden = torch.rand(3, N, generator=seeded(7)) < 0.3
    visible = (~hidden).float()
    found = completion.log_likelihood(x, visible, hidden)
    probability = completion(x, visible).exp()
    index, rate = completion.levels.index(x), completion.outlier_rate
    for row in range(3):
        terms = []
        for i in hidden[row].nonzero()[:, 0].tolist():
            level = index[row, i]
            terms.append(torch.log((1 - rate) * probability[level, row, i] + rate * completion.levels.width[level]))
        assert found[row] == pytest.approx(torch.stack(terms).mean().item(), abs=1e-5)
    said = completion.predict(x, visible)
    assert torch.allclose(said.mean, completion.levels.middle @ probability.transpose(0, 1))
    assert float(rate) == pytest.approx(SMALL.initial_outlier_rate)


def test_many_predictions_at_once_are_those_of_one_after_the_other(monkeypatch):
    completion = with_graph().requires_grad_(False)
    x = torch.rand(4, N, generator=seeded(3))
    visible = (torch.rand(3, 4, N, generator=seeded(4)) < 0.7).float()
    looks = torch.log_softmax(torch.randn(4, 8, generator=seeded(5)), 1)  # each row's own damage
    monkeypatch.setattr("sagvae_core.completion._CPU_ROWS", 5)  # pieces that end amid the rows
    together = completion.predict(x, visible, looks)
    for place, shown in enumerate(visible):
        alone = completion.predict(x, shown, looks)
        for name in ("mean", "log_inlier", "log_outlier"):
            found = getattr(together, name)
            assert found.shape == (3, 4, N)
            assert torch.allclose(found[place], getattr(alone, name), atol=1e-5), name


def test_a_prediction_is_the_layers_of_the_docstring_with_and_without_gradients():
    completion = with_graph()
    with torch.no_grad():
        for parameter in completion.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(parameter.numel())) * 0.3)
    x = torch.rand(5, N, generator=seeded(1))
    visible = (torch.rand(5, N, generator=seeded(2)) < 0.7).float()
    hidden = completion.from_value(torch.stack([x * visible, visible], -1)) + completion.from_node(completion.embedding)
    for layer in completion.layers:
        matrix = torch.zeros(SMALL.heads, N, N)
        for node in range(N):
            for near in completion.kept[node].nonzero()[:, 0]:
                matrix[:, node, completion.neighbours[node, near]] += layer.edge_weight[:, node, near]
        value = layer.value(hidden).relu().unflatten(-1, (SMALL.heads, -1))  # (B, N, heads, channels of a head)
        heard = torch.einsum("hij,bjhc->bihc", matrix, value).flatten(2).relu()
        hidden = hidden + layer.output(heard)
    expected = (completion.to_levels(hidden.relu()) + completion.level_bias).log_softmax(-1).permute(2, 0, 1)
    assert torch.allclose(completion(x, visible), expected, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(completion(x, visible), expected, atol=1e-5)
        assert torch.equal(completion.log_inlier(x, visible), completion.predict(x, visible).log_inlier)
        completion.layers[0].edge_weight.mul_(2)  # a step of the optimizer: what was kept of the weights is out of date
        moved = completion(x, visible)
    assert torch.allclose(moved, completion(x, visible), atol=1e-5)
    assert not torch.allclose(moved, expected, atol=1e-2)


def test_what_damage_looks_like_before_any_is_seen():
    half = 0.5 * Levels(6).width + 0.5 / 8
    kinds = (1 + Levels(6).width) / 9  # eight levels all over, and noise
    for damage, levels in (("scattered", Levels(6).width), ("regions", kinds), ("none", half)):
        start = with_graph(dataclasses.replace(SMALL, damage=damage)).log_outlier_levels.exp().detach()
        assert torch.allclose(start, levels), damage
        assert start.sum() == pytest.approx(1)


def hidden_by(stage: StageConfig, rows: int, regions: torch.Tensor | None = None):
    return draw_hidden(stage, rows, N, regions, seeded())


def test_what_a_stage_hides():
    scattered, none = hidden_by(COMPLETION, 400)
    assert none is None and scattered.shape == (400, N) and scattered.float().mean() == pytest.approx(0.2, abs=0.02)
    assert torch.equal(scattered, hidden_by(COMPLETION, 400)[0])
    model = SAGVAE(CONFIG)
    model.posterior_pairs.copy_(grid()[*torch.triu_indices(N, N, 1)])
    _, inside = hidden_by(dataclasses.replace(COMPLETION, hide_regions=2), 200, regions_of(model))
    assert inside.shape == (200, 2, N)
    neighbours = grid() > 0.5
    for ball in inside.flatten(0, 1):  # every node of a ball has a neighbour in it
        assert ball.sum() > 2 and neighbours[ball][:, ball].any(1).all()


def test_terms_of_a_completion_are_nats_a_row_without_kl():
    model = SAGVAE(CONFIG)
    x = pictures(4, 1)[..., None]
    terms = completion_terms(model, x, COMPLETION, seeded(2))
    hidden, _ = draw_hidden(COMPLETION, 4, N, None, seeded(2))
    by_hand = model.completion.log_likelihood(x[..., 0], (~hidden).float(), hidden) * N
    assert torch.equal(terms.log_likelihood, by_hand)
    assert terms.kl_z.tolist() == [0] * 4 and terms.kl_graph == 0 and terms.edges is None


def test_a_completion_stage_trains_the_completion_alone_on_the_graph_found_so_far():
    model = SAGVAE(CONFIG)
    rows = damaged(pictures(48, 1), 0.2, 2)[0][..., None]
    trainer = Trainer(model, TrainConfig(stages=(StageConfig(epochs=1), COMPLETION), batch_size=16, device="cpu"))
    states = []
    for record in trainer.epochs(rows, rows[:16]):
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        assert math.isfinite(record["validation_elbo"]) and ("outlier_rate" in record) == (record["stage"] == 1)
    initial, before, after = SAGVAE(CONFIG).state_dict(), *states
    for name, tensor in before.items():
        other = initial if name.startswith("completion.") else after
        assert torch.equal(tensor, other[name]), name
    assert not torch.equal(before["completion.to_levels.weight"], after["completion.to_levels.weight"])
    assert not before["completion.trained"] and after["completion.trained"]
    fresh = NodeCompletion(N, SMALL)
    fresh.set_graph(model.edge_posterior)
    assert torch.equal(after["completion.neighbours"], fresh.neighbours)


def test_training_learns_the_rate_of_damage_and_repairs_what_it_never_saw_clean(trained):
    model, records = trained
    assert records[-1]["outlier_rate"] == pytest.approx(0.2, abs=0.06)
    assert records[-1]["validation_elbo"] > records[0]["validation_elbo"]
    clean = pictures(200, 11)
    x, hit = damaged(clean, 0.2, 12)
    found = model.restore(x[..., None])
    error = ((found.clean - clean) ** 2).mean()
    assert error < 0.25 * ((x - clean) ** 2).mean()
    assert error < 0.5 * ((model.reconstruct(x[..., None], expectation="inliers")[..., 0] - clean) ** 2).mean()
    assert found.trust[~hit].mean() > 0.85 > 0.3 > found.trust[hit].mean()
    assert torch.allclose(found.clean, found.trust * x + (1 - found.trust) * found.mean)
    assert torch.equal(model.reconstruct(x[..., None])[..., 0], found.clean)


def test_a_row_is_restored_alike_in_any_company_and_at_any_time(trained):
    model, _ = trained
    x, _ = damaged(pictures(6, 21), 0.2, 22)
    whole = restore(model.completion, x)
    assert torch.allclose(restore(model.completion, x[2:3]).clean, whole.clean[2:3], atol=1e-6)
    assert torch.equal(restore(model.completion, x).clean, whole.clean)


def test_folds_hide_every_node_once():
    folds = fold_of_nodes(N, 4)
    assert sorted(torch.bincount(folds).tolist()) == [6, 6, 6, 7]
    assert torch.equal(folds, fold_of_nodes(N, 4))


def test_trust_of_a_value_does_not_depend_on_how_black_or_white_the_others_say_they_are(trained):
    model, _ = trained
    x = pictures(8, 31)
    x[:, 12] = 1 - 0.5 * x[:, 12]  # nowhere near its neighbours
    trust = trust_of(model.completion, x)
    assert trust.shape == (8, N)
    assert (trust[:, 12] < trust.median(1).values).all()


def test_a_rows_own_outliers_are_counted_from_what_is_not_trusted():
    completion = with_graph()
    x, trust = torch.full((2, N), 0.5), torch.ones(2, N)
    x[0, :10], trust[0, :10] = 1.0, 0.0
    rate, log_levels = row_outliers(completion, x, trust)
    assert rate[:, 0].tolist() == pytest.approx([0.4, 0.005])
    assert torch.allclose(log_levels.exp().sum(1), torch.ones(2))
    assert log_levels[0, -1].exp() == pytest.approx(10 / 30, abs=0.01)
    assert log_levels[1, -1].exp() == pytest.approx(1e-4, rel=0.1)


def test_a_model_with_a_completion_survives_disk_and_copies(trained, tmp_path):
    model, _ = trained
    x, _ = damaged(pictures(3, 41), 0.2, 42)
    expected = model.reconstruct(x[..., None])
    loaded = load_model(save_model(model, tmp_path))
    assert loaded.config == model.config
    assert torch.allclose(loaded.reconstruct(x[..., None]), expected, atol=1e-6)
    assert torch.allclose(copy.deepcopy(model).reconstruct(x[..., None]), expected, atol=1e-6)
    other = build_model(CONFIG, seed=9)
    other.completion.pairs  # noqa: B018  made before the weights change in place
    other.load_state_dict(model.state_dict())
    assert torch.allclose(other.reconstruct(x[..., None]), expected, atol=1e-6)
    assert from_dict(ModelConfig, to_dict(CONFIG)) == CONFIG


def test_a_completion_changes_nothing_for_the_rest_of_the_model():
    with_it, without = SAGVAE(CONFIG, seed=3), SAGVAE(dataclasses.replace(CONFIG, completion=None), seed=3)
    for name, tensor in without.state_dict().items():
        assert torch.equal(tensor, with_it.state_dict()[name]), name
    x = torch.rand(2, N, 1)
    assert torch.equal(with_it.reconstruct(x), without.reconstruct(x))  # not trained yet: the first decoder's


def test_errors_say_what_was_expected(trained):
    model, _ = trained
    with pytest.raises(SagvaeError, match=r"from 0 to 1.*Scale"):
        model.restore(torch.full((1, N, 1), 1.5))
    with pytest.raises(SagvaeError, match="trained completion"):
        SAGVAE(CONFIG).restore(torch.rand(1, N, 1))
    with pytest.raises(SagvaeError, match=r"without model\.completion"):
        Trainer(SAGVAE(dataclasses.replace(CONFIG, completion=None)), TrainConfig(stages=(COMPLETION,)))
    with pytest.raises(SagvaeError, match="heads"):
        CompletionConfig(channels=9, heads=4)
    with pytest.raises(SagvaeError, match=r"completion\.layers"):
        CompletionConfig(layers=0)
    with pytest.raises(SagvaeError, match=r"model\.completion"):
        ModelConfig(num_nodes=3, num_channels=2, completion=SMALL)
    with pytest.raises(SagvaeError, match=r"stage\.objective"):
        StageConfig(objective="fit")


def test_neighbours_that_are_no_nodes_are_refused_on_loading(trained, tmp_path):
    model = copy.deepcopy(trained[0])
    for wrong in (-1, N):
        model.completion.neighbours[3, 1] = wrong
        save_model(model, tmp_path)
        with pytest.raises(SagvaeError, match=rf"nodes from 0 to {N - 1}.*damaged"):
            load_model(tmp_path)
