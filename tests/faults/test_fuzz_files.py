"""Every file that is read, damaged in every way hypothesis thinks of: a value of the right type, or a sentence.

Never another exception, never a byte written elsewhere, never more memory than a small file can ask for. About 300
files, the same ones each time; with SAGVAE_FAULTS=full more than 10,000, others each time.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from damaged_files import (
    damaged_archives,
    damaged_bytes,
    damaged_json,
    damaged_lines,
    damaged_pictures,
    damaged_tensors,
    headers,
)
from hypothesis import HealthCheck, configuration, given, settings
from hypothesis import strategies as st
from PIL import Image

from dashboard.drawings import CANVAS, decode_pixels, encode_pixels, read_upload
from sagvae_core import runs as runs_module
from sagvae_core.archive import export_run, import_run
from sagvae_core.checkpoint import build_model, read_json, read_tensors, save_model, write_json, write_tensors
from sagvae_core.config import CompletionConfig, DataConfig, ModelConfig, StageConfig, TrainConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.model import SAGVAE
from sagvae_core.runs import Run, RunConfig, Status
from sagvae_core.tensor_headers import read_header, read_shapes

configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "sagvae-hypothesis")  # not into the repository
FULL = os.environ.get("SAGVAE_FAULTS") == "full"
MEMORY = 64 << 20  # bytes of Python's own that reading one of these files of some kilobytes may take
LONGEST = 2000  # letters of a sentence, with the little that it quotes of the file

MODEL = ModelConfig(num_nodes=6, hidden=(3, 2), attention=(0,), edge_weights="signed",
                    completion=CompletionConfig(channels=4, heads=2, layers=1, neighbours=3))
CONFIG = RunConfig(DataConfig("digits", classes=(0, 1)), MODEL, TrainConfig(stages=(StageConfig(2), StageConfig(
    objective="completion"))), title="Digits", command="sagvae train", family="digits")
RECORDS = [{"epoch": epoch, "elbo": -3.5, "stage": 0, "attention_gates": [0.5, 0.25]} for epoch in (1, 2)]


def fuzz(test: Callable) -> Callable:
    """A tenth of the files of this module, or of a full run, for one reader."""
    return settings(max_examples=780 if FULL else 24, derandomize=not FULL, deadline=None, database=None,
                    print_blob=True, suppress_health_check=list(HealthCheck))(test)


class Sandbox:
    """A run that files are put into, and around it a tree that nobody may touch."""

    def __init__(self, folder: Path):
        self.folder, self.runs = folder, folder / "runs"
        self.run = Run.create(self.runs, "one", CONFIG)
        model = build_model(MODEL)
        save_model(model, self.run.folder)
        rows = torch.rand(2, 6, 1)
        write_tensors(self.run.folder / "snapshot.safetensors", {
            "inputs": rows, "clean": rows + 1, "reconstruction": rows * 2,
            "edge_percent": torch.zeros(6, 6, dtype=torch.uint8)})
        (self.run.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, RECORDS)))
        self.state = {"epoch": 1, "step": 2, "batch": 0, "rows": 0, "sums": [0.0, 0.0, 0.0], "best_elbo": float("-inf"),
                      "best_epoch": 0, "param_groups": [{"lr": 0.1, "betas": [0.9, 0.999], "params": [0, 1]}]}
        self.checkpoint = self.run.folder / "checkpoints" / "step-000000002"
        self.checkpoint.mkdir(parents=True)
        write_json(self.checkpoint / "state.json", self.state)
        write_tensors(self.checkpoint / "state.safetensors", {
            "optimizer/0/step": torch.ones(()), "optimizer/1/exp_avg": torch.ones(2)} | {
                f"{part}/{name}": tensor.clone() for part in ("model", "best")
                for name, tensor in model.state_dict().items()})
        (folder / "elsewhere").mkdir()
        (folder / "elsewhere" / "secret.json").write_text("{}")
        self.incoming = folder / "incoming"
        self.incoming.mkdir()
        self.surroundings = self._surroundings()

    def _surroundings(self) -> dict[str, tuple]:
        """All that is not of the run, as it looks from outside."""
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else ()
                for path in self.folder.rglob("*") if not path.is_relative_to(self.run.folder)}

    def holds(self, read: Callable, right: Callable[[object], bool]) -> None:
        """``read()`` gives a value that is ``right``, or a sentence; and that is all it does."""
        tracemalloc.start()
        try:
            value = read()
        except SagvaeError as error:
            message = str(error)
            assert message.endswith(".") and not message.isspace(), message
            assert len(message) < LONGEST, message[:500]
        else:
            assert right(value), repr(value)[:500]
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MEMORY
        assert self._surroundings() == self.surroundings

    def holds_with(self, name: str, data: bytes, read: Callable, right: Callable[[object], bool]) -> None:
        """:meth:`holds` with other bytes in one of the run's files."""
        path = self.run.folder / name
        valid = path.read_bytes()
        path.write_bytes(data)
        try:
            self.holds(read, right)
        finally:
            path.write_bytes(valid)


