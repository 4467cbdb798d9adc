"""A training in pictures: few frames, evenly spread, read back as they were, and damaged ones are a sentence."""

from __future__ import annotations

import itertools

import pytest
import torch

from sagvae_core import snapshots
from sagvae_core.checkpoint import write_tensors
from sagvae_core.errors import SagvaeError

N, ROWS = 5, 3


def frame(epoch: int, graph: bool = True) -> dict[str, torch.Tensor]:
    rows = torch.rand(ROWS, N, 1, generator=torch.Generator().manual_seed(0))
    percent = torch.full((N, N), epoch % 100, dtype=torch.uint8).fill_diagonal_(0)
    return {"inputs": rows, "clean": 1 - rows, "reconstruction": torch.full((ROWS, N, 1), epoch / 256)} | (
        {"edge_percent": percent} if graph else {})


def test_the_last_one_and_every_kept_epoch_come_back(tmp_path):
    assert snapshots.read(tmp_path) is None
    assert snapshots.epochs(tmp_path) == []
    for epoch in (1, 2, 7):
        snapshots.write(tmp_path, epoch, frame(epoch))
    assert snapshots.epochs(tmp_path) == [1, 2, 7]
    for asked, epoch in ((None, 7), (7, 7), (2, 2), (1, 1)):
        found, wanted = snapshots.read(tmp_path, asked), frame(epoch)
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype, name


def test_an_epoch_that_was_thinned_out_has_none(tmp_path, monkeypatch):
    for epoch in (1, 2):
        snapshots.write(tmp_path, epoch, frame(epoch))
    path = tmp_path / snapshots.FOLDER / "epoch-00002.safetensors"
    read = snapshots.read_tensors

    def gone_meanwhile(path):
        path.unlink(missing_ok=True)
        return read(path)

    assert snapshots.read(tmp_path, 3) is None
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "read_tensors", lambda path: gone_meanwhile(path) if "epoch" in path.name else
                      read(path))
        assert snapshots.read(tmp_path, 2) is None
    path.write_bytes(b"damaged")
    with pytest.raises(SagvaeError, match="epoch-00002"):
        snapshots.read(tmp_path, 2)


def test_a_model_without_a_graph_has_pictures_alone(tmp_path):
    snapshots.write(tmp_path, 3, frame(3, graph=False))
    assert set(snapshots.read(tmp_path, 3)) == {"inputs", "clean", "reconstruction"}


@pytest.mark.parametrize("epochs", [39, 40, 41, 90, 400])
def test_few_are_kept_from_first_to_last_and_evenly_spread(tmp_path, monkeypatch, epochs):
    monkeypatch.setattr(snapshots, "write_tensors", lambda path, _: path.touch())
    for epoch in range(1, epochs + 1):
        snapshots.write(tmp_path, epoch, frame(1))
    kept = snapshots.epochs(tmp_path)
    assert len(kept) == min(epochs, snapshots.MOST)
    assert (kept[0], kept[-1]) == (1, epochs)
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    assert max(gaps) <= 4 * min(gaps)


@pytest.mark.parametrize("change", [
    {"inputs": None}, {"clean": torch.zeros(ROWS, N + 1, 1)}, {"inputs": torch.zeros(N)},
    {"edge_percent": torch.zeros(N, N + 1, dtype=torch.uint8)}, {"edge_percent": torch.zeros(N, N)}])
def test_damaged_files_are_a_sentence(tmp_path, change):
    snapshots.write(tmp_path, 1, frame(1))
    tensors = {name: tensor for name, tensor in (frame(1) | change).items() if tensor is not None}
    write_tensors(tmp_path / snapshots.LAST, tensors)
    with pytest.raises(SagvaeError, match=r"snapshot\.safetensors must be inputs, clean and reconstruction of one"):
        snapshots.read(tmp_path)


@pytest.mark.parametrize("change", [{"reconstruction": torch.zeros(1, N, 1).half()},
                                    {"edge_percent_pairs": torch.zeros(4, dtype=torch.uint8)}])
def test_a_damaged_frame_is_a_sentence(tmp_path, change):
    snapshots.write(tmp_path, 1, frame(1))
    path = tmp_path / snapshots.FOLDER / "epoch-00001.safetensors"
    write_tensors(path, {"reconstruction": torch.zeros(ROWS, N, 1).half()} | change)
    with pytest.raises(SagvaeError, match="The file is damaged: delete it"):
        snapshots.read(tmp_path, 1)
