"""Relation learners behind one interface, ``fit(X)`` -> scores and a threshold: SAG-VAE and its baselines.

Loaded on demand, as ``sagvae_core.learners``: it needs scikit-learn, which ``import sagvae_core`` does not.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import RelationLearner, normal_scores
from .classical import AbsoluteCorrelation, AllEdges, GraphicalLasso, PairwiseProduct, PartialCorrelation
from .sagvae import SAGVAERelations
from .smooth import SmoothGraph
from .stability import StableRelations
from .vgae import VGAE, edge_share

BASELINES: dict[str, Callable[..., RelationLearner]] = {
    "all_edges": AllEdges,
    "pairwise_product": PairwiseProduct,
    "correlation": AbsoluteCorrelation,
    "partial_correlation": PartialCorrelation,
    "graphical_lasso": GraphicalLasso,
    "smooth_graph": SmoothGraph,
    "vgae": VGAE,
}

__all__ = ["BASELINES", "VGAE", "AbsoluteCorrelation", "AllEdges", "GraphicalLasso", "PairwiseProduct",
           "PartialCorrelation", "RelationLearner", "SAGVAERelations", "SmoothGraph", "StableRelations", "edge_share",
           "normal_scores"]
