"""How much of the fault suite runs: a small form in CI, all of it with ``make faults`` (SAGVAE_FAULTS=full)."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def in_full() -> bool:
    return os.environ.get("SAGVAE_FAULTS") == "full"
