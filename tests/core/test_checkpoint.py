"""Models on disk: exact round trips, and a sentence for everything that is wrong, missing or hostile."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import sagvae_core
from sagvae_core import checkpoint
from sagvae_core.checkpoint import (
    build_model,
    load_model,
    model_config_from_dict,
    read_header,
    read_json,
    read_tensors,
    save_model,
    write_json,
    write_tensors,
)
from sagvae_core.config import ModelConfig, ReferenceConfig
from sagvae_core.config_io import to_dict
from sagvae_core.errors import SagvaeError

KINDS = {
    "plain": ModelConfig(num_nodes=4, hidden=(3,)),
    "everything": ModelConfig(num_nodes=5, num_channels=2, hidden=(3, 4), edge_logits="both", edge_weights="signed",
                              attention=(0, 1), likelihood="robust", latent="per_sample", node_bias=True),
    "identity": ModelConfig(num_nodes=4, graph="identity", likelihood="gaussian", likelihood_scale="node"),
    "mlp_vae": ReferenceConfig("mlp_vae", 4, latent_dim=2, hidden=(3,)),
    "dae": ReferenceConfig("dae", 4, hidden=(3,), denoise=True),
    "conv_dae": ReferenceConfig("conv_dae", 12, hidden=(3, 3), denoise=True, image_shape=(3, 4)),
}


@pytest.fixture
def saved(tmp_path) -> Path:
    return save_model(build_model(KINDS["plain"]), tmp_path / "model")


def complaint(folder: Path) -> str:
    with pytest.raises(SagvaeError) as caught:
        load_model(folder)
    return str(caught.value)


def change_description(folder: Path, **changes) -> None:
    values = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(values | changes))


def change_tensors(folder: Path, change) -> None:
    tensors = read_tensors(folder / "model.safetensors")
    change(tensors)
    write_tensors(folder / "model.safetensors", tensors)


# ---------------------------------------------------------------------- round trips

@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_comes_back_bit_by_bit(kind, tmp_path):
    model = build_model(KINDS[kind], seed=3)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(name))))
    loaded = load_model(save_model(model, tmp_path / "deep" / "folder", {"note": "kept"}))
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    wanted, found = model.state_dict(), loaded.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    # torch.matmul multiplies in another order where a factor requires a gradient, even under no_grad: the last bit of
    # some draws would differ, and not for anything the files lost.
    model.eval().requires_grad_(False)
    for seed in range(30):
        x = torch.rand(3, model.config.num_nodes, model.config.num_channels,
                       generator=torch.Generator().manual_seed(seed))
        assert torch.equal(loaded.reconstruct(x), model.reconstruct(x))
    description = json.loads((tmp_path / "deep" / "folder" / "model.json").read_text())
    assert (description["format"], description["kind"], description["details"]) == (1, model.kind, {"note": "kept"})
    assert description["sagvae_core"] == sagvae_core.__version__


@pytest.mark.parametrize("length", [640, 1152, 0x4B50])
def test_headers_whose_length_looks_like_a_pickle_are_read(length, tmp_path):
    # 640 = 80 02 and 1152 = 80 04 in little endian, 19280 = "PK": a model of 4 nodes has 1152.
    path, name = tmp_path / "model.safetensors", "a"
    while struct.unpack("<Q", (data := save({name: torch.ones(2)}))[:8])[0] < length:
        name += "a"
    assert struct.unpack("<Q", data[:8])[0] == length
    path.write_bytes(data)
    assert read_tensors(path)[name].tolist() == [1, 1]


def test_a_folder_with_the_suffix_of_a_pickle_is_still_a_folder(tmp_path):
    assert load_model(save_model(build_model(KINDS["plain"]), tmp_path / "digits.bin")).config == KINDS["plain"]


def test_saving_needs_no_contiguous_tensor_and_no_cpu(tmp_path):
    write_tensors(tmp_path / "t", {"a": torch.arange(6.0).view(2, 3).T})
    assert read_tensors(tmp_path / "t")["a"].tolist() == [[0, 3], [1, 4], [2, 5]]


# ---------------------------------------------------------------------- pickles

@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".bin", ".CKPT"])
def test_pickles_are_refused_by_their_name(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"")
    message = complaint(path)
    assert message.startswith("The model must be a folder with model.safetensors and model.json, got the pickle")
    assert "save the model again with save_model()" in message


def test_pickles_under_another_name_are_refused_and_never_opened(saved):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(saved / "ran"),)

    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    attacks = [pickle.dumps(Trap(), protocol) for protocol in (2, 3, 4, 5)] + [buffer.getvalue()]
    for attack in attacks:
        (saved / "model.safetensors").write_bytes(attack)
        message = complaint(saved)
        assert message.startswith("model.safetensors must be a safetensors file, got a pickle or archive under that")
        assert "none is read" in message
    assert not (saved / "ran").exists()


# ---------------------------------------------------------------------- broken files

@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named_with_its_folder(saved, name):
    (saved / name).unlink()
    assert complaint(saved) == (f"{name} must be in 'model', got no such file. Restore it, or choose the folder of "
                                "a finished run.")


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe\x00", b"", b'{"format": ' + b"1" * 5000 + b"}", b"[" * 100_000])
def test_broken_json_is_said_without_the_parsers_words_alone(saved, text):
    (saved / "model.json").write_bytes(text)
    message = complaint(saved)
    assert message.startswith("model.json must be valid JSON, got ")
    assert message.endswith("The file is damaged: restore it or train again.")


def test_a_json_of_many_megabytes_is_not_parsed(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "_MAX_JSON", 100)
    assert "model.json must be at most 0 MB" in complaint(saved)


@pytest.mark.parametrize("value", [2, "1", None])
def test_another_format_version_is_refused(saved, value):
    change_description(saved, format=value)
    assert complaint(saved) == (f"model.json format must be 1, got {value!r}. Train again, or update sagvae_core.")


def test_a_description_that_is_no_object_or_names_no_model(saved):
    (saved / "model.json").write_text("[]")
    assert complaint(saved).startswith("model.json format must be 1, got 'list'.")
    (saved / "model.json").write_text('{"format": 1, "kind": "gpt"}')
    assert complaint(saved) == "model kind must be one of 'sagvae', 'mlp_vae', 'dae', 'conv_dae', got 'gpt'."
    (saved / "model.json").write_text('{"format": 1, "kind": 7}')
    assert complaint(saved) == "model kind must be one of 'sagvae', 'mlp_vae', 'dae', 'conv_dae', got 7."
    (saved / "model.json").write_text('{"format": 1, "kind": "sagvae"}')
    assert complaint(saved) == "model.num_nodes is missing."
    with pytest.raises(SagvaeError, match=r"model\.wings is not a setting"):
        model_config_from_dict("dae", {"wings": 2})


@pytest.mark.parametrize("changes", [{"num_nodes": 10**12}, {"hidden": [10**20]}, {"encoder_hidden": 10**30},
                                     {"num_nodes": 5 * 10**9, "node_embedding": 0, "encoder_hidden": 1}])
def test_a_configuration_of_absurd_size_costs_a_sentence_and_no_memory(saved, changes):
    change_description(saved, config=to_dict(KINDS["plain"]) | changes)
    message = complaint(saved)
    assert message.startswith(("sizes in model.json must be those of a model that fits in memory, got far larger ones.",
                               "decoder.expand", "graph_encoder.free in model.safetensors must be of shape"))


def test_a_size_that_fits_in_64_bits_is_refused_by_comparison_before_allocating(saved):
    change_description(saved, config=to_dict(KINDS["plain"]) | {"hidden": [10**9]})
    assert "in model.safetensors must be of shape (1000000000,), got shape (3,)." in complaint(saved)


# ---------------------------------------------------------------------- tensors that do not fit

def test_weights_of_another_shape(saved):
    change_tensors(saved, lambda tensors: tensors.update({"decoder.layers.1.bias": torch.zeros(9)}))
    assert complaint(saved) == ("decoder.layers.1.bias in model.safetensors must be of shape (1,), got shape (9,). "
                                "These weights belong to another configuration: choose the model.json saved with them.")


def test_a_missing_and_an_extra_tensor(saved):
    change_tensors(saved, lambda tensors: tensors.pop("graph_encoder.free"))
    assert "graph_encoder.free in model.safetensors must be of shape (6,), got no such tensor." in complaint(saved)
    change_tensors(saved, lambda tensors: tensors.update({"graph_encoder.free": torch.zeros(6), "zzz": torch.zeros(2)}))
    assert "zzz in model.safetensors must be absent, got shape (2,)." in complaint(saved)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.float16])
def test_weights_of_another_type(saved, dtype):
    change_tensors(saved, lambda tensors: tensors.update({"decoder.layers.1.bias": torch.zeros(1, dtype=dtype)}))
    assert complaint(saved) == ("decoder.layers.1.bias in model.safetensors must be of type torch.float32, got "
                                f"{dtype}. Save the model again with save_model().")


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite(saved, value):
    change_tensors(saved, lambda tensors: tensors["decoder.layers.1.bias"].fill_(1.0))
    tensors = read_tensors(saved / "model.safetensors")
    tensors["decoder.layers.1.bias"].fill_(value)
    write_tensors(saved / "model.safetensors", tensors)
    assert complaint(saved) == ("decoder.layers.1.bias in model.safetensors must be finite, got NaN or infinity. That "
                                "training diverged: train again.")


def test_a_file_cut_anywhere_is_a_sentence(saved):
    path = saved / "model.safetensors"
    data = path.read_bytes()
    for kept, words in ((len(data) - 1, "The file is damaged: restore it."), (1400, "bytes long, got"),
                        (100, "no readable header"), (8, "no readable header"), (5, "a safetensors file, got"),
                        (0, "no readable header")):
        path.write_bytes(data[:kept])
        message = complaint(saved)
        assert message.startswith("model.safetensors must be"), kept
        assert words in message, (kept, message)


def with_header(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> None:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


def test_headers_that_lie(tmp_path):
    path = tmp_path / "x.safetensors"
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    lies = {
        "no readable header": [(b"{}", 10**6), (b"{}", 2**63), (b"{}", 30)],
        "a header that is not JSON": [(b"{", None), (b"{}", 3), (b"\xff\xff", None), (b"", None)],
        "a header that is no object": [(b"[]", None), (b"3", None)],
        "a header without shapes": [(json.dumps({"a": value}).encode(), None) for value in (
            3, [], {}, entry | {"dtype": "X"}, entry | {"dtype": []}, entry | {"shape": None}, entry | {"shape": "ab"},
            entry | {"shape": [10**30]})],
        "bytes long": [(json.dumps({"a": entry | {"shape": [10**12]}}).encode(), None)],
    }
    for words, cases in lies.items():
        for header, length in cases:
            with_header(path, header, bytes(8), length)
            with pytest.raises(SagvaeError, match=r"^x\.safetensors must be") as caught:
                read_tensors(path)
            assert words in str(caught.value), header
    for offsets in ([0, 4], [4, 12], [0, 10**9]):
        with_header(path, json.dumps({"a": entry | {"data_offsets": offsets}}).encode(), bytes(8))
        with pytest.raises(SagvaeError, match="The file is damaged: restore it"):
            read_tensors(path)
    with_header(path, json.dumps({"a": entry, "__metadata__": {"format": "pt"}}).encode(), bytes(8))
    assert read_tensors(path)["a"].tolist() == [0, 0]
    assert list(read_header(path)) == ["a"]


# ---------------------------------------------------------------------- atomic writing

def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    write_json(path, {"state": "old"})

    def full(*_):
        raise OSError(28, "No space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint.os, function, full)
            with pytest.raises(OSError, match="No space left"):
                write_json(path, {"state": "new"})
        assert read_json(path) == {"state": "old"}
        assert [file.name for file in tmp_path.iterdir()] == ["status.json"]
    write_json(path, {"state": "new"})
    assert read_json(path) == {"state": "new"}
    assert path.stat().st_mode & 0o777 == 0o644
