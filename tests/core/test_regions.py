"""Damaged regions: the joint likelihood, the candidates, the search, and repair of blocks no clean row was shown of."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sagvae_core.completion import NodeCompletion
from sagvae_core.config import CompletionConfig, ModelConfig, StageConfig, TrainConfig
from sagvae_core.model import SAGVAE
from sagvae_core.regions import Candidates, find_regions
from sagvae_core.training import Trainer

SIDE = 12
N = SIDE * SIDE
COMPLETION = CompletionConfig(channels=16, heads=4, layers=3, neighbours=12, hops=2, least_path=0.4, node_embedding=4,
                              levels=6, initial_outlier_rate=0.02)
STAGE = StageConfig(epochs=14, objective="completion", learning_rate=1e-2, hide_share=0.15, hide_regions=2,
                    constant_share=0.6, final_rate=0.05)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places() -> torch.Tensor:
    return torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij"), -1).view(-1, 2)


def grid() -> torch.Tensor:
    """Every pixel and the eight around it."""
    distance = (places()[:, None] - places()[None]).abs().amax(-1)
    return 0.9 * (distance == 1).float()


def pictures(count: int, seed: int) -> torch.Tensor:
    """A mottled cross through a random pixel on black, (count, N): where it is can be told from the rest."""
    generator = seeded(seed)
    middle = torch.randint(1, SIDE - 1, (count, 1, 2), generator=generator)
    level = 0.3 + 0.4 * torch.rand(count, N, generator=generator)
    return torch.where((places()[None] == middle).any(-1), level, 0.0)


def with_block(clean: torch.Tensor, seed: int, size: int = 4, value: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    corner = torch.randint(0, SIDE - size + 1, (len(clean), 1, 2), generator=seeded(seed))
    hit = ((places()[None] >= corner) & (places()[None] < corner + size)).all(-1)
    return torch.where(hit, torch.full_like(clean, value), clean), hit


def model_on(rows: torch.Tensor, damage: str) -> SAGVAE:
    completion = dataclasses.replace(COMPLETION, damage=damage)
    model = SAGVAE(ModelConfig(num_nodes=N, encoder_hidden=4, hidden=(4,), completion=completion), seed=0)
    model.posterior_pairs.copy_(grid()[*torch.triu_indices(N, N, 1)])
    Trainer(model, TrainConfig(stages=(STAGE,), batch_size=32, device="cpu", seed=1)).fit(rows[..., None])
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def from_damaged() -> SAGVAE:
    return model_on(with_block(pictures(512, 1), 2)[0], "regions")


@pytest.fixture(scope="module")
def from_clean() -> SAGVAE:
    return model_on(pictures(512, 1), "none")


def error(found: torch.Tensor, clean: torch.Tensor) -> float:
    return ((found - clean) ** 2).mean().item()


def test_a_region_is_damaged_as_a_whole_or_not_at_all():
    completion = NodeCompletion(N, dataclasses.replace(COMPLETION, damage="regions")).requires_grad_(False)
    completion.set_graph(grid())
    completion.region_share_logit.fill_(0.7)
    completion.region_kinds.copy_(0.1 * torch.randn(9, generator=seeded(3)))
    x = torch.rand(2, N, generator=seeded(1))
    x[0, :4] = 1.0  # half of a region is white
    regions = torch.zeros(2, 2, N, dtype=torch.bool)
    regions[:, 0, :5], regions[:, 1, 30:34] = True, True
    hidden = torch.zeros(2, N, dtype=torch.bool)
    hidden[:, 3], hidden[:, 100] = True, True  # the first lies in a region: it counts there alone
    visible = (~(hidden | regions.any(1))).float()
    inlier = completion.predict(x, visible).log_inlier.exp()
    levels = completion.levels
    index, kinds = levels.index(x), completion.log_region_kinds.exp()
    rate, share, region_rate = (torch.sigmoid(logit) for logit in (
        completion.outlier_logit, completion.region_share_logit, completion.region_logit))
    any_brightness = 0.5 * levels.width + 0.5 / 8
    for row in range(2):
        alone = torch.log((1 - rate) * inlier[row, 100] + rate * any_brightness[index[row, 100]])
        whole = []
        for place in regions[row]:
            undamaged = inlier[row, place]
            damaged = 0.0
            for kind, weight in enumerate(kinds):  # one brightness all over, or noise
                looks = levels.width[index[row, place]] if kind == 8 else (index[row, place] == kind).float()
                damaged = damaged + weight * ((1 - share) * undamaged + share * looks).prod()
            whole.append(torch.log((1 - region_rate) * undamaged.prod() + region_rate * damaged))
        found = completion.log_likelihood(x, visible, hidden, regions)[row]
        assert found == pytest.approx((alone + sum(whole)).item() / 10, abs=1e-4)


def test_trust_in_a_damaged_region_is_bayes_rule():
    completion = NodeCompletion(N, dataclasses.replace(COMPLETION, damage="regions")).requires_grad_(False)
    x = torch.rand(1, N, generator=seeded(1))
    x[0, :20] = 1.0
    log_inlier = -3 * torch.rand(1, N, generator=seeded(2))
    kinds = torch.softmax(torch.randn(1, 9, generator=seeded(3)), -1)
    trust = completion.trust_in_region(x, log_inlier, kinds)
    index, share = completion.levels.index(x)[0], completion.region_share
    for node in (0, 19, 50, 143):
        looks = torch.cat([(torch.arange(8) == index[node]).float(), completion.levels.width[index[node]][None]])
        undamaged = (1 - share) * log_inlier[0, node].exp()
        expected = (kinds[0] * undamaged / (undamaged + share * looks)).sum().item()
        assert trust[0, node] == pytest.approx(expected, abs=1e-5)


def test_one_brightness_is_damage_and_many_are_none():
    completion = NodeCompletion(N, dataclasses.replace(COMPLETION, damage="regions")).requires_grad_(False)
    log_inlier = torch.full((2, N), -2.0)  # as hard to foretell here as there
    x = torch.stack([torch.full((N,), 0.5), torch.rand(N, generator=seeded(1))])
    inside = torch.zeros(2, 1, N)
    inside[:, :, :25] = 1
    plain, textured = completion.region_gain(x, log_inlier, inside).logsumexp(-1)[:, 0]
    assert plain > 20 and textured < 10


def test_candidates_cover_every_node_that_has_an_edge():
    graph = grid()
    graph[0] = graph[:, 0] = 0  # a corner without edges
    candidates = Candidates.of(graph)
    assert candidates.inside.any(0)[1:].all() and not candidates.inside[:, 0].any()
    groups = candidates.coarse
    assert torch.cat(groups).unique().numel() == sum(map(len, groups)) <= len(candidates.inside)
    assert candidates.inside[torch.cat(groups)].any(0)[1:].float().mean() > 0.95  # the first look, not the last
    for group in groups:  # two of a pass have nothing in common
        assert candidates.inside[group].sum(0).max() == 1
    assert set(candidates.inside.sum(1).tolist()) == {N // 4}  # 7 x 7 pixels, but no more than a fourth of a picture
    assert torch.allclose(candidates.near.sum(1), torch.ones(N))


def test_a_graph_without_edges_has_no_regions(from_damaged):
    candidates = Candidates.of(torch.zeros(N, N))
    x, _ = with_block(pictures(3, 5), 6)
    trust, found = find_regions(from_damaged.completion, x, candidates)
    assert not found.any() and (trust == 1).all()


def test_blocks_are_found_and_repaired_by_who_never_saw_a_clean_picture(from_damaged):
    clean = pictures(60, 11)
    x, hit = with_block(clean, 12)
    found = from_damaged.restore(x[..., None])
    assert found.trust[hit].mean() < 0.25 < 0.85 < found.trust[~hit].mean()
    assert error(found.clean, clean) < 0.15 * error(x, clean)
    completion = from_damaged.completion
    looks = completion.log_outlier_levels.exp()  # it has learned that damage is white; black all over is common anyway
    assert looks[-1] > 0.3 and looks[1:-1].max() < 0.1
    assert torch.sigmoid(completion.region_logit) < 0.5
    assert completion.region_price == -completion.region_logit


def test_blocks_are_found_and_repaired_by_who_never_saw_a_damaged_picture(from_clean):
    clean = pictures(60, 21)
    x, hit = with_block(clean, 22)
    found = from_clean.restore(x[..., None])
    assert found.trust[hit].mean() < 0.3
    assert error(found.clean, clean) < 0.3 * error(x, clean)
    untouched = from_clean.restore(clean[..., None])
    assert untouched.trust.mean() > 0.97
    assert error(untouched.clean, clean) < 0.03 * error(x, clean)


def test_the_price_of_a_region_keeps_false_alarms_rare(from_clean):
    price = float(from_clean.completion.price)
    strange = with_block(pictures(200, 31), 32, size=3, value=0.85)[0]  # taken as the usual: then it is no alarm
    from_clean.set_region_price(strange[..., None], false_alarms=0.2)
    assert from_clean.completion.price > price >= 0
    alarms = find_regions(from_clean.completion, strange, Candidates.of(grid()))[1].any(1).float().mean()
    assert 0.1 < alarms < 0.3
    from_clean.completion.price.fill_(price)
    assert find_regions(from_clean.completion, pictures(300, 33), Candidates.of(grid()))[1].any(1).float().mean() < 0.15


def test_the_price_is_that_of_the_weights_that_are_kept():
    completion = dataclasses.replace(COMPLETION, damage="none")
    model = SAGVAE(ModelConfig(num_nodes=N, encoder_hidden=4, hidden=(4,), completion=completion), seed=0)
    model.posterior_pairs.copy_(grid()[*torch.triu_indices(N, N, 1)])
    rows = pictures(96, 51)[..., None]
    # The rate grows until the fit is ruined, so an early epoch is the best and patience ends it before the last one.
    stage = dataclasses.replace(STAGE, epochs=40, learning_rate=0.3, warmup_steps=100, final_rate=1.0)
    trainer = Trainer(model, TrainConfig(stages=(stage,), batch_size=32, device="cpu", patience=1))
    trainer.fit(rows[:64], rows[64:])
    assert trainer.epoch < 40
    kept = float(model.completion.price)
    model.set_region_price(rows[64:])
    assert kept == pytest.approx(float(model.completion.price), abs=1e-3) and kept != 10.0


def test_who_was_trained_on_scattered_damage_looks_for_no_regions():
    model = SAGVAE(ModelConfig(num_nodes=N, completion=COMPLETION))
    assert not model.searches_regions
    model.completion.set_graph(grid())
    assert not model.searches_regions
    assert SAGVAE(ModelConfig(num_nodes=N)).searches_regions is False


def test_a_row_is_restored_alike_in_any_company(from_damaged):
    x, _ = with_block(pictures(5, 41), 42)
    whole = from_damaged.restore(x[..., None]).clean
    assert torch.allclose(from_damaged.restore(x[1:2, :, None]).clean, whole[1:2], atol=1e-5)
