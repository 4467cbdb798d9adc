"""Models shared: the same bits from a folder and from the Hub, two files and a card, a sentence for what is wrong."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import pickle
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, ModelCard, ModelHubMixin, close_session, constants

import sagvae_core as sag
from sagvae_core.checkpoint import build_model
from sagvae_core.config_completion import CompletionConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.generative import GenerativeModel

KINDS = {
    "sagvae": sag.ModelConfig(num_nodes=5, num_channels=2, hidden=(3, 4), edge_logits="both", edge_weights="signed",
                              attention=(0, 1), latent="per_sample"),
    "completes": sag.ModelConfig(num_nodes=16, hidden=(3,), likelihood="robust", output="sigmoid",
                                 completion=CompletionConfig(neighbours=3)),
    "identity": sag.ModelConfig(num_nodes=4, graph="identity"),
    "mlp_vae": sag.ReferenceConfig("mlp_vae", 4, latent_dim=2, hidden=(3,)),
    "dae": sag.ReferenceConfig("dae", 4, hidden=(3,), denoise=True),
    "conv_dae": sag.ReferenceConfig("conv_dae", 12, hidden=(3, 3), denoise=True, image_shape=(3, 4)),
}
FILES = ["README.md", "model.json", "model.safetensors"]


def made(kind: str = "sagvae", seed: int = 3) -> GenerativeModel:
    """A model of which every number is its own."""
    model = build_model(KINDS[kind], seed)
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return model


def same(one: GenerativeModel, other: GenerativeModel) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return (type(one) is type(other) and one.config == other.config and first.keys() == second.keys()
            and all(torch.equal(first[name], second[name]) for name in first))


def complaint(call, *args, **options) -> str:
    with pytest.raises(SagvaeError) as caught:
        call(*args, **options)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "no traceback of huggingface_hub"
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------- a folder

@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_bit_by_bit(kind, tmp_path):
    model = made(kind)
    folder = model.save_pretrained(tmp_path / "deep" / "folder")
    assert folder == tmp_path / "deep" / "folder"
    assert names(folder) == FILES
    for loaded in (type(model).from_pretrained(folder), GenerativeModel.from_pretrained(str(folder)),
                   sag.load_model(folder)):
        assert same(loaded, model)
        assert not loaded.training


@pytest.mark.parametrize("kind", KINDS)
def test_the_classes_are_as_they_were(kind):
    model = made(kind)
    assert not isinstance(model, ModelHubMixin)
    assert same(copy.deepcopy(model), model)
    assert same(pickle.loads(pickle.dumps(model)), model)
    with torch.device("meta"):
        assert all(tensor.is_meta for tensor in build_model(KINDS[kind]).state_dict().values())


def test_what_else_is_in_the_folder_stays(tmp_path):
    for name in ("config.json", "README.md", "notes.txt"):
        (tmp_path / name).write_text("mine")
    made().save_pretrained(tmp_path)
    assert [(tmp_path / name).read_text() for name in ("config.json", "README.md", "notes.txt")] == ["mine"] * 3
    assert same(sag.SAGVAE.from_pretrained(tmp_path), made())


@pytest.mark.parametrize(("kind", "title", "tags"), [
    ("sagvae", "SAG-VAE", {"graph-structure-learning", "variational-autoencoder"}),
    ("identity", "VAE (A = I)", {"variational-autoencoder"}),
    ("mlp_vae", "VAE with one code a row", {"variational-autoencoder"}),
    ("dae", "Denoising autoencoder", {"denoising-autoencoder"}),
    ("conv_dae", "Convolutional denoising autoencoder", {"denoising-autoencoder"}),
])
def test_the_card_says_what_it_is(kind, title, tags, tmp_path):
    model = made(kind)
    card = ModelCard.load(model.save_pretrained(tmp_path / "model") / "README.md")
    assert card.data.library_name == "sagvae_core"
    assert set(card.data.tags) == tags | {"sag-vae", "model_hub_mixin"}
    assert f"# {title}\n" in card.text
    assert "End-to-end Joint Inference of Data Representations and Feature Relations" in " ".join(card.text.split())
    assert f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters" in card.text


@pytest.mark.parametrize("name", ["plain", 'a "b" \\ {{ 1 + 1 }} ü'])
@pytest.mark.parametrize("kind", KINDS)
def test_the_example_on_the_card_runs(kind, name, tmp_path, monkeypatch, capsys):
    model = made(kind)
    card = (model.save_pretrained(tmp_path / name) / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", card, re.DOTALL)[1], {})
    printed = capsys.readouterr().out
    assert f"torch.Size([5, {model.config.num_nodes}, {model.config.num_channels}])" in printed
    assert ("tensor(" in printed) == (kind in ("sagvae", "completes")), "only a learned graph is worth a look"


# ---------------------------------------------------------------------- what is refused

@pytest.mark.parametrize(("kind", "wanted"), [("dae", sag.SAGVAE), ("sagvae", sag.DenoisingAutoencoder),
                                              ("dae", sag.ConvolutionalDAE), ("conv_dae", sag.MLPVAE)])
def test_another_kind_is_refused_and_its_class_named(kind, wanted, tmp_path):
    model = made(kind)
    message = complaint(wanted.from_pretrained, model.save_pretrained(tmp_path))
    assert message == (f"model must be of kind {wanted.kind!r} for {wanted.__name__}, got {kind!r}. "
                       f"Use {type(model).__name__}.from_pretrained.")


@pytest.mark.parametrize("kind", [None, [], {}, "rnn", 3])
def test_a_kind_that_is_none_is_refused(kind, tmp_path):
    made().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(values | {"kind": kind}))
    assert complaint(sag.SAGVAE.from_pretrained, tmp_path).startswith("model kind must be ")


def test_a_path_is_never_a_repository(tmp_path, hub):
    for missing in (tmp_path / "none", Path("me/karate")):
        assert "a folder with model.json and model.safetensors" in complaint(sag.SAGVAE.from_pretrained, missing)
    assert not hub.asked


@pytest.mark.parametrize("name", ["model.pt", "model.bin", "pytorch_model.pkl"])
def test_a_pickle_is_refused(name, tmp_path):
    torch.save(made().state_dict(), tmp_path / name)
    assert "got the pickle" in complaint(sag.SAGVAE.from_pretrained, tmp_path / name)


def test_a_file_is_no_folder(tmp_path):
    folder = made().save_pretrained(tmp_path)
    assert "got the file 'model.safetensors'" in complaint(sag.SAGVAE.from_pretrained, folder / "model.safetensors")


def test_the_checks_of_a_checkpoint_hold(tmp_path):
    folder = made().save_pretrained(tmp_path)
    torch.save(made().state_dict(), buffer := io.BytesIO())
    (folder / "model.safetensors").write_bytes(buffer.getvalue())
    assert "got a pickle or archive under that name" in complaint(sag.SAGVAE.from_pretrained, folder)
    (folder / "model.safetensors").unlink()
    assert "got no such file" in complaint(sag.SAGVAE.from_pretrained, folder)


# ---------------------------------------------------------------------- download, from a server of our own

class Hub:
    """As much of huggingface.co as a download sees, with the repositories of one test."""

    def __init__(self):
        self.asked: list[tuple[str, str, str]] = []  # method, revision, file
        self.tokens: set[str | None] = set()
        self.commits: dict[tuple[str, str], Path] = {}  # of a repository and a commit: its files
        self.heads: dict[tuple[str, str], str] = {}  # of a repository and a branch: its commit
        self.private: set[str] = set()

    def push(self, repo: str, folder: Path, branch: str = "main") -> str:
        commit = f"{len(self.commits) + 1:040x}"
        self.commits[repo, commit] = folder
        self.heads[repo, branch] = commit
        return commit

    def answer(self, method: str, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
        if method == "POST":
            return 403, {"X-Error-Message": "You may only read"}, b""
        found = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path)
        if found is None:
            return 404, {}, b""
        repo, revision, name = found.groups()
        self.asked.append((method, revision, name))
        self.tokens.add(token)
        if repo not in {known for known, _ in self.commits} or (repo in self.private and token != "Bearer secret"):
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        commit = self.heads.get((repo, revision), revision)
        if (repo, commit) not in self.commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        path = self.commits[repo, commit] / name
        if not path.exists():
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{commit}-{name}"'}, path.read_bytes()


@contextlib.contextmanager
def serving(hub: Hub):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = hub.answer(self.command, self.path, self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_POST = do_GET

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """huggingface_hub talks to a :class:`Hub`, and has neither a token nor a cache of its own."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # five retries take half a minute
    close_session()
    hub = Hub()
    with serving(hub) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                            address + "/{repo_id}/resolve/{revision}/{filename}")
        yield hub
        close_session()


