"""Models on the Hugging Face Hub: our two files, a model card, and no pickle in either direction.

Behind ``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` of every model. huggingface_hub's mixin makes the
card and uploads; the files are those of :mod:`sagvae_core.checkpoint`, with all its checks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, ModelCard, ModelHubMixin, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    HTTPError,  # of the HTTP library huggingface_hub uses, whose name changes with its version
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from . import __version__
from .checkpoint import DESCRIPTION, WEIGHTS, load_model, read_json, refuse_pickle, save_model
from .errors import SagvaeError, expected, reason
from .generative import GenerativeModel
from .model import SAGVAE
from .reference import MLPVAE, ConvolutionalDAE, DenoisingAutoencoder

CARD = "README.md"
_CLASSES = {cls.kind: cls for cls in (SAGVAE, MLPVAE, DenoisingAutoencoder, ConvolutionalDAE)}
_TITLES = {"sagvae": "SAG-VAE", "identity": "VAE (A = I)", "mlp_vae": "VAE with one code a row",
           "dae": "Denoising autoencoder", "conv_dae": "Convolutional denoising autoencoder"}
_TAGS = {"sagvae": ["graph-structure-learning", "variational-autoencoder"], "identity": ["variational-autoencoder"],
         "mlp_vae": ["variational-autoencoder"], "dae": ["denoising-autoencoder"],
         "conv_dae": ["denoising-autoencoder"]}
_TROUBLE = (HFValidationError, HTTPError, OSError, RuntimeError)  # RuntimeError: of hf_xet, which moves large files

_TEMPLATE = """---
{{ card_data }}
---

# {{ title }}

A model of `sagvae_core` {{ version }}, the reference implementation of *SAG-VAE: End-to-end Joint Inference of Data
Representations and Feature Relations*. Rows of shape {{ shape }} (nodes, channels); {{ parameters }} parameters.

```python
{{ snippet }}
```

`{{ weights }}` holds the weights and `{{ description }}` the architecture. There is no pickle, and nothing here is run.

