"""A run as one file, to move it to another machine: ``NAME.sagvae.zip``.

    archive.json                   format, name of the run, version that wrote it
    config.json, status.json, metrics.jsonl, model.json, model.safetensors, snapshot.safetensors
    snapshots/epoch-N.safetensors
    checkpoints/*/state.json, state.safetensors   of a run that is not finished, so that it can go on elsewhere

The log stays behind: it names folders of the machine it was written on. An archive may come from anybody, so reading
one trusts nothing (:mod:`.archive_members`), and all of it is checked in a hidden folder before the run gets its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from . import __version__
from .archive_checks import check_run
from .archive_members import LIMITS, MANIFEST, REMEDY, Limits, unpack
from .checkpoint import DESCRIPTION, WEIGHTS, read_json, refuse_pickle
from .errors import SagvaeError, expected
from .import_folders import hidden_folder
from .runs import Run, check_name, free_name, is_taken, name_taken

FORMAT = 1
_PLAIN = ("config.json", "status.json", "metrics.jsonl", DESCRIPTION, WEIGHTS, "snapshot.safetensors")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip file knows; any other would make equal runs unequal files
_CHUNK = 1 << 20
_WHOLE = "Restore it from a copy, or train the run again."


def archive_name(run: Run) -> str:
    """The name of a run's archive: ``NAME.sagvae.zip``."""
    return f"{run.name}.sagvae.zip"


# ---------------------------------------------------------------------- writing

def export_run(run: Run, target: Path | BinaryIO, limits: Limits = LIMITS) -> None:
    """Write ``run`` into one file; runs that are equal, names included, give equal bytes.

    What was written is read back and checked as :func:`import_run` does: a copy that nobody can use is worse than none.

    Args:
        run: any run, shipped ones included; of one that trains, as it is at this moment.
        target: the new file, which appears when it is complete and checked; or an empty one opened for reading and
            writing bytes.
        limits: what :func:`import_run` will accept.

    Raises:
        SagvaeError: a file of the run is damaged or missing, the run is too large, or ``target`` exists or cannot be
            written.
    """
    check_name(run.name)
    members = _members(run)
    if not isinstance(target, Path):
        _write(run, members, target, limits)
        _check_written(run, target, limits)
        return
    if target.exists():
        raise expected("the file to write", "new", repr(target.name), "Choose another name, or delete it first.")
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w+b") as file:
                _write(run, members, file, limits)
                _check_written(run, file, limits)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SagvaeError(f"The folder of {target.name!r} must be writable and have room for it, got "
                          f"{error.strerror}. Choose another with --out.") from None


def _members(run: Run) -> dict[str, Path]:
    """The files of a run that go into its archive, in their order."""
    finished, _ = run.status.state == "finished", run.config  # what cannot be read here cannot be imported anywhere
    paths = [run.folder / name for name in _PLAIN] + sorted(run.folder.glob("snapshots/*.safetensors"))
    if not finished:
        paths += sorted(run.folder.glob("checkpoints/*/state.*"))
    names = {path.relative_to(run.folder).as_posix(): path for path in paths if path.is_file()}
    return {name: path for name, path in names.items() if LIMITS.of(name) is not None}


def _write(run: Run, members: dict[str, Path], target: BinaryIO, limits: Limits) -> None:
    manifest = {"format": FORMAT, "name": run.name, "sagvae_core": __version__}
    left = limits.total
    if len(members) >= limits.members:
        raise expected("the run to export", f"of fewer than {limits.members:,} files", f"{len(members):,}")
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(_entry(MANIFEST), json.dumps(manifest, indent=1))
        for name, path in members.items():
            try:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size  # of a file that grows no more than it has now
                    if size > min(left, limits.of(name)):
                        raise expected("the run to export", f"of at most {limits.total:,} bytes in all, and {name} of "
                                       f"at most {limits.of(name):,}", "a larger one", "Copy its folder instead.")
                    left -= size
                    _append(archive, name, file, size)
            except FileNotFoundError:
                raise expected("the run to export", "left alone while it is read", f"{name} removed by its training",
                               "Try again, or stop it first.") from None


