"""What a run's archive may hold, and its unpacking: every name, kind and size is checked, nothing of it is trusted.

A zip file says of itself what it holds and how large that is, and both can be lies. So names are compared with a list
of patterns, bytes are counted while they are unpacked, and no read is larger than a chunk.
"""

from __future__ import annotations

import contextlib
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .checkpoint import PICKLES
from .errors import SagvaeError, expected

MANIFEST = "archive.json"
CHECKPOINT = re.compile(r"checkpoints/(?:epoch|step)-[0-9]{1,12}")
SNAPSHOT = re.compile(r"snapshot\.safetensors|snapshots/epoch-[0-9]{1,12}\.safetensors")
_SETTINGS = re.compile(r"(?:archive|config|status)\.json")
_JSON = re.compile(rf"model\.json|{CHECKPOINT.pattern}/state\.json")
_TENSORS = re.compile(rf"model\.safetensors|{SNAPSHOT.pattern}|{CHECKPOINT.pattern}/state\.safetensors")
_FOLDERS = re.compile(rf"snapshots/|checkpoints/|{CHECKPOINT.pattern}/")
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".whl", ".npz"}
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # of the flag bits: classic, strong, and the central directory itself
REMEDY = "Nothing was imported: export the run again with `sagvae runs export`."
_CHUNK = 1 << 20
_LARGEST_READ = 2 << 20  # the central directory is read at once: room for MEMBERS entries, no more
# What zipfile and zlib raise inside a damaged archive; RuntimeError also for what they do not support.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError, RuntimeError)


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to, in bytes and files. The run of a large model stays far below."""

    total: int = 2 << 30
    members: int = 10_000
    settings: int = 1 << 20  # config.json, status.json: two kilobytes in practice
    json: int = 8 << 20
    metrics: int = 64 << 20  # half a kilobyte an epoch

    def of(self, name: str) -> int | None:
        """The largest size of the member ``name``; None for one that a run does not have."""
        if name == "metrics.jsonl":
            return self.metrics
        for pattern, size in ((_SETTINGS, self.settings), (_JSON, self.json), (_TENSORS, self.total)):
            if pattern.fullmatch(name):
                return size
        return None


LIMITS = Limits()


def unpack(source: BinaryIO, folder: Path, limits: Limits = LIMITS) -> list[str]:
    """Unpack the archive ``source`` into the existing, empty ``folder``; returns the names of the files.

    Raises:
        SagvaeError: it is no archive, a damaged one, or one with a member that a run does not have or that is too
            large. What was unpacked until then stays for the caller to remove.
        OSError: ``folder`` cannot be written.
    """
    with _reading("the archive", "a run exported by `sagvae runs export`"):
        archive = zipfile.ZipFile(_Bounded(source))
    with archive:
        members = archive.infolist()
        if len(members) > limits.members:
            raise expected("the archive", f"of at most {limits.members:,} files", f"{len(members):,}", REMEDY)
        files = [member for member in members if _check(member, limits)]
        names = [member.filename for member in files]
        name, count = max(Counter(names).items(), key=lambda item: item[1], default=("", 0))
        if count > 1:
            raise expected("the archive", "one that has every file once", f"{name} {count} times", REMEDY)
        left = limits.total
        for member in files:
            left -= _copy(archive, member, folder / member.filename, limits, left)
    return names


def _check(member: zipfile.ZipInfo, limits: Limits) -> bool:
    """Whether a member is a file to unpack; False for the entry of a folder, an error for everything else."""
    name = member.orig_filename  # as it stands in the file: zipfile cuts `filename` off at a zero byte
    is_folder = _FOLDERS.fullmatch(name) is not None and member.file_size == 0
    if not is_folder and limits.of(name) is None:
        raise _refused(name)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
        raise expected(f"{name} in the archive", "a folder" if is_folder else "an ordinary file",
                       "a link" if kind == stat.S_IFLNK else "a special file", REMEDY)
    if member.flag_bits & _ENCRYPTED:
        raise expected(f"{name} in the archive", "readable without a password", "an encrypted file", REMEDY)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise expected(f"{name} in the archive", "stored or deflated", f"compression {member.compress_type}", REMEDY)
    return not is_folder


def _refused(name: str) -> SagvaeError:
    shown = repr(name if len(name) <= 80 else name[:80] + " ...")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.suffix.lower() in PICKLES:
        return SagvaeError(f"The archive must hold the files of a run, got the pickle {shown}. Pickles can run any "
                           "program when they are opened, so none is read: save the model with save_model() and export "
                           "its run.")
    got = f"{shown}, which a run does not have"
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        got = f"{shown}, a name that could leave the run's folder"
    elif path.suffix.lower() in _ARCHIVES:
        got = f"{shown}, an archive inside the archive"
    return SagvaeError(f"The archive must hold nothing but the files of a run, got {got}. {REMEDY}")


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, limits: Limits, left: int) -> int:
    """Unpack one file, counting its bytes as they come; returns how many they were."""
    name, size = f"{member.filename} in the archive", 0
    allowed = limits.of(member.filename)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _reading(name, "readable"):
        data = archive.open(member)
    with data, path.open("xb") as file:
        while True:
            with _reading(name, "readable"):
                chunk = data.read(_CHUNK)
            if not chunk:
                return size
            size += len(chunk)
            if size > allowed:
                raise expected(name, f"at most {allowed:,} bytes unpacked", "more", REMEDY)
            if size > left:
                raise expected("the archive", f"at most {limits.total:,} bytes unpacked", "more",
                               "Nothing was imported: it would fill the disk.")
            file.write(chunk)


class _Bounded:
    """A file that reads at most ``_LARGEST_READ`` bytes at once: zipfile believes an archive how long its parts are."""

    def __init__(self, file: BinaryIO):
        self.seek, self.tell, self.seekable, self._file = file.seek, file.tell, file.seekable, file

    def read(self, size: int = -1) -> bytes:
        if size > _LARGEST_READ:
            raise zipfile.BadZipFile(f"a part of {size:,} bytes, more than any part has")
        return self._file.read(_LARGEST_READ if size < 0 else size)


@contextlib.contextmanager
def _reading(what: str, wanted: str) -> Iterator[None]:
    """Say what zipfile raises inside a damaged archive in a sentence."""
    try:
        yield
    except _BROKEN as error:
        raise expected(what, wanted, f"damaged data ({error or 'it ends too early'})", REMEDY) from None