- Trained on: [More Information Needed]
- Measured on: [More Information Needed]
"""


class _Shared(ModelHubMixin, library_name="sagvae_core", tags=["sag-vae"], model_card_template=_TEMPLATE):
    """A model as the mixin sees it.

    The models hold no mixin themselves: its ``__new__`` and ``__init_subclass__`` read constructors to write a
    ``config.json``, which ours must not have beside ``model.json``, its ``from_pretrained`` asks the Hub for that file
    first, and it would have to be imported before the first model is defined.
    """

    def __init__(self, model: GenerativeModel):
        self.model = model

    def save_pretrained(self, save_directory: str | Path, *, config: None = None,
                        model_card_kwargs: dict[str, Any] | None = None) -> None:
        """As the mixin's, which however deletes ``config.json``: in the folder of a run that file is the run's."""
        folder = save_model(self.model, save_directory)
        if not (folder / CARD).exists():
            self.generate_model_card(**{"name": folder.resolve().name} | (model_card_kwargs or {})).save(folder / CARD)

    def generate_model_card(self, name: str) -> ModelCard:
        """The card of the model; ``name`` is what its example gives to ``from_pretrained``."""
        role, config = _role(self.model), self.model.config
        card = super().generate_model_card(
            title=_TITLES[role], version=__version__, shape=f"({config.num_nodes}, {config.num_channels})",
            parameters=f"{sum(parameter.numel() for parameter in self.model.parameters()):,}",
            snippet=_snippet(self.model, name), weights=WEIGHTS, description=DESCRIPTION)
        card.data.tags = sorted([*card.data.tags, *_TAGS[role]])
        return card


def load_shared(cls: type[GenerativeModel], folder_or_repo: str | Path, *, revision: str | None,
                token: str | bool | None, cache_dir: str | Path | None, local_files_only: bool,
                device: str | torch.device) -> GenerativeModel:
    """See :meth:`sagvae_core.generative.GenerativeModel.from_pretrained`."""
    folder = Path(folder_or_repo)
    if os.path.exists(folder):  # Path.exists() raises for names that are too long
        refuse_pickle(folder)
        if not folder.is_dir():
            raise expected("model", f"a folder with {DESCRIPTION} and {WEIGHTS}", f"the file {folder.name!r}")
        _refuse_other_kinds(cls, folder)
        return load_model(folder, device)
    if isinstance(folder_or_repo, os.PathLike):
        raise expected("model", f"a folder with {DESCRIPTION} and {WEIGHTS}", f"{folder.name!r}, which is not there",
                       "Check the path; a repository of the Hub is given as a string.")
    options = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only,
               "library_name": "sagvae_core", "library_version": __version__}
    with _download_of(folder_or_repo, revision, local_files_only):
        folder = Path(hf_hub_download(folder_or_repo, DESCRIPTION, revision=revision, **options)).parent
    _refuse_other_kinds(cls, folder)  # before the weights, the larger file, are asked for
    with _download_of(folder_or_repo, revision, local_files_only):
        # The cache has a folder for every commit, and its hash for a name: whatever is pushed meanwhile, the weights
        # are those of the description.
        hf_hub_download(folder_or_repo, WEIGHTS, revision=folder.name, **options)
    return load_model(folder, device)


def save_shared(model: GenerativeModel, folder: str | Path) -> Path:
    """See :meth:`sagvae_core.generative.GenerativeModel.save_pretrained`."""
    _Shared(model).save_pretrained(folder)
    return Path(folder)


def push_shared(model: GenerativeModel, repo_id: str, *, private: bool | None, token: str | bool | None,
                branch: str | None, create_pr: bool | None, commit_message: str) -> str:
    """See :meth:`sagvae_core.generative.GenerativeModel.push_to_hub`."""
    try:
        if "/" not in repo_id:  # the card's example says whose it is
            repo_id = f"{HfApi(token=token).whoami()['name']}/{repo_id}"
        return _Shared(model).push_to_hub(repo_id, private=private, token=token, branch=branch, create_pr=create_pr,
                                          commit_message=commit_message, model_card_kwargs={"name": repo_id})
    except HFValidationError:
        raise _no_name("repository", "'owner/name' or 'name'", repo_id) from None
    except _TROUBLE as error:
        raise expected(f"repository {repo_id!r}", "one of huggingface.co that you may write to", _reason(error),
                       "Check the connection, and log in with `hf auth login` or give a token that may write; "
                       "save_pretrained() writes the same files into a folder.") from None


def _refuse_other_kinds(cls: type[GenerativeModel], folder: Path) -> None:
    description = read_json(folder / DESCRIPTION)
    kind = description.get("kind") if isinstance(description, dict) else None
    other = _CLASSES.get(kind) if isinstance(kind, str) else None
    if other is not None and not issubclass(other, cls):
        raise expected("model", f"of kind {cls.kind!r} for {cls.__name__}", repr(kind),
                       f"Use {other.__name__}.from_pretrained.")


@contextmanager
def _download_of(repo: str, revision: str | None, local_files_only: bool) -> Iterator[None]:
    """Turns what huggingface_hub raises for a download into one sentence."""
    try:
        yield
    except HFValidationError:
        raise _no_name("model", "a folder, or a repository 'owner/name' of huggingface.co", repo) from None
    except RepositoryNotFoundError:
        raise expected("model", "a folder, or a repository of huggingface.co that you may read",
                       f"{repo!r}, which is neither", "Check the name; for a private or gated repository log in with "
                       "`hf auth login` or give a token.") from None
    except RevisionNotFoundError:
        raise expected("revision", f"a branch, tag or commit of {repo!r}", repr(revision),
                       "Leave it out for the main branch.") from None
    except LocalEntryNotFoundError as error:
        if not local_files_only:
            raise _no_answer(repo, error) from None
        raise expected(f"model {repo!r}", "in the cache of downloads for local_files_only=True", "no such files",
                       "Download it once without local_files_only.") from None
    except EntryNotFoundError:
        raise expected(f"repository {repo!r}", f"one with {DESCRIPTION} and {WEIGHTS}", "no such files",
                       "Only models saved with save_pretrained() or push_to_hub() are read, no pickles.") from None
    except _TROUBLE as error:
        raise _no_answer(repo, error) from None


def _no_name(what: str, wanted: str, repo: str) -> SagvaeError:
    return expected(what, wanted, repr(repo), "Letters, digits, '-', '_' and '.' make a name.")


def _no_answer(repo: str, error: Exception) -> SagvaeError:
    return expected(f"model {repo!r}", "a folder, or a repository the Hub can be asked for", _reason(error),
                    "Check the connection and try again, or give the folder of a model that is on this machine.")


def _reason(error: Exception) -> str:
    """What went wrong, in one line; a file not found here says underneath why it was not found there either."""
    cause = (error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None) or error
    return reason(cause)


def _role(model: GenerativeModel) -> str:
    """The kind of a model, or "identity" for the paper's VAE, which is a SAG-VAE without a graph."""
    return "identity" if getattr(model.config, "graph", None) == "identity" else model.kind


def _snippet(model: GenerativeModel, name: str) -> str:
    """An example that runs as it stands; ``name`` is quoted, since a folder may have any."""
    config = model.config
    lines = ["import sagvae_core as sag", "import torch", "",
             f"model = sag.{type(model).__name__}.from_pretrained({json.dumps(name, ensure_ascii=False)})",
             f"rows = torch.rand(5, {config.num_nodes}, {config.num_channels})  # yours: (B, N, C)",
             "print(model.reconstruct(rows).shape)"]
    if _role(model) == "sagvae":
        lines.append("print(model.edge_posterior)  # how sure is each relation between two nodes")
    return "\n".join(lines)
