"""A run as one file: the same bytes there and back, and a sentence and an untouched folder for every hostile one."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from zip_bombs import forged_zip, zeros

from sagvae_core import archive, archive_members, experiment
from sagvae_core import runs as runs_module
from sagvae_core.archive import archive_name, export_run, import_run
from sagvae_core.archive_members import Limits
from sagvae_core.checkpoint import build_model, read_json, read_tensors, save_model, write_json, write_tensors
from sagvae_core.cli import cli
from sagvae_core.config import DataConfig, ModelConfig, TrainConfig
from sagvae_core.errors import SagvaeError
from sagvae_core.import_folders import remove_abandoned
from sagvae_core.run_lock import try_to_hold
from sagvae_core.runs import Run, RunConfig, list_runs

CONFIG = RunConfig(DataConfig("digits"), ModelConfig(num_nodes=64, hidden=(4,)), TrainConfig(epochs=3), title="Digits")
AGAIN = "Nothing was imported: export the run again with `sagvae runs export`."


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """The receiving folder of runs, with one run in it that must never change; no shipped ones."""
    monkeypatch.setenv("SAGVAE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(runs_module, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    Run.create(tmp_path / "runs", "other", CONFIG)
    return tmp_path / "runs"


def status(run: Run, **changes) -> None:
    write_json(run.folder / "status.json", read_json(run.folder / "status.json") | changes)


@pytest.fixture
def finished(tmp_path) -> Run:
    """A run with everything a finished one has, and more that stays behind."""
    run = Run.create(tmp_path / "there", "one", CONFIG)
    model = build_model(CONFIG.model, seed=3)
    save_model(model, run.folder)
    rows = torch.rand(2, 64, 1)
    write_tensors(run.folder / "snapshot.safetensors", {
        "inputs": rows, "clean": rows.clone(), "reconstruction": rows * 0.5,
        "edge_percent": torch.zeros(64, 64, dtype=torch.uint8)})
    (run.folder / "snapshots").mkdir()
    write_tensors(run.folder / "snapshots" / "epoch-00001.safetensors", {"reconstruction": rows.half()})
    (run.folder / "metrics.jsonl").write_text('{"epoch": 1, "elbo": -3.5}\n{"epoch": 2, "el\n{"epoch": 2, "elbo": 1}\n')
    (run.folder / "log.txt").write_text("a folder of mine")
    (run.folder / "checkpoints" / "epoch-00001").mkdir(parents=True)
    (run.folder / "checkpoints" / "epoch-00001" / "state.json").write_text("{}")
    status(run, state="finished", epoch=3, metrics={"psnr": 20.5})
    return run


@pytest.fixture
def interrupted(tmp_path) -> Run:
    """A run that was training when it was exported."""
    run = Run.create(tmp_path / "there", "half", CONFIG)
    weights = {f"model/{name}": tensor for name, tensor in build_model(CONFIG.model).state_dict().items()}
    for name in ("epoch-00001", "step-000000012"):
        folder = run.folder / "checkpoints" / name
        folder.mkdir(parents=True)
        write_tensors(folder / "state.safetensors", weights | {"optimizer/0/exp_avg": torch.ones(3)})
        write_json(folder / "state.json", {"epoch": 1, "best_elbo": float("-inf")})
    status(run, state="running", pid=os.getpid(), pid_started=None, eta_seconds=9.0)
    return run


def exported(run: Run, **limits) -> io.BytesIO:
    file = io.BytesIO()
    export_run(run, file, Limits(**limits))
    return file


def unchecked(run: Run) -> io.BytesIO:
    """The archive of a damaged run, as a stranger or an earlier version may have written it."""
    file = io.BytesIO()
    archive._write(run, archive._members(run), file, archive_members.LIMITS)
    return file


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden things included."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


def refused(file: io.BytesIO | Path, root: Path, name: str | None = None, **limits) -> str:
    """The sentence an import ends with; whatever it is, nothing may have changed anywhere."""
    before = tree(root.parent)
    with pytest.raises(SagvaeError) as caught:
        import_run(file, root, name, Limits(**limits))
    assert tree(root.parent) == before
    return str(caught.value)


def changed(run: Run, change) -> io.BytesIO:
    """The run's archive after ``change`` of its members, a list of [ZipInfo, bytes]."""
    with zipfile.ZipFile(exported(run)) as source:
        members = [[info, source.read(info)] for info in source.infolist()]
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for info, data in members:
            target.writestr(info, data)
    return file