def test_two_files_of_one_commit_are_downloaded(hub, tmp_path):
    folder = made().save_pretrained(tmp_path / "saved")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps("never read"))
    (folder / "config.json").write_text("{}")
    commit = hub.push("me/karate", folder)
    loaded = sag.SAGVAE.from_pretrained("me/karate", cache_dir=tmp_path / "cache")
    assert same(loaded, made())
    assert {(revision, name) for _, revision, name in hub.asked} >= {("main", "model.json"),
                                                                     (commit, "model.safetensors")}
    assert {name for _, _, name in hub.asked} == {"model.json", "model.safetensors"}
    assert hub.tokens == {None}

    hub.asked.clear()
    again = sag.SAGVAE.from_pretrained("me/karate", cache_dir=tmp_path / "cache", local_files_only=True)
    assert same(again, made())
    assert not hub.asked


def test_a_push_in_between_does_not_mix_two_models(hub, tmp_path, monkeypatch):
    hub.push("me/karate", made(seed=1).save_pretrained(tmp_path / "old"))
    answer = hub.answer

    def answer_and_move_on(method, path, token):
        found = answer(method, path, token)
        if (method, path[-10:]) == ("GET", "model.json"):
            hub.push("me/karate", made(seed=2).save_pretrained(tmp_path / "new"))
        return found

    monkeypatch.setattr(hub, "answer", answer_and_move_on)
    assert same(sag.SAGVAE.from_pretrained("me/karate", cache_dir=tmp_path / "cache"), made(seed=1))
    assert len(hub.commits) == 2