def _check_written(run: Run, file: BinaryIO, limits: Limits) -> None:
    """Import the archive into a folder that is thrown away, under the run's name since sentences say it."""
    try:
        with tempfile.TemporaryDirectory(prefix="sagvae-export-") as outside:
            folder = Path(outside, run.name)
            folder.mkdir()
            unpack(file, folder, limits)
            _manifest(folder)
            check_run(folder, _WHOLE)
    except SagvaeError as error:
        raise SagvaeError(f"{error} Nothing was exported.") from None
    except OSError as error:
        raise SagvaeError("The folder for temporary files must have room for a copy of the run, got "
                          f"{error.strerror}. Free some space, or set TMPDIR to another folder.") from None


def _append(archive: zipfile.ZipFile, name: str, file: BinaryIO, size: int) -> None:
    entry = _entry(name)
    entry.file_size = size  # decides whether the entry needs the larger form of a header
    with archive.open(entry, "w") as out:
        while size and (chunk := file.read(min(size, _CHUNK))):
            size -= len(chunk)
            out.write(chunk)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
    return entry


# ---------------------------------------------------------------------- reading

def import_run(source: Path | BinaryIO, root: Path | str, name: str | None = None, limits: Limits = LIMITS) -> Run:
    """Unpack, check and adopt an archived run below ``root``; nothing is left behind where that fails.

    Args:
        source: the archive, or one opened for reading bytes at any place.
        root: the folder of runs; made where it is missing.
        name: of the new run. By default its old one, numbered when that is taken.
        limits: how much may be unpacked.

    Returns:
        The new run. One that was training or waiting when it was exported is interrupted, and can go on here.

    Raises:
        SagvaeError: the archive is damaged or hostile, its run is not complete, ``name`` is none or taken, or
            ``root`` cannot be written.
    """
    root = Path(root)
    if name is not None:
        _check_new(root, check_name(name))
    with _opened(source) as file:
        try:
            with hidden_folder(root) as folder:
                unpack(file, folder, limits)
                old_name = _manifest(folder)
                check_run(folder)
                if name is None:
                    name = old_name if not is_taken(root, old_name) else free_name(root, old_name[:59])  # 64 with -9999
                return Run(_move(folder, root, name))
        except OSError as error:
            raise SagvaeError(f"The folder for runs must be writable and have room, got {error.strerror} for "
                              f"{str(root)!r}. Free some space, or set SAGVAE_RUNS to another folder.") from None


def _check_new(root: Path, name: str) -> None:
    if is_taken(root, name):
        raise name_taken(name)


@contextlib.contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    refuse_pickle(source)
    try:
        file = source.open("rb")
    except OSError as error:
        raise expected("the archive", "a file that can be read", f"{error.strerror} for {str(source)!r}") from None
    with file:
        yield file


def _manifest(folder: Path) -> str:
    """The run's old name. The file that says it is no part of the run and is removed."""
    path = folder / MANIFEST
    if not path.is_file():
        raise expected("the archive", f"a run exported by `sagvae runs export`, with {MANIFEST}", "one without", REMEDY)
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT or not isinstance(values.get("name"), str):
        found = repr(values.get("format")) if isinstance(values, dict) else type(values).__name__
        raise expected(MANIFEST, f"an object with format {FORMAT} and a name", found, "Update sagvae_core, or export "
                       "the run again.")
    path.unlink()
    return check_name(values["name"])


def _move(folder: Path, root: Path, name: str) -> Path:
    """Give the checked folder its name, which nobody else can have got in the meantime."""
    target = root / name
    try:
        target.mkdir()  # ours alone: rename would also replace an empty folder that somebody else has just made
    except FileExistsError:
        _check_new(root, name)
        raise
    try:
        os.replace(folder, target)
    except BaseException:
        target.rmdir()
        raise
    return target
