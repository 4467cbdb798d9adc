"""Names that nobody should give to anything, and folders of runs and studies that are full of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from sagvae_core.checkpoint import read_json, write_json
from sagvae_core.runs import shipped_folder

NAMES = (
    "<img src=x onerror=window.pwned=1>",
    "<script>window.pwned=1</script>",
    "javascript:window.pwned=1",
    "[a](javascript:window.pwned=1)",
    "![x](http://example.invalid/x.png)",
    "<a href='javascript:window.pwned=1'>x</a>",
    "http://example.invalid/a",
    "see www.example.invalid or mail a@example.invalid",
    "../../etc/passwd",
    "a\x00b\x1b[31mc\x7f\x85d",
    "first\nsecond\r\nthird\tfourth\u2028fifth",
    "\u202egnp.exe\u2066\u200b\ufeff",
    '=HYPERLINK("http://example.invalid","x")',
    "</textarea></title></style><svg onload=window.pwned=1>",
    "{{7*7}} ${7*7} %{x} %{customdata}",
    "$\\href{javascript:window.pwned=1}{x}$ $$x^2$$",
    ":material/home: :red[x] :streamlit: :smile: :help[x]",
    "`a` **b** __c__ ~~d~~ ==e== | f",
    "1234. a -> b -- c <= d",
    "- item",
    "--- @@DATA@@ &lt;b&gt; &#58; &copy;",
    "\"'; window.pwned=1; //",
    "e" + "\u0301" * 200,
    "\ud800 lone \udcff",
    "\ue000\uf8ff",
    "",
    "long " * 2000,
    "w" * 10_000,
)
"""What a name may be where nobody checks it: in a JSON file, a table's header, a form."""

IN_FILES = tuple(name for name in NAMES if not any("\ud800" <= letter <= "\udfff" for letter in name))
"""Those that are read from a file: one of the others makes its run one that cannot be used."""

FOLDERS = (b"<img src=x onerror=window.pwned=1>", b"![x](http:example.invalid)", b"=HYPERLINK(1)", b"a\nb",
           "\u202egnp.exe".encode(), b"\xff\xfe", b".hidden", b"-rf", b"x" * 255)
"""What a folder may be called: anything but "/" and NUL."""


def write_runs(folder: Path, names: Sequence[str] = IN_FILES) -> None:
    """Below ``folder`` runs with the weights of shipped ones and texts of a stranger's, readable and unreadable."""
    for place, name in enumerate(names):
        _copy("digits-identity", folder / f"digits-{place}", name, role=name)
    for place, name in enumerate((names[0], names[4], names[-1])):
        _copy("karate-sagvae", folder / f"karate-{place}", name, role=name)
    for name in FOLDERS:
        os.rename(_copy("digits-identity", folder / "unpacked", "no name of a run"), os.fsencode(folder) + b"/" + name)
    _change(_copy("karate-sagvae", folder / "no-data-set", names[0]) / "config.json", data={"name": names[4]})
    _copy("digits-identity", folder / "no-text", NAMES[23])
    _change(_copy("karate-sagvae", folder / "no-kind", names[0]) / "config.json", kind=names[4])
    for place, broken in enumerate(({"state": names[4]}, {"state": "running", "pid": names[4]},
                                    {"metrics": {names[4]: names[4]}}, {"metrics": {"ssim": 10**400}},
                                    {"seconds": 10**400}, {"device": [names[4]]})):
        _change(_copy("digits-identity", folder / f"no-status-{place}", names[0]) / "status.json", **broken)


def write_studies(folder: Path) -> None:
    """Below ``folder`` records whose tasks, methods, settings, notes and command are a stranger's."""
    folder.mkdir()
    shipped = shipped_folder().parent / "studies"
    for study in ("karate", "suite", "images"):
        record = read_json(shipped / f"{study}.json")
        tasks = list(dict.fromkeys(row["task"] for row in record["rows"]))
        methods = list(dict.fromkeys(row["method"] for row in record["rows"]))
        for row in record["rows"]:
            place = methods.index(row["method"])
            if place % 3:  # some keep theirs, or there would be nothing of ours
                row["method"] = ("candidate: ", "tried: ", "oracle: ", "paper: ", "")[place % 5] + _of(place)
            if tasks.index(row["task"]) % 3 == 1:
                row["task"] += _of(tasks.index(row["task"]))
        record |= {"notes": list(IN_FILES[:16]), "command": NAMES[0], "versions": dict.fromkeys(NAMES[:3], NAMES[4])}
        write_json(folder / f"{study}.json", record)


def _of(place: int) -> str:
    return f"{IN_FILES[place % len(IN_FILES)]} {place}"


def _copy(source: str, folder: Path, name: str, role: str | None = None) -> Path:
    shutil.copytree(shipped_folder() / source, folder)
    usual = read_json(folder / "config.json")
    _change(folder / "config.json", title=name, command=name, role=usual["role"] if role is None else role)
    _change(folder / "status.json", device=name, error=name, metrics=read_json(folder / "status.json")["metrics"]
            | {name: 1.0})
    _change(folder / "model.json", details={name: name, "names": [name]})
    record = {"epoch": 0, "stage": name, name: 1.0, "elbo": name}
    (folder / "metrics.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return folder


def _change(file: Path, **values) -> None:
    found = read_json(file)
    for key, value in values.items():
        found[key] = found[key] | value if isinstance(value, dict) and key == "data" else value
    write_json(file, found)
