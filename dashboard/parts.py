"""Pieces that several pages share: the model picker, the guard for bad input, numbers people can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from dashboard import listing, resources, state
from dashboard.listing import RunInfo
from dashboard.names import SENTENCE, plain
from sagvae_core.data import DATASETS
from sagvae_core.errors import SagvaeError

_PROBLEMS = 3  # damaged runs, each with its sentence: a page is still about the others
METRICS = {
    "mse_clean": ("Error (MSE)", "{:.4f}", "Mean squared difference to the clean rows, on rows never trained on. Lower "
                  "is better."),
    "psnr": ("PSNR", "{:.1f} dB", "Peak signal-to-noise ratio against the clean image. Higher is better."),
    "ssim": ("SSIM", "{:.3f}", "Structural similarity to the clean image, 1 is identical. Higher is better."),
    "precision": ("Precision", "{:.3f}", "Share of the edges found that are true."),
    "recall": ("Recall", "{:.3f}", "Share of the true edges that were found."),
    "f1": ("F1", "{:.3f}", "Harmonic mean of precision and recall at this threshold."),
    "average_precision": ("Average precision", "{:.3f}", "Area under the precision-recall curve: how well the "
                          "probabilities rank the true edges, at every threshold at once."),
}


def is_dark() -> bool:
    """Whether the reader's browser shows the dark theme."""
    return st.context.theme.type == "dark"


@contextmanager
def guard() -> Iterator[None]:
    """Show a :class:`SagvaeError` as its sentence in place; the rest of the page goes on.

    A fragment needs its own, below ``@st.fragment``: its errors never reach the page around it.
    """
    try:
        yield
    except SagvaeError as error:
        complain(error)


def complain(error: object) -> None:
    """An error as a box. Its words may quote a file: they are shown letter by letter."""
    st.error(plain(error, SENTENCE), icon=":material/error:")


def heading(title: str, sentence: str) -> None:
    """The top of a page: what it is, and one sentence on what to do."""
    st.header(title, anchor=False)
    st.caption(sentence)


def metric(name: str, value: float, **options) -> None:
    """One number with its name, format and explanation; ``options`` go to ``st.metric``."""
    label, text, explained = METRICS[name]
    st.metric(label, text.format(value), help=explained, **options)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def time_left(seconds: float | None) -> str:
    """How long a training still takes, which nobody knows before its first steps."""
    return "time left not known yet" if seconds is None else f"{duration(seconds)} left"


def machine(device: str) -> str:
    """What a training ran on, as Markdown; older runs wrote of "1 threads"."""
    return plain(device).replace(" 1 threads", " 1 thread")


def readable_runs() -> list[RunInfo]:
    """All runs without damage, with a warning for each of the others; for many of them one that says how many."""
    infos, problems = listing.run_infos()
    warn_of(problems)
    return infos


def warn_of(problems: Sequence[str]) -> None:
    """A box for each damaged run; for many of them one that says how many."""
    for problem in problems[:_PROBLEMS]:
        st.warning(f"A run cannot be used. {plain(problem, SENTENCE)}", icon=":material/warning:")
    if len(problems) > _PROBLEMS:
        st.warning(f"{len(problems) - _PROBLEMS} more runs cannot be used.", icon=":material/warning:")


def pick_run(wanted: Callable[[RunInfo], bool], label: str = "Model", default: str = "karate-sagvae") -> RunInfo | None:
    """The model picker, shared by the pages that look at one model; None (with a word why) when there is none."""
    infos = readable_runs()
    choices = {info.name: info for info in infos if info.has_model and wanted(info)}
    if not choices:
        st.info("There is no finished model of this kind yet. Train one on the Train page.",
                icon=":material/model_training:")
        return None
    names = list(choices)
    if st.session_state.get(state.RUN, names[0]) not in choices:
        del st.session_state[state.RUN]  # deleted meanwhile, or of no use on this page
    start = names.index(default) if default in choices else 0
    name = st.selectbox(label, names, start, key=state.RUN, format_func=lambda name: choices[name].label,
                        bind="query-params", help="Finished models: the shipped ones first, then yours.")
    return choices[name]


def choose_data(infos: Sequence[RunInfo], label: str, models: str, remedy: str,
                missing: Callable[[str], bool]) -> str | None:
    """The data set, among those of ``infos``; None, with a word on what to do, where there is nothing to show.

    Args:
        models: what is there none of, where there is none, as "trained image model".
        remedy: what else can be done where its files are missing, as "download it now".
        missing: asked to help with a data set whose files are missing; whether it is there now.
    """
    names = list(dict.fromkeys(info.dataset for info in infos))
    if not names:
        st.info(f"There is no {models} yet. Train one on the Train page.", icon=":material/model_training:")
        return None
    ready = [name for name in names if resources.available(name)]
    first = next((name for name in ("mnist", "digits", *ready) if name in ready), names[0])
    name = one_of(label, names, "data", first, format_func=lambda name: DATASETS[name].title, bind="query-params")
    if name in ready:
        return name
    st.warning(f"{DATASETS[name].title} is not on this machine. Set the environment variable SAGVAE_DATA to a folder "
               f"that has it, {remedy}, or choose the small digits, which need no files.", icon=":material/download:")
    return name if missing(name) else None


def one_of(label: str, options: Sequence, key: str, default=None, **settings):
    """One of ``options`` as buttons side by side; ``settings`` go to ``st.segmented_control``.

    Always one: a link without a value ("?kind=") and the browser's way back leave Streamlit's own with None, though one
    is required.
    """
    default = options[0] if default is None else default
    state.fit_to(key, options, default)
    chosen = st.segmented_control(label, options, key=key, default=default, required=True, **settings)
    return default if chosen is None else chosen