def replaced(run: Run, name: str, data: bytes | str | None) -> io.BytesIO:
    """The run's archive with other bytes, or none, for one member."""
    def change(members: list) -> None:
        members[:] = [member for member in members if member[0].filename != name]
        if data is not None:
            members.append([zipfile.ZipInfo(name), data])

    return changed(run, change)


# ---------------------------------------------------------------------- there and back

def test_a_finished_run_comes_back_byte_for_byte_without_its_log_and_checkpoints(finished, root):
    run = import_run(exported(finished), root)
    assert (run.name, run.folder, run.status.state) == ("one", root / "one", "finished")
    kept = tree(finished.folder)
    wanted = {name: data for name, data in kept.items() if "checkpoints" not in name and name != "log.txt"}
    found = tree(run.folder)
    assert found.keys() == wanted.keys()
    different = {name for name in wanted if wanted[name] != found[name]}
    assert different <= {"status.json"}, "rewritten for this machine"
    assert (run.config, run.status, run.records) == (finished.config, finished.status, finished.records)
    x = torch.rand(2, 64, 1)
    assert torch.equal(run.load_model().reconstruct(x), finished.load_model().reconstruct(x))
    assert run.folder.stat().st_mode & 0o777 == Run.create(root, "new", CONFIG).folder.stat().st_mode & 0o777


def test_equal_runs_give_equal_bytes_whenever_they_were_written(finished, root):
    first = exported(finished).getvalue()
    for path in finished.folder.rglob("*"):
        os.utime(path, (10**9, 10**9))
    assert exported(finished).getvalue() == first
    copy = import_run(io.BytesIO(first), root)
    assert exported(copy).getvalue() == exported(import_run(exported(copy), root.parent / "third")).getvalue()


def test_a_file_is_written_beside_and_renamed(finished, root, monkeypatch):
    target = root.parent / archive_name(finished)
    export_run(finished, target)
    assert target.name == "one.sagvae.zip"
    assert target.read_bytes() == exported(finished).getvalue()
    assert target.stat().st_mode & 0o777 == 0o644
    before = tree(root.parent)
    with pytest.raises(SagvaeError, match=r"the file to write must be new, got 'one\.sagvae\.zip'\. Choose another"):
        export_run(finished, target)
    with pytest.raises(SagvaeError, match=r"The folder of 'x\.zip' must be writable and have room for it, got No such"):
        export_run(finished, root.parent / "nowhere" / "x.zip")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_append", full)
    with pytest.raises(SagvaeError, match="got No space left on device"):
        export_run(finished, root.parent / "two.zip")
    assert tree(root.parent) == before


def test_a_run_that_trains_goes_on_elsewhere_as_an_interrupted_one(interrupted, root):
    assert interrupted.status.state == "running"
    run = import_run(exported(interrupted), root)
    assert read_json(run.folder / "status.json")["state"] == "interrupted"
    assert (run.status.state, run.status.pid, run.status.pid_started, run.status.eta_seconds) == (
        "interrupted", None, None, None)
    assert tree(run.folder / "checkpoints") == tree(interrupted.folder / "checkpoints")
    assert set(tree(run.folder / "checkpoints")) > {"epoch-00001", "step-000000012/state.json"}
    status(interrupted, state="queued", pid=None)
    assert import_run(exported(interrupted), root).status.state == "interrupted"
    status(interrupted, state="stopped")
    assert import_run(exported(interrupted), root).status.state == "stopped"