def test_revisions(hub, tmp_path):
    old = hub.push("me/karate", made(seed=1).save_pretrained(tmp_path / "old"))
    hub.push("me/karate", made(seed=2).save_pretrained(tmp_path / "new"))
    hub.push("me/karate", made(seed=4).save_pretrained(tmp_path / "draft"), branch="draft")
    for revision, seed in ((None, 2), (old, 1), ("draft", 4)):
        assert same(sag.SAGVAE.from_pretrained("me/karate", revision=revision), made(seed=seed))
    assert complaint(sag.SAGVAE.from_pretrained, "me/karate", revision="gone") == (
        "revision must be a branch, tag or commit of 'me/karate', got 'gone'. Leave it out for the main branch.")


def test_a_token_opens_a_private_repository(hub, tmp_path):
    hub.push("me/karate", made().save_pretrained(tmp_path / "saved"))
    hub.private.add("me/karate")
    closed = complaint(sag.SAGVAE.from_pretrained, "me/karate")
    assert "'me/karate', which is neither" in closed and "give a token" in closed
    assert "secret" not in complaint(sag.SAGVAE.from_pretrained, "me/none", token="secret")
    assert same(sag.SAGVAE.from_pretrained("me/karate", token="secret"), made())


def test_the_weights_of_another_kind_are_not_downloaded(hub, tmp_path):
    hub.push("me/digits", made("dae").save_pretrained(tmp_path / "saved"))
    assert "Use DenoisingAutoencoder.from_pretrained" in complaint(sag.SAGVAE.from_pretrained, "me/digits")
    assert {name for _, _, name in hub.asked} == {"model.json"}


@pytest.mark.parametrize("missing", ["model.json", "model.safetensors"])
def test_a_repository_without_our_files_is_refused(missing, hub, tmp_path):
    folder = made().save_pretrained(tmp_path / "saved")
    (folder / missing).rename(folder / "pytorch_model.bin")
    hub.push("me/karate", folder)
    assert complaint(sag.SAGVAE.from_pretrained, "me/karate") == (
        "repository 'me/karate' must be one with model.json and model.safetensors, got no such files. "
        "Only models saved with save_pretrained() or push_to_hub() are read, no pickles.")
    assert not {name for _, _, name in hub.asked} - {"model.json", "model.safetensors"}