@pytest.fixture(scope="module")
def box(tmp_path_factory) -> Sandbox:
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(runs_module, "shipped_folder", lambda: folder / "shipped")
        box = Sandbox(folder)
        # What is imported at the first use would count as the memory of the first file.
        _ = box.run.load_model(), box.run.snapshot(), box.run.status
        yield box


def is_list_of_records(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(record, dict) and "epoch" in record for record in value)


def are_tensors(value: object) -> bool:
    return value is None or (isinstance(value, dict) and all(map(torch.is_tensor, value.values())))


# ---------------------------------------------------------------------- JSON

@fuzz
@given(data=damaged_json(CONFIG.to_dict()))
def test_config_json(box, data):
    box.holds_with("config.json", data, lambda: box.run.config, lambda value: isinstance(value, RunConfig))


@fuzz
@given(data=damaged_json(*(vars(Status(**values)) for values in (
    {"state": "running", "pid": 1, "pid_started": 3.5}, {"state": "finished", "metrics": {"psnr": 20.5}},
    {"state": "queued", "pid": 10**6, "error": "why"}))))
def test_status_json(box, data):
    box.holds_with("status.json", data, lambda: box.run.status, lambda value: isinstance(value, Status))


@fuzz
@given(data=damaged_lines(RECORDS))
def test_metrics_jsonl(box, data):
    box.holds_with("metrics.jsonl", data, lambda: box.run.records, is_list_of_records)


DESCRIPTION = {"format": 1, "sagvae_core": "0.1.0", "kind": "sagvae", "config": CONFIG.to_dict()["model"],
               "details": {}}


@fuzz
@given(data=damaged_json(DESCRIPTION))
def test_model_json(box, data):
    box.holds_with("model.json", data, box.run.load_model, lambda value: isinstance(value, SAGVAE))


# ---------------------------------------------------------------------- tensors; the valid ones come with the fixture

@fuzz
@given(data=st.data())
def test_model_safetensors(box, data):
    valid = (box.run.folder / "model.safetensors").read_bytes()
    box.holds_with("model.safetensors", data.draw(damaged_tensors(valid)), box.run.load_model,
                   lambda value: isinstance(value, SAGVAE))


@fuzz
@given(data=st.data())
def test_snapshot_safetensors(box, data):
    valid = (box.run.folder / "snapshot.safetensors").read_bytes()
    box.holds_with("snapshot.safetensors", data.draw(damaged_tensors(valid)), box.run.snapshot, are_tensors)


@fuzz
@given(data=headers())
def test_headers(box, data):
    path = box.run.folder / "snapshot.safetensors"
    for read in (read_header, read_shapes, read_tensors):
        box.holds_with(path.name, data, lambda read=read: read(path), lambda value: isinstance(value, dict))


# ---------------------------------------------------------------------- checkpoints

def is_state(value: object) -> bool:
    return value is None or (isinstance(value, dict) and are_tensors(value["model"]))


@fuzz
@given(data=st.data())
def test_checkpoint_json(box, data):
    box.holds_with("checkpoints/step-000000002/state.json", data.draw(damaged_json(box.state)), box.run.read_checkpoint,
                   is_state)


