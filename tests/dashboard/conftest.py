"""The app without a browser: every test gets its own, empty folder of runs beside the shipped ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "dashboard" / "app.py"


@pytest.fixture(autouse=True)
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's runs of this test go."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("SAGVAE_RUNS", str(folder))
    return folder


@pytest.fixture
def cold_caches():
    """No cached data or model before and after: for tests that change what lies behind a cache's key."""
    import streamlit as st

    def clear() -> None:
        st.cache_data.clear()
        st.cache_resource.clear()

    clear()
    yield
    clear()


@pytest.fixture
def open_page() -> Callable:
    """``open_page("relations", run="digits-sagvae")``: the app on that page, with this query in its address.

    ``state`` is what earlier pages have left in the session.
    """
    from streamlit.testing.v1 import AppTest

    def opened(name: str, state: dict | None = None, **query: str):
        # Generous: the first run imports PyTorch, maybe beside a training.
        app = AppTest.from_file(str(APP), default_timeout=120)
        app.query_params.update({key: _shown(key, value) for key, value in query.items()})
        for key, value in (state or {}).items():
            app.session_state[key] = value
        return (app if name == "overview" else app.switch_page(f"views/{name}.py")).run()

    return opened


def _shown(key: str, value: str) -> str:
    """An address holds what the picker shows, not the name behind it."""
    from dashboard import listing
    from sagvae_core.data import DATASETS

    if key == "run":
        return {info.name: info.label for info in listing.run_infos()[0]}.get(value, value)
    return DATASETS[value].title if key == "data" and value else value


@pytest.fixture
def copy_run(runs_folder: Path) -> Callable[..., Path]:
    """``copy_run("digits-sagvae", "mine")``: a shipped run as one of the user's, to be spoiled."""
    from sagvae_core.runs import shipped_folder

    def copied(source: str, name: str) -> Path:
        return Path(shutil.copytree(shipped_folder() / source, runs_folder / name))

    return copied