@pytest.mark.parametrize("name", ["a/b/c", "", "-x", "a b", "x" * 300])
def test_a_name_that_is_none_asks_nobody(name, hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert re.match("model(.json)? must be ", complaint(sag.SAGVAE.from_pretrained, name))
    assert not hub.asked


def test_no_answer_is_a_sentence(hub, monkeypatch):
    with serving(Hub()) as address:
        pass  # its port is closed now
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    message = complaint(sag.SAGVAE.from_pretrained, "me/karate")
    assert "model 'me/karate' must be a folder, or a repository the Hub can be asked for, got " in message
    assert "ConnectError" not in message and "refused" in message
    assert "give the folder of a model" in message
    assert "local_files_only=True, got no such files" in complaint(sag.SAGVAE.from_pretrained, "me/karate",
                                                                  local_files_only=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()
    assert "HF_HUB_OFFLINE" in complaint(sag.SAGVAE.from_pretrained, "me/karate")


def test_a_server_in_trouble_is_a_sentence(hub, monkeypatch):
    monkeypatch.setattr(hub, "answer", lambda method, path, token: (500, {}, b""))
    assert "500 Internal Server Error" in complaint(sag.SAGVAE.from_pretrained, "me/karate")


# ---------------------------------------------------------------------- upload

@pytest.fixture
def uploads(monkeypatch) -> list[dict]:
    """What reaches the two calls of huggingface_hub that write, with the files of each upload."""
    calls: list[dict] = []

    def create_repo(self, repo_id, *, private, exist_ok):
        calls.append({"created": repo_id, "private": private, "exist_ok": exist_ok, "token": self.token})
        return type("Address", (), {"repo_id": repo_id})

    def upload_folder(self, *, folder_path, **options):
        kept = {path.relative_to(folder_path).as_posix(): path.read_bytes()
                for path in Path(folder_path).rglob("*") if path.is_file()}
        calls.append(options | {"files": kept, "token": self.token})
        return "https://huggingface.co/me/karate/commit/1"

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(HfApi, "whoami", lambda self: {"name": "me"})
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_three_files_are_uploaded_and_they_are_the_model(kind, uploads, tmp_path):
    model = made(kind)
    address = model.push_to_hub("me/karate", private=True, token="secret")
    assert address == "https://huggingface.co/me/karate/commit/1"
    created, sent = uploads
    assert created == {"created": "me/karate", "private": True, "exist_ok": True, "token": "secret"}
    assert sorted(sent["files"]) == FILES
    assert (sent["repo_id"], sent["repo_type"], sent["token"]) == ("me/karate", "model", "secret")
    assert not any(b"secret" in body for body in sent["files"].values())
    for name, body in sent["files"].items():
        (tmp_path / name).write_bytes(body)
    assert same(type(model).from_pretrained(tmp_path), model)
    assert f'sag.{type(model).__name__}.from_pretrained("me/karate")' in sent["files"]["README.md"].decode()


def test_a_name_alone_is_one_of_your_own(uploads):
    made().push_to_hub("karate", branch="draft", create_pr=True, commit_message="Longer trained")
    created, sent = uploads
    assert (created["created"], created["private"]) == ("me/karate", None)
    assert (sent["revision"], sent["create_pr"], sent["commit_message"]) == ("draft", True, "Longer trained")
    assert b'from_pretrained("me/karate")' in sent["files"]["README.md"]


def test_an_upload_that_fails_is_a_sentence(hub):
    message = complaint(made().push_to_hub, "you/karate", token="secret")
    assert message.startswith("repository 'you/karate' must be one of huggingface.co that you may write to, "
                              "got ")
    assert "HfHubHTTPError" not in message
    assert "You may only read" in message
    assert "secret" not in message
    assert "\n" not in message
    assert "'karate' must be one of huggingface.co that you may write to, got Token is required" in complaint(
        made().push_to_hub, "karate")
    assert complaint(made().push_to_hub, "a/b/c") == (
        "repository must be 'owner/name' or 'name', got 'a/b/c'. Letters, digits, '-', '_' and '.' make a name.")