@fuzz
@given(data=st.data())
def test_checkpoint_safetensors(box, data):
    valid = (box.checkpoint / "state.safetensors").read_bytes()
    box.holds_with("checkpoints/step-000000002/state.safetensors", data.draw(damaged_tensors(valid)),
                   box.run.read_checkpoint, is_state)


# ---------------------------------------------------------------------- archives

def import_and_remove(box: Sandbox, data: bytes) -> Run:
    """Import an archive; what it leaves may be one whole run and nothing else, or nothing at all."""
    try:
        run = import_run(io.BytesIO(data), box.incoming)
        assert [path.name for path in box.incoming.iterdir()] == [run.name]
        assert run.status.pid is None and isinstance(run.config, RunConfig) and is_list_of_records(run.records)
        return run
    finally:
        left = list(box.incoming.iterdir())
        assert not any(path.name.startswith(".") for path in left)
        for path in left:
            shutil.rmtree(path)
        os.utime(box.incoming)


@fuzz
@given(data=st.data())
def test_archives_of_other_bytes(box, data):
    file = io.BytesIO()
    export_run(box.run, file)
    changed = data.draw(damaged_bytes([file.getvalue()]))
    box.holds(lambda: import_and_remove(box, changed), lambda value: isinstance(value, Run))


@fuzz
@given(data=st.data())
def test_archives_of_other_members(box, data):
    file = io.BytesIO()
    export_run(box.run, file)
    with zipfile.ZipFile(file) as source:
        members = {name: source.read(name) for name in source.namelist()}
    changed = data.draw(damaged_archives(members))
    box.holds(lambda: import_and_remove(box, changed), lambda value: isinstance(value, Run))


# ---------------------------------------------------------------------- a person's own pictures

def pictures() -> list[bytes]:
    """A digit as PNG of every kind, and as JPEG."""
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28)).astype(np.uint8))
    files = []
    for mode, kind in (("L", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGBA", "PNG"), ("1", "PNG"), ("I;16", "PNG"),
                       ("L", "JPEG"), ("RGB", "JPEG")):
        file = io.BytesIO()
        grey.convert(mode).save(file, kind)
        files.append(file.getvalue())
    return files


@fuzz
@given(data=damaged_pictures(pictures()), invert=st.booleans())
def test_uploaded_pictures(box, data, invert):
    box.holds(lambda: read_upload(data, invert),
              lambda value: value.shape == (28, 28) and 0 <= value.min() <= value.max() <= 1)


@fuzz
@given(text=damaged_bytes([encode_pixels(np.eye(CANVAS)).encode()]).map(lambda data: data.decode("latin-1"))
       | st.sampled_from([None, 3, [], {}, b"AAAA"]))
def test_drawings(box, text):
    box.holds(lambda: decode_pixels(text), lambda value: value.shape == (CANVAS, CANVAS))


# ---------------------------------------------------------------------- memory, with the operating system as the judge

def test_nothing_that_a_file_only_claims_is_allocated(box, tmp_path):
    """In a process that may take 512 MiB more: each file here claims, or unpacks to, at least a gigabyte."""
    script = Path(__file__).with_name("little_memory.py")
    run = shutil.copytree(box.run.folder, tmp_path / "run")
    result = subprocess.run([sys.executable, str(script), str(run)], capture_output=True, text=True,
                            env=os.environ | {"PYTHONPATH": f"{script.parents[2]}{os.pathsep}{script.parents[1]}"})
    assert result.returncode == 0, result.stderr[-3000:]
    answers = json.loads(result.stdout)
    assert answers.pop("a gigabyte after all") == "out of memory", "the limit does not bind, so it proves nothing"
    assert len(answers) > 10
    assert {name: answer for name, answer in answers.items() if answer != "a sentence"} == {}


def test_the_valid_files_are_read(box):
    """Else the tests above would see nothing but the first check of each reader."""
    run = box.run
    assert run.config == CONFIG and run.status.state == "queued" and len(run.records) == 2
    assert isinstance(run.load_model(), SAGVAE) and len(run.snapshot()) == 4
    assert run.read_checkpoint()["step"] == read_json(box.checkpoint / "state.json")["step"] == 2
    assert all(read_upload(data).shape == (28, 28) for data in pictures())
