"""SAG-VAE: learn a representation of the data and one graph over its features, together.

>>> import sagvae_core as sag
>>> data = sag.load_dataset("karate", seed=0)
>>> model = sag.SAGVAE(sag.ModelConfig(num_nodes=34, num_channels=2, edge_prior=data.edge_density))
>>> history = sag.Trainer(model, sag.TrainConfig(epochs=2, seed=0)).fit(data.train)
>>> scores = sag.edge_scores(model.edge_posterior, data.adjacency)

Reference: "SAG-VAE: End-to-end Joint Inference of Data Representations and Feature Relations".
"""

__version__ = "0.1.0"

from .checkpoint import load_model, save_model
from .config import DataConfig, ModelConfig, PerturbationConfig, ReferenceConfig, StageConfig, TrainConfig
from .data import load_dataset
from .data.synthetic import make_task
from .errors import SagvaeError
from .metrics import edge_scores, reconstruction_scores, summarise
from .model import SAGVAE
from .objective import ElboTerms, elbo_terms
from .perturbations import Perturbed, block_mask, perturb, uniform_noise
from .presets import run_config
from .reference import MLPVAE, ConvolutionalDAE, DenoisingAutoencoder
from .runs import Run, find_run, list_runs
from .sampling import LowRankGaussian, PerPixelGaussian, codes_of, corrupt_codes, interpolate
from .training import Trainer

__all__ = [
                     "MLPVAE",
                     "SAGVAE",
                     "ConvolutionalDAE",
                     "DataConfig",
                     "DenoisingAutoencoder",
                     "ElboTerms",
                     "LowRankGaussian",
                     "ModelConfig",
                     "PerPixelGaussian",
                     "PerturbationConfig",
                     "Perturbed",
                     "ReferenceConfig",
                     "Run",
                     "SagvaeError",
                     "StageConfig",
                     "TrainConfig",
                     "Trainer",
                     "block_mask",
                     "codes_of",
                     "corrupt_codes",
                     "edge_scores",
                     "elbo_terms",
                     "find_run",
                     "interpolate",
                     "list_runs",
                     "load_dataset",
                     "load_model",
                     "make_task",
                     "perturb",
                     "reconstruction_scores",
                     "run_config",
                     "save_model",
                     "summarise",
                     "uniform_noise",
]


def __getattr__(name: str):
    """``sagvae_core.learners`` on demand: it loads scikit-learn, which a page that draws a graph need not pay for."""
    if name == "learners":
        import importlib

        return importlib.import_module(".learners", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
