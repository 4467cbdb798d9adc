"""What all our models share: a checked input, a likelihood, and the way to a folder or the Hub and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from .distributions import BinaryConcrete
from .errors import expected
from .likelihoods import build_likelihood


@dataclass
class ModelOutput:
    """What one forward pass of any of our models hands to the objective.

    ``preactivation`` (B, N, C) is the output before its activation; ``posterior`` is q(z|x) or None; ``edges`` is
    q(A|x) over the pairs or None.
    """

    preactivation: Tensor
    posterior: Normal | None = None
    edges: BinaryConcrete | None = None


class GenerativeModel(nn.Module):
    """The part all our models share: a checked input, a likelihood, reconstruction, sharing. Not used on its own."""

    kind: str

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.likelihood = build_likelihood(config)

    def check(self, x: Tensor) -> Tensor:
        """Return ``x`` if it is (B, N, C) for this model and finite, else raise what was expected, got and helps.

        NaN is allowed where the configuration says that values may be missing.
        """
        shape = (self.config.num_nodes, self.config.num_channels)
        if x.ndim != 3 or tuple(x.shape[1:]) != shape:
            raise expected("x", f"of shape (B, {shape[0]}, {shape[1]})", tuple(x.shape),
                           "Choose the data set this model was trained on, or another model.")
        missing = getattr(self.config, "missing", False)
        if bool(x.isinf().any()) or not (missing or torch.isfinite(x).all()):
            raise expected("x", "finite", "NaN or infinity", "Remove or fill these values first.")
        return x

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstruction of rows x (B, N, C) at the posterior mean; (B, N, C)."""
        raise NotImplementedError

    # ------------------------------------------------------------------ sharing
    # As DataFrame.to_parquet is in pandas, these are a front door to a layer above, opened when it is called:
    # hub.py reads and writes models, so it must know them all, and it loads huggingface_hub, which training and the
    # dashboard never need (importing it takes a tenth as long as importing this package).

    @classmethod
    def from_pretrained(cls, folder_or_repo: str | Path, *, revision: str | None = None,
                        token: str | bool | None = None, cache_dir: str | Path | None = None,
                        local_files_only: bool = False, device: str | torch.device = "cpu") -> Self:
        """The trained model in a folder or in a repository of the Hugging Face Hub, in eval mode.

        From a repository ``model.json`` and ``model.safetensors`` of one commit are downloaded and nothing else; both
        are checked as :func:`sagvae_core.load_model` checks them, and no program in a repository can run.

        Args:
            folder_or_repo: a folder (of :meth:`save_pretrained` or of a finished run), else a repository's
                "owner/name". A ``Path`` is always a folder.
            revision: branch, tag or commit of the repository; by default its main branch.
            token: for private repositories; by default the one `hf auth login` saved. False sends none.
            cache_dir: where downloads are kept; by default the cache of huggingface_hub.
            local_files_only: use what is in the cache, without a request.
            device: where the weights go.

        Raises:
            SagvaeError: there is no such folder or repository, the Hub does not answer, a file is missing or damaged,
                or it is a model of another class.
        """
        from .hub import load_shared

        return load_shared(cls, folder_or_repo, revision=revision, token=token, cache_dir=cache_dir,
                           local_files_only=local_files_only, device=device)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write ``model.safetensors``, ``model.json`` and a model card into ``folder``; returns the folder.

        A ``README.md`` that is there already is kept, so that a card may be written by hand.
        """
        from .hub import save_shared

        return save_shared(self, folder)

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | bool | None = None,
                    branch: str | None = None, create_pr: bool | None = None,
                    commit_message: str = "Model of sagvae_core") -> str:
        """Upload the three files of :meth:`save_pretrained` in one commit; returns its address.

        Args:
            repo_id: "owner/name", or "name" for one of your own; made when there is none. Its model card is replaced.
            private: whether a new repository is private; by default it is public, unless its owner decided otherwise.
            token: one that may write; by default the one `hf auth login` saved.
            branch: by default "main". create_pr: propose the commit instead.
            commit_message: of the commit.

        Raises:
            SagvaeError: the name is none, the token may not write there, or the Hub does not answer.
        """
        from .hub import push_shared

        return push_shared(self, repo_id, private=private, token=token, branch=branch, create_pr=create_pr,
                           commit_message=commit_message)
