"""Robustness: spoil held-out images and compare what the models make of exactly the same damage."""

from collections.abc import Sequence

import streamlit as st

from dashboard import damage_controls, own_pictures, parts, pictures, resources, spoiled, state, waiting
from dashboard import robustness_parts as below
from dashboard.listing import RunInfo
from dashboard.names import SENTENCE, plain
from dashboard.robustness_parts import Answer
from dashboard.spoiled import Shown
from sagvae_core.data import DATASETS

DARK = parts.is_dark()
ORDER = {role: place for place, role in enumerate(("identity", "sagvae", "mlp_vae", "dae", "conv_dae"))}  # of the rows
FAMILIES = dict.fromkeys(("block", "blocks", "rotated", "stripes"), "block")  # who has learned from such damage
# Pictures side by side and their size in CSS pixels; fewer and larger ones for the back of a room.
USUAL, PRESENTED = (10, 96), (8, 118)
# Not a style sheet alone: Streamlit would keep that beyond the run that asked for it.
HIDE = ("<div></div><style>[data-testid=stHeader],.st-key-lab_frame,.st-key-source,.st-key-lab_models,.st-key-lab_more"
        "{display:none}"
        "[data-testid=stMainBlockContainer]{padding-top:1.2rem!important}</style>")


def download(name: str) -> bool:
    """Offer to fetch missing files; True once they are there."""
    if not st.button("Download (about 12 MB)" if name == "mnist" else "Download (about 30 MB)"):
        return False
    from sagvae_core.data import load_dataset

    with parts.guard(), st.spinner("Downloading …"):
        load_dataset(name)
        return True
    return False


@st.fragment
@parts.guard()
def lab(name: str, members: list[RunInfo]) -> None:
    """The comparison; every control redraws this part alone."""
    lead, shape = members[0], DATASETS[name].image_shape
    present = state.get(state.PRESENT, False)
    count, size = PRESENTED if present else USUAL
    with st.container(horizontal=True, gap="medium"):
        mine = shape == (own_pictures.SIDE, own_pictures.SIDE) and choose_source() == "your own"
        kind = damage_controls.choose_kind()
    shown = choose_own(count) if mine else Shown(state.get(state.FIRST_IMAGE, 0), count)
    if shown is None:
        return
    if present:
        st.html(HIDE)
    usual = resources.run_config(lead.key).data.perturbation
    with st.skeleton(height=640):  # the first time the data are read
        clean = spoiled.clean(lead.key, shown)
    damage = damage_controls.choose_settings(kind, clean[0].reshape(shape), usual)
    chosen, errors = choose_models(name, members, kind, present, mine)
    seed = state.get(state.DRAW, 0)
    tiles = st.container()  # filled after the pictures: these are what a person waits for
    if whole := waiting.draws_the_whole_page():
        tiles = tiles.empty()
    problems, grid = st.container(), st.container()

    def show(answers: Sequence[Answer | RunInfo]) -> list[pictures.Row]:
        nonlocal grid
        if whole:  # nothing stands in their place yet, and what is below would jump
            with tiles.container():
                below.averages(answers, None, None)
        rows = below.rows(answers, clean, scores=not present, errors=errors)
        # An element's place takes its successor. st.empty() would clear the last pictures before there are others.
        grid = grid.html(pictures.comparison_grid(rows, shape, dark=DARK, size=size, large=present))
        return rows

    with problems:
        answers = below.compare(lead, chosen, damage, seed, shown, show)
    rows = show(answers)
    batch = spoiled.batch(answer.key for answer in answers if answer.repaired)
    means = below.means(answers, damage, seed, batch, waiting.give_way)
    with tiles.container():
        below.averages(answers, means, batch)
    with st.container(key="lab_more"):
        below.take_away(name, damage, seed, rows, answers, batch, shape)
        below.sweep(damage, answers, batch, shape)


def choose_source() -> str:
    """Held-out pictures, or a person's own."""
    return parts.one_of("Pictures", ["held-out", "your own"], "source", bind="query-params",
                        help="Draw digits or upload pictures of 28 x 28 pixels.")


def choose_own(count: int) -> Shown | None:
    """A person's own pictures; None, with a word on what to do, while there is none."""
    own = own_pictures.choose()
    if not own:
        st.info("Draw a digit, or upload pictures of 28 x 28 pixels: they are spoiled and repaired like the others.",
                icon=":material/draw:")
        return None
    return Shown(own=own[:count])


def choose_models(name: str, members: list[RunInfo], kind: str, present: bool,
                  mine: bool) -> tuple[list[RunInfo], bool]:
    """The models to compare, whether to show their errors, and the buttons beside."""
    family = next((info.family for info in members if info.shipped and info.family == f"{name}-{FAMILIES.get(kind)}"),
                  name)
    with st.container(key="lab_models"):  # what was picked for masks is not what was picked for noise
        picked = st.pills("Models", [info.name for info in members], selection_mode="multi",
                          default=_usual(members, family), key=f"models_{family}",
                          format_func={info.name: plain(info.short, SENTENCE) for info in members}.get)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button("Another draw", on_click=state.add, args=(state.DRAW, 1), icon=":material/casino:", shortcut="N",
                  help="New damage on the same images.")
        st.button("Other images", on_click=state.add, args=(state.FIRST_IMAGE, USUAL[0]), icon=":material/shuffle:",
                  shortcut="M", help="The next ten held-out images.", disabled=mine)
        # A button keeps the first shortcut it had, so these are two.
        if present:
            st.button("Leave", on_click=state.put, args=(state.PRESENT, False), shortcut="Esc",
                      icon=":material/close_fullscreen:")
        else:
            st.button("Present", on_click=state.put, args=(state.PRESENT, True), shortcut="P",
                      icon=":material/present_to_all:",
                      help="Large pictures and nothing around them. N is another draw, Esc leads back.")
        errors = st.toggle("Show errors", key="errors", bind="query-params",
                           help="Where a reconstruction is too dark (blue) or too bright (red).")
    return [info for info in members if info.name in picked], errors


def _usual(members: list[RunInfo], family: str) -> list[str]:
    """The paper's pair, VAE and SAG-VAE, where both are there."""
    pair = [info.name for info in members if info.shipped and info.family == family
            and info.role in ("identity", "sagvae")]
    return pair or [members[0].name]


with parts.guard():
    with st.container(key="lab_frame"):
        parts.heading("Robustness",
                      "Spoil images no model has seen, and compare what each makes of exactly the same damage.")
        trained = [info for info in parts.readable_runs() if info.has_model and DATASETS.get(info.dataset) and
                   DATASETS[info.dataset].image_shape]
        chosen = parts.choose_data(trained, "Images", "trained image model", "download it now", download)
    if chosen is not None:
        members = [info for info in trained if info.dataset == chosen]
        lab(chosen, sorted(members, key=lambda info: (not info.shipped, not info.usual, ORDER.get(info.role, 9),
                                                      info.name)))
