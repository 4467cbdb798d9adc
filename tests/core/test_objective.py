"""The ELBO's terms against hand-assembled ones, for SAG-VAE and the reference models; who is shown clean rows."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from sagvae_core.config import ModelConfig, ReferenceConfig, StageConfig, TrainConfig
from sagvae_core.data import Split
from sagvae_core.distributions import pairs_to_matrix
from sagvae_core.errors import SagvaeError
from sagvae_core.model import SAGVAE
from sagvae_core.objective import ElboTerms, Objective, elbo_terms
from sagvae_core.reference import MLPVAE, ConvolutionalDAE, DenoisingAutoencoder
from sagvae_core.training import Trainer

CONFIG = ModelConfig(num_nodes=5, num_channels=1, latent_channels=2, encoder_hidden=6, hidden=(4,), edge_prior=0.2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X, OTHER = torch.rand(4, 5, 1, generator=seeded(1)), torch.rand(4, 5, 1, generator=seeded(2))


def by_hand(model: SAGVAE, x: torch.Tensor, target: torch.Tensor, temperature: float, seed: int):
    """(log-likelihood, KL of the codes, KL of the graph) written out term by term, with the documented draws."""
    generator = seeded(seed)
    q = model.encode(x)
    z = q.loc + q.scale * torch.randn(q.loc.shape, generator=generator)
    logits = model.graph_encoder.row_logits(None)[0]
    uniform = torch.rand(logits.shape, generator=generator)
    pairs = torch.sigmoid((logits + uniform.log() - (1 - uniform).log()) / temperature)
    p = torch.sigmoid(model.decoder(z, pairs_to_matrix(pairs, 5)))
    log_likelihood = (target * p.log() + (1 - target) * (1 - p).log()).sum((1, 2))
    kl_z = kl_divergence(q, Normal(torch.zeros(()), torch.ones(()))).sum((1, 2))
    kl_graph = kl_divergence(Bernoulli(logits=logits), Bernoulli(torch.tensor(0.2))).sum()
    return log_likelihood, kl_z, kl_graph


def test_the_terms_are_the_hand_assembled_ones_and_stay_apart():
    model = SAGVAE(CONFIG).train()
    terms = elbo_terms(model, X, temperature=0.7, generator=seeded(5))
    log_likelihood, kl_z, kl_graph = by_hand(model, X, X, 0.7, 5)
    assert terms.log_likelihood.shape == terms.kl_z.shape == (4,)
    assert terms.kl_graph.shape == ()
    assert torch.allclose(terms.log_likelihood, log_likelihood, atol=1e-4)
    assert torch.allclose(terms.kl_z, kl_z, atol=1e-5)
    assert torch.allclose(terms.kl_graph, kl_graph, atol=1e-5)
    assert torch.allclose(terms.elbo(0.3, 0.01), log_likelihood - 0.3 * kl_z - 0.01 * kl_graph, atol=1e-4)
    assert torch.allclose(terms.elbo(), log_likelihood - kl_z - kl_graph, atol=1e-4)
    assert torch.allclose(terms.edges.logits, model.infer_graph().logits)


def test_elbo_arithmetic_on_plain_numbers():
    terms = ElboTerms(torch.tensor([-10.0, -20.0]), torch.tensor([2.0, 4.0]), torch.tensor(3.0))
    assert terms.elbo().tolist() == [-15, -27]
    assert terms.elbo(0.5, 0).tolist() == [-11, -22]


def test_the_target_is_what_the_likelihood_is_asked_about():
    model = SAGVAE(CONFIG).train()
    terms = elbo_terms(model, X, OTHER, temperature=0.7, generator=seeded(5))
    assert torch.allclose(terms.log_likelihood, by_hand(model, X, OTHER, 0.7, 5)[0], atol=1e-4)


def test_held_out_terms_use_the_graph_of_the_data_set():
    model = SAGVAE(CONFIG).eval()
    model.posterior_pairs.fill_(0.2)
    terms = elbo_terms(model, X, generator=seeded())
    assert terms.kl_graph.item() == pytest.approx(0, abs=1e-4)
    codes = model.encode(X)
    z = codes.loc + codes.scale * torch.randn(codes.loc.shape, generator=seeded())
    p = model.decode(z, model.edge_posterior)
    wanted = (X * p.log() + (1 - X) * (1 - p).log()).sum((1, 2))
    assert torch.allclose(terms.log_likelihood, wanted, atol=1e-4)
    assert model.train()(X).edges.logits.tolist() != model.eval()(X).edges.logits.tolist()


def test_the_vanilla_vae_pays_nothing_for_a_graph():
    terms = elbo_terms(SAGVAE(ModelConfig(num_nodes=5, graph="identity")), X, generator=seeded())
    assert terms.kl_graph.item() == 0
    assert terms.edges is None
    assert (terms.kl_z > 0).all()


def test_the_mlp_vae_by_hand():
    model = MLPVAE(ReferenceConfig("mlp_vae", 5, latent_dim=3, hidden=(6,)))
    mean, log_variance = model.encoder(X.flatten(1)).chunk(2, 1)
    assert torch.allclose(model.encode(X).scale, (0.5 * log_variance).exp())
    z = mean + (0.5 * log_variance).exp() * torch.randn(4, 3, generator=seeded(3))
    p = torch.sigmoid(model.decoder(z)).view(4, 5, 1)
    terms = elbo_terms(model, X, generator=seeded(3))
    assert torch.allclose(terms.log_likelihood, (X * p.log() + (1 - X) * (1 - p).log()).sum((1, 2)), atol=1e-4)
    wanted = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    assert torch.allclose(terms.kl_z, wanted, atol=1e-5)
    assert (terms.kl_graph, terms.edges) == (0, None)
    assert torch.allclose(model.reconstruct(X), torch.sigmoid(model.decoder(mean)).view(4, 5, 1))
    assert [type(layer).__name__ for layer in model.encoder] == ["Linear", "ReLU", "Linear"]


def test_the_denoising_autoencoder_has_a_likelihood_only():
    model = DenoisingAutoencoder(ReferenceConfig("dae", 5, hidden=(6,), denoise=True))
    terms = elbo_terms(model, X, OTHER)
    p = model.reconstruct(X)
    assert torch.allclose(terms.log_likelihood, (OTHER * p.log() + (1 - OTHER) * (1 - p).log()).sum((1, 2)), atol=1e-4)
    assert terms.kl_z.tolist() == [0] * 4
    assert terms.kl_graph == 0


def test_a_stage_weighs_the_terms_and_may_warm_up_with_bernoulli():
    model = SAGVAE(ModelConfig(num_nodes=5, likelihood="robust", hidden=(4,)))
    objective = Objective(model).train()
    objective.start_stage(StageConfig(likelihood="bernoulli", kl_z_weight=0.25, kl_graph_weight=0.5))
    loss, terms = objective(X, None, 0.5, seeded(2))
    plain = elbo_terms(model, X, temperature=0.5, generator=seeded(2))
    assert (terms.log_likelihood - plain.log_likelihood).abs().min() > 0.1
    wanted = -(terms.log_likelihood - 0.25 * terms.kl_z - 0.5 * terms.kl_graph).mean()
    assert torch.allclose(loss, wanted)
    objective.start_stage(StageConfig(likelihood="robust"))
    assert objective.likelihood is None
    assert torch.allclose(objective(X, None, 0.5, seeded(2))[1].log_likelihood, plain.log_likelihood)
    with pytest.raises(SagvaeError, match=r"stage.likelihood must be 'bernoulli' or the model's 'robust', got 'gauss"):
        objective.start_stage(StageConfig(likelihood="gaussian"))


# ---------------------------------------------------------------------- who is shown clean rows

def damaged_split(clean: torch.Tensor) -> Split:
    count, nodes, _ = clean.shape
    return Split(inputs=torch.full_like(clean, 0.5), clean=clean, labels=torch.zeros(count, dtype=torch.long),
                 damaged=torch.ones(count, nodes, dtype=torch.bool))


MODELS = {
    "sagvae": lambda: SAGVAE(CONFIG),
    "identity": lambda: SAGVAE(ModelConfig(num_nodes=5, graph="identity")),
    "mlp_vae": lambda: MLPVAE(ReferenceConfig("mlp_vae", 5, hidden=(6,))),
    "dae on its input": lambda: DenoisingAutoencoder(ReferenceConfig("dae", 5, hidden=(6,), denoise=False)),
    "conv_dae on its input": lambda: ConvolutionalDAE(ReferenceConfig("conv_dae", 5, hidden=(6,), image_shape=(5, 1))),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_model_but_the_denoising_autoencoder_ever_reads_clean_rows(name):
    weights = []
    for clean in (torch.zeros(6, 5, 1), torch.full((6, 5, 1), float("nan"))):
        model = MODELS[name]()
        records = Trainer(model, TrainConfig(epochs=2, batch_size=4, device="cpu")).fit(
            damaged_split(clean), damaged_split(clean))
        weights.append((model.state_dict(), records[-1]["validation_elbo"]))
    assert all(torch.equal(weights[0][0][key], weights[1][0][key]) for key in weights[0][0])
    assert weights[0][1] == weights[1][1]


def test_the_denoising_autoencoder_learns_the_clean_rows_and_not_its_inputs():
    clean = torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0]).view(1, 5, 1).expand(8, 5, 1).contiguous()
    model = DenoisingAutoencoder(ReferenceConfig("dae", 5, hidden=(6,), denoise=True))
    stage = StageConfig(epochs=40, learning_rate=0.05)
    records = Trainer(model, TrainConfig(stages=(stage,), batch_size=8, device="cpu")).fit(
        damaged_split(clean), damaged_split(clean))
    assert (model.reconstruct(torch.full((1, 5, 1), 0.5)) - clean[:1]).abs().max() < 0.05
    assert records[-1]["validation_elbo"] > -0.3
