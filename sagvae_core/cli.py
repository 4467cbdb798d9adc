"""The command line: ``sagvae train | fit | runs | datasets | dashboard``. The same verbs as the browser, the same
folders.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import threading
from pathlib import Path
from typing import Any

import click

from . import __version__
from .cli_fit import fit
from .cli_runs import datasets, runs
from .cli_studies import study
from .cli_train import train
from .devices import is_main_process
from .errors import SagvaeError, expected
from .runs import runs_folder

_LOCAL = ("localhost", "127.0.0.1", "::1")


class _Cli(click.Group):
    """Turns our errors into one sentence and exit code 2: bad input is no reason for a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SagvaeError as error:
            if not is_main_process():  # the first of several says it
                raise SystemExit(2) from None
            raise click.UsageError(str(error)) from None


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sagvae")
def cli() -> None:
    """SAG-VAE: learn a representation of the data and one graph over its features, together.

    \b
    Start here:
      sagvae dashboard                              explore finished models in the browser
      sagvae runs                                   what is there, with held-out metrics
      sagvae train --dataset digits --model sagvae  train one yourself (a minute)
      sagvae fit people.csv                         relations between the columns of your table
    """


@cli.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="localhost", show_default=True, help="0.0.0.0 opens it to the network.")
@click.option("--name", "names", multiple=True, metavar="HOST",
              help="A name or address browsers come by, besides localhost: others are refused. Repeatable.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def dashboard(port: int, host: str, names: tuple[str, ...], no_browser: bool) -> None:
    """Open the dashboard in the browser.

    It is yours alone: it has no login, and answers on this machine only unless told otherwise. See SECURITY.md first.

    \b
    Example, for others in your network:
      sagvae dashboard --host 0.0.0.0 --name studio.example.com
    """
    app = Path(__file__).parents[1] / "dashboard" / "app.py"
    if not app.is_file():
        raise expected("the dashboard", f"at {app}", "no such file", "Install the project from its repository.")
    # Streamlit reads its settings from the folder it starts in; the caller's relative folders must survive that.
    os.environ["SAGVAE_RUNS"] = str(runs_folder().resolve())
    if "SAGVAE_DATA" in os.environ:
        os.environ["SAGVAE_DATA"] = str(Path(os.environ["SAGVAE_DATA"]).resolve())
    if names:
        os.environ["STREAMLIT_SERVER_ALLOWED_HOSTS"] = " ".join(dict.fromkeys([*names, *_LOCAL]))
    elif host not in _LOCAL and "STREAMLIT_SERVER_ALLOWED_HOSTS" not in os.environ:
        click.echo("Browsers that come by another name than localhost are refused: say which with --name.", err=True)
    os.chdir(app.parents[1])
    # The first page needs it, and it takes seconds: load it while the server starts and the browser opens.
    threading.Thread(target=importlib.import_module, args=("torchmetrics.functional.image",), daemon=True).start()
    # The server runs in this process: PyTorch is loaded already, and whoever stops `sagvae dashboard` stops it all.
    serve(["run", str(app), "--server.port", str(port), "--server.address", host,
           "--server.headless", "true" if no_browser else "false"])


def serve(arguments: list[str]) -> None:
    """``python -m streamlit`` with these arguments, in this process."""
    sys.argv = ["streamlit", *arguments]
    runpy.run_module("streamlit", run_name="__main__")


for command in (train, fit, runs, datasets, study):
    cli.add_command(command)


def main() -> None:
    """Entry point of the ``sagvae`` script."""
    cli(prog_name="sagvae")
