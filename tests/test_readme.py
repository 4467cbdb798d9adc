"""The README keeps its word: its code runs, its commands, targets, files and links exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sagvae_core.cli import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CODE = re.findall(r"```\w*\n(.*?)```", README, re.DOTALL) + re.findall(r"`([^`\n]+)`", README)

# The examples train in earnest; the test wants to know that they run, so the recipes are shortened to two epochs.
SHORTER = """
import sagvae_core as _sag
from sagvae_core.settings import with_epochs as _with_epochs
_full = _sag.run_config
_sag.run_config = lambda *args, **options: _with_epochs(_full(*args, **options), 2)
"""


def test_there_is_an_example():
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(code, tmp_path):
    assert len([line for line in code.splitlines() if line.strip()]) <= 15, "short enough to read"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-c", SHORTER + code], cwd=tmp_path, capture_output=True, text=True,
                          timeout=900, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= code.count("print(")
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


def test_commands_exist():
    found = set()
    for line in "\n".join(CODE).splitlines():
        match = re.match(r"\s*(?:\S*/)?sagvae +([a-z][^#;]*)", line)
        if match is None:
            continue
        command: click.Command = cli
        words = match.group(1).split()
        while words and isinstance(command, click.Group) and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert command is not cli, line
        found.add(command.name)
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known.add("--help")
        assert not {word.split("=")[0].rstrip(",.") for word in words if word.startswith("--")} - known, line
    assert {"train", "runs", "dashboard"} <= found


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for text in CODE for word in re.findall(r"(?:^|\s)make ([a-z]+)", text)}
    assert {"dashboard", "test"} <= named
    assert named <= targets


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)\s]+)", README)
    local = [link.split("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    missing = [link for link in local if not (ROOT / link).exists()]
    assert not missing
    assert not [link for link in local if os.path.isabs(link)]


def test_named_files_and_folders_exist():
    named = [text for text in CODE if re.fullmatch(r"[A-Za-z_]+/[\w./*-]*", text)]
    assert named
    assert not [text for text in named if not [*ROOT.glob(text.rstrip("/")), *ROOT.glob("*/" + text.rstrip("/"))]]