def test_a_training_that_moves_ends_with_the_very_same_model(root, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_CHECKPOINT_INTERVAL", 0.0)
    config = RunConfig(DataConfig("digits", train_rows=48), CONFIG.model, TrainConfig(
        epochs=3, batch_size=16, device="cpu"))
    whole, half = (Run.create(tmp_path / "there", name, config) for name in ("whole", "half"))
    experiment.execute(whole)

    def break_off(progress, record) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.execute(half, on_progress=break_off)
    moved = import_run(exported(half), root)
    assert 3 <= moved.read_checkpoint()["step"] <= 5, "in the middle of an epoch or at its end"
    assert experiment.execute(moved).state == "finished"
    wanted, found = whole.load_model().state_dict(), moved.load_model().state_dict()
    assert all(torch.equal(tensor, found[name]) for name, tensor in wanted.items())
    assert set(tree(import_run(exported(moved), tmp_path / "there").folder)) >= {
        "snapshot.safetensors", "snapshots", "model.json", "metrics.jsonl"}, "what is really written passes every check"


def test_what_cannot_be_imported_is_not_exported(finished, interrupted, tmp_path):
    with pytest.raises(SagvaeError, match="the run to export must be of at most 1,000 bytes in all, and "):
        exported(finished, total=1000)
    with pytest.raises(SagvaeError, match=r"of fewer than 3 files, got \d"):
        exported(finished, members=3)
    odd = Run(finished.folder.rename(finished.folder.with_name("an odd name")))
    with pytest.raises(SagvaeError, match="run name must be 1 to 64 letters"):
        exported(odd)
    (interrupted.folder / "config.json").write_text("{")
    with pytest.raises(SagvaeError, match=r"config\.json must be valid JSON"):
        exported(interrupted)


@pytest.mark.parametrize(("name", "keep", "words"), [
    ("model.safetensors", 4000, r"model\.safetensors must be at least \d+ bytes long, got 4000\. The file is cut"),
    ("model.safetensors", None, r"the model of the run must be model\.json and model\.safetensors, got model\.json"),
    ("model.json", 5, r"model\.json must be valid JSON, got text that is none \(.*, line 2, column 2\)"),
    ("snapshot.safetensors", 9, r"snapshot\.safetensors must be a safetensors file"),
    ("snapshots/epoch-00001.safetensors", 9, r"epoch-00001\.safetensors must be a safetensors file"),
    ("status.json", 0, r"status\.json must be valid JSON"),
    ("config.json", None, r"config\.json must be in 'one', got no such file\. Restore it")])
def test_a_damaged_run_is_refused_by_its_export_already(finished, tmp_path, name, keep, words):
    path, target = finished.folder / name, tmp_path / "one.zip"
    if keep is None:
        path.unlink()
    else:
        os.truncate(path, keep)
    before = tree(tmp_path)
    with pytest.raises(SagvaeError, match=words) as caught:
        export_run(finished, target)
    assert "Nothing was imported" not in str(caught.value)
    assert tree(tmp_path) == before
    with pytest.raises(SagvaeError, match=words):
        exported(finished)


def test_a_finished_run_without_its_model_and_a_cut_checkpoint_are_refused_too(finished, interrupted):
    for name in ("model.json", "model.safetensors"):
        (finished.folder / name).unlink()
    with pytest.raises(SagvaeError, match=r"the model of a finished run must be .*, got neither\. Restore it from a "
                                          r"copy, or train the run again\. Nothing was exported\."):
        exported(finished)
    os.truncate(interrupted.folder / "checkpoints" / "step-000000012" / "state.safetensors", 700)
    with pytest.raises(SagvaeError, match=r"state\.safetensors must be .* Nothing was exported\."):
        exported(interrupted)


def test_too_little_room_for_the_check_is_said(finished, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "unpack", full)
    with pytest.raises(SagvaeError, match=r"temporary files must have room .* got No space left on device\. .*TMPDIR"):
        exported(finished)


def test_a_checkpoint_that_its_training_removes_meanwhile_is_said(interrupted, monkeypatch):
    members = archive._members(interrupted)
    monkeypatch.setattr(archive, "_members", lambda _: members | {"model.json": interrupted.folder / "gone"})
    with pytest.raises(SagvaeError, match=r"left alone while it is read, got model\.json removed by its training"):
        exported(interrupted)


# ---------------------------------------------------------------------- names

def test_a_taken_name_is_numbered_unless_it_was_asked_for(finished, root, tmp_path):
    file = exported(finished)
    assert [import_run(file, root).name for _ in range(3)] == ["one", "one-2", "one-3"]
    Run.create(tmp_path / "shipped", "mine", CONFIG)
    for taken in ("one", "other"):
        assert refused(file, root, taken) == (f"run name must be new, got {taken!r}. Choose another name, or delete "
                                              "that run first.")
    assert refused(file, root, "mine") == ("run name must be new, got 'mine'. Choose another name: it is that of a "
                                           "shipped run.")
    assert import_run(file, root, "new").folder == root / "new"
    for name in ("../up", ".hidden", "", "a/b"):
        assert refused(file, root, name).startswith("run name must be 1 to 64 letters")
    long = Run(finished.folder.rename(finished.folder.with_name("x" * 64)))
    assert [import_run(exported(long), root).name for _ in range(2)] == ["x" * 64, "x" * 59]


@pytest.mark.parametrize(("manifest", "words"), [
    (None, "the archive must be a run exported by `sagvae runs export`, with archive.json, got one without."),
    ("[]", "archive.json must be an object with format 1 and a name, got list."),
    ('{"format": 2, "name": "a"}', "archive.json must be an object with format 1 and a name, got 2."),
    ('{"format": 1, "name": 3}', "archive.json must be an object with format 1 and a name, got 1."),
    ('{"format": 1, "name": "../../up"}', "run name must be 1 to 64 letters"),
    ("{", "archive.json must be valid JSON")])
def test_the_name_inside_is_not_trusted(finished, root, manifest, words):
    assert refused(replaced(finished, "archive.json", manifest), root).startswith(words)


def test_a_name_taken_while_the_archive_was_read_is_never_replaced(finished, root, monkeypatch):
    file = exported(finished)
    monkeypatch.setattr(archive, "check_run", lambda folder: Run.create(root, "late", CONFIG))
    with pytest.raises(SagvaeError, match="run name must be new, got 'late'"):
        import_run(file, root, "late")
    assert sorted(path.name for path in root.iterdir()) == ["late", "other"]
    assert not Run(root / "late").has_model


# ---------------------------------------------------------------------- members that no run has

@pytest.mark.parametrize(("name", "words"), [
    ("/etc/passwd", "'/etc/passwd', a name that could leave the run's folder"),
    ("../config.json", "'../config.json', a name that could leave"),
    ("checkpoints/../../x", "a name that could leave"), ("..\\evil.json", "a name that could leave"),
    ("snapshots\\epoch-00001.safetensors", "a name that could leave"), ("C:/x.json", "a name that could leave"),
    ("nested.zip", "'nested.zip', an archive inside the archive"), ("data.TAR.gz", "an archive inside the archive"),
    ("log.txt", "'log.txt', which a run does not have"), ("one/config.json", "which a run does not have"),
    ("Config.json", "which a run does not have"), ("config.json ", "which a run does not have"),
    ("config.json/", "which a run does not have"), ("odd/", "which a run does not have"),
    ("checkpoints/epoch-x/state.json", "which a run does not have"), (".lock", "which a run does not have"),
    ("checkpoints/epoch-٣/state.json", "which a run does not have"), ("snapshots/epoch-1", "which a run does not have"),
    ("x" * 500, f"'{'x' * 80} ...', which a run does not have")])
def test_other_names_are_refused(finished, root, name, words):
    message = refused(replaced(finished, name, b"{}"), root)
    assert message.startswith("The archive must hold nothing but the files of a run, got ")
    assert words in message and message.endswith(AGAIN)


def test_a_name_cut_off_at_a_zero_byte_is_judged_as_a_whole(finished, root):
    file = replaced(finished, "config.jsonx.pkl", b"{}").getvalue().replace(b"config.jsonx.pkl", b"config.json\0.pkl")
    assert "got the pickle 'config.json\\x00.pkl'" in refused(io.BytesIO(file), root)


@pytest.mark.parametrize("name", ["model.pt", "weights.pkl", "checkpoints/epoch-00001/state.bin", "../evil.PTH"])
def test_pickles_are_refused_and_the_reason_is_said(finished, root, name):
    message = refused(replaced(finished, name, b"\x80\x04."), root)
    assert message == (f"The archive must hold the files of a run, got the pickle {name!r}. Pickles can run any "
                       "program when they are opened, so none is read: save the model with save_model() and export its "
                       "run.")


def test_a_saved_pytorch_file_is_a_pickle_too(root, tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.zip")
    assert "got the pickle 'model/data.pkl'" in refused(tmp_path / "model.zip", root)
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.pt")
    assert "got the pickle 'model.pt'. Pickles can run any program" in refused(tmp_path / "model.pt", root)


def test_a_pickle_under_a_good_name_is_refused(finished, root):
    message = refused(replaced(finished, "model.safetensors", pickle.dumps({"a": 1}, 4)), root)
    assert message.startswith("model.safetensors must be a safetensors file, got a pickle or archive under that name.")


@pytest.mark.parametrize(("kind", "got"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a special file"),
                                           (stat.S_IFCHR, "a special file"), (stat.S_IFDIR, "a special file")])
def test_links_and_special_files_are_refused(finished, root, kind, got):
    def change(members: list) -> None:
        members[-1][0].external_attr, members[-1][1] = (kind | 0o777) << 16, b"/etc/passwd"

    message = refused(changed(finished, change), root)
    assert message == (f"snapshots/epoch-00001.safetensors in the archive must be an ordinary file, got {got}. {AGAIN}")


def test_entries_of_the_known_folders_do_no_harm_and_others_do(finished, root):
    assert import_run(replaced(finished, "snapshots/", b""), root).has_model
    file = replaced(finished, "snapshots/", b"")
    with zipfile.ZipFile(file, "a") as target:
        link = zipfile.ZipInfo("checkpoints/")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(link, b"")
    assert "checkpoints/ in the archive must be a folder, got a link." in refused(file, root)
    assert "which a run does not have" in refused(replaced(finished, "checkpoints/", b"/etc"), root)


def test_a_file_that_stands_there_twice_is_refused(finished, root):
    def change(members: list) -> None:
        members.append([zipfile.ZipInfo("config.json"), b"{}"])

    with pytest.warns(UserWarning, match="Duplicate name"):
        file = changed(finished, change)
    assert refused(file, root) == f"the archive must be one that has every file once, got config.json 2 times. {AGAIN}"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused_for_they_unpack_without_bounds(finished, root, method):
    def change(members: list) -> None:
        members[1][0].compress_type = method

    assert refused(changed(finished, change), root) == (
        f"config.json in the archive must be stored or deflated, got compression {method}. {AGAIN}")


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_files_are_refused(finished, root, flag):
    data = bytearray(exported(finished).getvalue())
    place = data.index(b"PK\x01\x02")  # the first entry of the central directory
    data[place + 8:place + 10] = struct.pack("<H", flag)
    assert "archive.json in the archive must be readable without a password, got an encrypted file." in refused(
        io.BytesIO(data), root)


# ---------------------------------------------------------------------- sizes

@pytest.mark.parametrize(("name", "limits", "words"), [
    ("config.json", {"settings": 10**6}, "config.json in the archive must be at most 1,000,000 bytes unpacked, got"),
    ("model.json", {"json": 10**6}, "model.json in the archive must be at most 1,000,000 bytes unpacked, got more"),
    ("metrics.jsonl", {"metrics": 10**6}, "metrics.jsonl in the archive must be at most 1,000,000 bytes unpacked"),
    ("model.safetensors", {"total": 5 << 20}, "model.safetensors in the archive must be at most 5,242,880 bytes")])
def test_three_gigabytes_of_zeros_are_never_unpacked(name, limits, words, root):
    bomb = zeros(3072)
    assert (3 << 30) / len(bomb) > 900
    tracemalloc.start()
    message = refused(io.BytesIO(forged_zip(name.encode(), bomb, 3 << 30)), root, **limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message.startswith(words) and message.endswith(AGAIN)
    assert peak < 30 << 20, "the archive itself has three of these megabytes, twice"


def test_many_files_that_are_small_enough_each_are_too_much_together(finished, root):
    def change(members: list) -> None:
        members += [[zipfile.ZipInfo(f"snapshots/epoch-{number:05d}.safetensors"), bytes(10**5)]
                    for number in range(10, 40)]

    assert refused(changed(finished, change), root, total=2 * 10**6) == (
        "the archive must be at most 2,000,000 bytes unpacked, got more. Nothing was imported: it would fill the disk.")
    assert "the archive must be of at most 20 files, got 38." in refused(changed(finished, change), root, members=20)


def test_a_size_that_lies_is_found_out(root):
    for size in (10, 2 << 20):  # zipfile reads as much as was promised, then compares
        message = refused(io.BytesIO(forged_zip(b"model.safetensors", zeros(3), size)), root)
        assert message.startswith("model.safetensors in the archive must be readable, got damaged data (")


def test_a_table_of_contents_of_a_gigabyte_is_not_read(root):
    file = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 1 << 30, 0, 0)

    class Huge(io.BytesIO):
        """Says that it is larger than it is, and gives nothing of it."""

        def read(self, size=-1):
            assert size < 1 << 30
            return super().read(size)

        def tell(self):
            return super().tell() + (1 << 30)

    assert "damaged data (a part of 1,073,741,824 bytes, more than any part has)" in refused(Huge(file), root)


# ---------------------------------------------------------------------- damage

@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x04.", bytes(10**5)])
def test_no_archive_at_all(data, root, tmp_path):
    (tmp_path / "file.zip").write_bytes(data)
    for file in (io.BytesIO(data), tmp_path / "file.zip"):
        assert refused(file, root).startswith("the archive must be a run exported by `sagvae runs export`, got damaged "
                                              "data (File is not a zip file)")


def test_a_file_that_cannot_be_opened(root, tmp_path):
    assert "the archive must be a file that can be read, got No such file" in refused(tmp_path / "none.zip", root)
    assert "got Is a directory for" in refused(tmp_path, root)


def test_an_archive_cut_anywhere_is_refused(finished, root):
    data = exported(finished).getvalue()
    for length in range(0, len(data), len(data) // 60):
        assert refused(io.BytesIO(data[:length]), root)


@pytest.mark.parametrize(("name", "data", "words"), [
    ("config.json", None, "config.json must be in 'run', got no such file."),
    ("config.json", "{}", "config.json must be an object with kind, data, model and train, got"),
    ("config.json", json.dumps(CONFIG.to_dict() | {"title": "\x1b[2J"}),
     r"title in config.json must be printable text, got '\x1b[2J'."),
    ("status.json", None, "status.json must be in 'run', got no such file."),
    ("status.json", "[]", "status.json must be an object with a known state, got"),
    ("status.json", '{"state": "dancing"}', "status.json must be an object with a known state, got 'dancing'."),
    ("status.json", '{"state": "failed", "error": "\\u001b]0;"}', "error in status.json must be printable text, got"),
    ("status.json", '{"state": "failed", "device": 3}', "device in status.json must be printable text, got 3."),
    ("status.json", '{"state": "finished", "epoch": "x"}', "epoch in status.json must be a number, got 'x'."),
    ("metrics.jsonl", "[1]\n", "line 1 of metrics.jsonl must be the record of an epoch, got b'[1]\\n'."),
    ("metrics.jsonl", '{"epoch": 1}\n{"epoch": 1e999}\n', "line 2 of metrics.jsonl must be the record of an epoch"),
    ("metrics.jsonl", '{"epoch": 1, "elbo": {}}', "line 1 of metrics.jsonl must be the record of an epoch"),
    ("metrics.jsonl", '{"a":' * 10**5, "line 1 of metrics.jsonl must be the record of an epoch"),
    ("metrics.jsonl", '{"' + "a" * 2**20, "line 1 of metrics.jsonl must be the record of an epoch"),
    ("metrics.jsonl", b"\xff\xfe\n", "line 1 of metrics.jsonl must be the record of an epoch"),
    ("model.json", None, "the model of the run must be model.json and model.safetensors, got model.safetensors alone"),
    ("model.safetensors", b"short", "model.safetensors must be a safetensors file, got"),
    ("snapshot.safetensors", b"\0" * 9, "snapshot.safetensors must be a safetensors file, got"),
    ("snapshots/epoch-00001.safetensors", b"", "epoch-00001.safetensors must be a safetensors file, got no readable")])
def test_every_file_of_a_run_is_checked(finished, root, name, data, words):
    assert refused(replaced(finished, name, data), root).startswith(words)


def test_a_model_of_another_configuration_is_refused(finished, root):
    save_model(build_model(ModelConfig(num_nodes=63, hidden=(4,))), finished.folder)
    assert refused(unchecked(finished), root).startswith("model.json must be the model of config.json, got another")


@pytest.mark.parametrize("tensors", [{"inputs": torch.zeros(2, 9, 1)}, {"edge_percent": torch.zeros(9, 9)},
                                     {"edge_percent_pairs": torch.zeros(9)}, {"other": torch.zeros(())}])
def test_a_snapshot_of_another_shape_is_refused(finished, root, tensors):
    name = next(iter(tensors))
    write_tensors(finished.folder / "snapshots" / "epoch-00002.safetensors", tensors)
    assert refused(unchecked(finished), root).startswith(f"{name} in epoch-00002.safetensors must be of shape (")


@pytest.mark.parametrize(("change", "words"), [
    (lambda tensors: tensors.pop("model/decoder.layers.1.bias"), "the weights in step-000000012 must be those of the"),
    (lambda tensors: tensors.update({"model/decoder.layers.1.bias": torch.zeros(9)}), "the weights in step-000000012"),
    (lambda tensors: tensors.update({"best/x": torch.zeros(9)}), "best/x in step-000000012 is nothing that a"),
    (lambda tensors: tensors.update({"x": torch.zeros(9)}), "x in step-000000012 is nothing that a checkpoint has.")])
def test_a_checkpoint_of_another_model_is_refused(interrupted, root, change, words):
    path = interrupted.folder / "checkpoints" / "step-000000012" / "state.safetensors"
    tensors = read_tensors(path)
    change(tensors)
    write_tensors(path, tensors)
    assert refused(unchecked(interrupted), root).startswith(words)


@pytest.mark.parametrize(("name", "data", "words"), [
    ("state.json", "[]", "state.json in epoch-00001 must be an object"), ("state.json", None, "state.json must be in"),
    ("state.safetensors", None, "state.safetensors must be in 'epoch-00001', got no such file.")])
def test_half_a_checkpoint_is_refused(interrupted, root, name, data, words):
    assert refused(replaced(interrupted, f"checkpoints/epoch-00001/{name}", data), root).startswith(words)


def test_a_configuration_of_a_million_layers_is_not_built(interrupted, root):
    values = json.loads((interrupted.folder / "config.json").read_text())
    values["model"]["hidden"] = [1] * 300_000
    assert refused(replaced(interrupted, "config.json", json.dumps(values)), root).startswith(
        "model.hidden must be at most 64 widths of at least 1, got (1, 1,")


# ---------------------------------------------------------------------- the receiving disk

@pytest.mark.parametrize("where", ["unpack", "check_run"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whatever_happens_on_the_way_nothing_is_left_behind(finished, root, monkeypatch, where, error):
    seen = []

    def fail(*args) -> None:
        seen.append(sorted(path.name for path in root.iterdir()))
        assert [run.name for run in list_runs(root)] == ["other"], "half a run is never listed"
        raise error

    file, before = exported(finished), tree(root.parent)
    monkeypatch.setattr(archive, where, fail)
    with pytest.raises((SagvaeError, KeyboardInterrupt)) as caught:
        import_run(file, root)
    assert seen[0][0].startswith(".import-")
    assert tree(root.parent) == before
    if isinstance(error, OSError):
        assert str(caught.value) == ("The folder for runs must be writable and have room, got No space left on device "
                                     f"for {str(root)!r}. Free some space, or set SAGVAE_RUNS to another folder.")


def test_a_failed_rename_leaves_nothing_and_a_full_disk_is_said(finished, root, monkeypatch):
    def fail(*_):
        raise OSError(30, "Read-only file system")

    file = exported(finished)
    monkeypatch.setattr(archive.os, "replace", fail)
    monkeypatch.setattr(archive, "check_run", lambda folder: None)
    assert "must be writable and have room, got Read-only file system" in refused(file, root)


def test_folders_that_were_made_for_a_refused_run_are_removed_and_a_root_that_is_a_file_is_said(finished, tmp_path):
    assert refused(io.BytesIO(b"no"), tmp_path / "a" / "b" / "runs")
    assert not (tmp_path / "a").exists()
    assert import_run(exported(finished), tmp_path / "a" / "b" / "runs").name == "one"
    (tmp_path / "file").write_text("")
    assert "The folder for runs must be writable and have room, got" in refused(exported(finished), tmp_path / "file")


def test_what_a_killed_import_left_behind_goes_with_the_next_one_and_what_another_works_on_stays(finished, root):
    file = exported(finished)
    abandoned, held, young, locked_once = (root / f".import-{name}" for name in ("a", "b", "c", "d"))
    for folder in (abandoned, held, young, locked_once):
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "model.safetensors").write_bytes(bytes(100))
    (root / ".import-file").write_text("somebody's")
    with try_to_hold(locked_once / "lock"):
        pass
    with try_to_hold(held / "lock"):
        for path in (abandoned, held, locked_once, root / ".import-file"):
            os.utime(path, (10**9, 10**9))
        assert import_run(file, root).name == "one"
    assert sorted(path.name for path in root.iterdir()) == [".import-b", ".import-c", ".import-file", "one", "other"]
    os.utime(held, (10**9, 10**9))
    assert call("list").exit_code == 0
    assert not held.exists() and young.exists()


def test_an_import_holds_its_folder_until_it_is_done(finished, root, monkeypatch):
    file = exported(finished)

    def look(folder: Path) -> None:
        os.utime(folder.parent, (10**9, 10**9))
        remove_abandoned(root)
        assert (folder / "config.json").is_file()

    monkeypatch.setattr(archive, "check_run", look)
    assert import_run(file, root).has_model
    assert not list(root.glob(".import-*"))


# ---------------------------------------------------------------------- the command line

def call(*words: str):
    return CliRunner().invoke(cli, ["runs", *words])


def test_the_two_commands(finished, root, tmp_path, monkeypatch):
    monkeypatch.setenv("SAGVAE_RUNS", str(finished.folder.parent))
    result = call("export", "one")
    assert result.stdout.startswith("one.sagvae.zip  0.0 MB. Read it elsewhere with `sagvae runs import`.")
    assert call("export", "one", "--out", "b.zip").exit_code == 0
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "one.sagvae.zip").read_bytes()
    monkeypatch.setenv("SAGVAE_RUNS", str(root))
    assert call("import", "b.zip").stdout == f"{root / 'one'}  finished\n"
    assert call("import", "b.zip", "--name", "two").stdout == f"{root / 'two'}  finished\n"
    status(finished, state="stopped")
    monkeypatch.setenv("SAGVAE_RUNS", str(finished.folder.parent))
    (finished.folder / "checkpoints" / "epoch-00001" / "state.json").unlink()
    assert call("export", "one", "--out", "c.zip").exit_code == 0
    monkeypatch.setenv("SAGVAE_RUNS", str(root))
    assert call("import", "c.zip").stdout == (f"{root / 'one-2'}  stopped. Go on with `sagvae train --resume "
                                              "one-2`.\n")
    for words, sentence in ((("import", "b.zip", "--name", "two"), "run name must be new, got 'two'"),
                            (("import", "none.zip"), "the archive must be a file that can be read"),
                            (("export", "nobody"), "run must be one of"),
                            (("export", "one", "--out", "b.zip"), "the file to write must be new, got 'b.zip'")):
        result = call(*words)
        assert result.exit_code == 2
        assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize(("command", "words"), [("export", "--out FILE"), ("import", "--name")])
def test_the_commands_explain_themselves(command, words):
    result = call(command, "--help")
    assert result.exit_code == 0 and words in result.stdout


def test_the_limits_name_every_member_a_run_has():
    limits = archive_members.LIMITS
    assert (limits.of("config.json"), limits.of("model.json"), limits.of("model.safetensors")) == (
        1 << 20, 8 << 20, 2 << 30)
    assert limits.of("log.txt") is None
