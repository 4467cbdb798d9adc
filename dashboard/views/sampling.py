"""Sampling: draw pictures of a class from clean and from corrupted codes, and walk from one picture to another."""

import streamlit as st

from dashboard import parts, pictures, resources, sampled, sampling_parts, state
from dashboard.listing import RunInfo
from dashboard.names import SENTENCE, plain
from dashboard.sampled import Draw
from sagvae_core.data import DATASETS

DARK = parts.is_dark()
SAMPLERS = {"low rank": "Low-rank Gaussian", "per pixel": "Per-pixel Gaussian (paper)"}
EVERY = "every class"
# A picture's side in CSS pixels, twice its own; draws of every class, or of one.
SIZE, DRAWS, STRIP = 56, 2, 10
LAST_SEED = 2**31 - 1
GRID, PLOT = 772, 430  # widths of the pictures and of what a judge sees in them
SHARES = ("0", "⅛", "¼", "⅜", "½", "⅝", "¾", "⅞", "1")  # of the way


def to_the_download(name: str) -> bool:
    """Where missing files can be fetched; they are not there yet."""
    st.page_link("views/robustness.py", label="To the Robustness page", icon=":material/shield:")
    return False


def seed_controls() -> int:
    """The seed, to type or to count on."""
    seed = st.number_input("Seed", 0, LAST_SEED, 0, key=state.SAMPLE_SEED, bind="query-params", width=130,
                           help="The same seed draws the same samples, for every model.")
    st.button("Draw again", on_click=_next_seed, icon=":material/casino:", shortcut="N",
              help="Other samples of the same classes.")
    return 0 if seed is None else seed


def _next_seed() -> None:
    """Callback: another seed, also after an emptied field and the last one."""
    state.put(state.SAMPLE_SEED, ((st.session_state.get(state.SAMPLE_SEED) or 0) + 1) % (LAST_SEED + 1))


@st.fragment
@parts.guard()
def lab(name: str, members: list[RunInfo]) -> None:
    """Samples of every class, clean above corrupted; every control redraws this part alone."""
    nodes = DATASETS[name].num_nodes
    with st.skeleton(height=520):  # the first time the data are read
        classes = sampled.class_names(members[0].key)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        sampler = parts.one_of(
            "Sampler", list(SAMPLERS), "sampler", format_func=SAMPLERS.get, bind="query-params",
            help="Fitted to the codes of 50 images of each class. Per pixel: every code has its own mean and spread "
                 "(section 4.2 of the paper). Low rank also keeps how codes vary together, so strokes hold.")
        options = [EVERY, *classes.values()]
        state.fit_to("class", options)
        shown = st.selectbox("Show", options, key="class", width=150, bind="query-params",
                             help="Every class in a column, or ten samples of one.") or EVERY
        seed = seed_controls()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        count = st.slider("Corrupted dimensions", 0, nodes, sampling_parts.usual_count(nodes), max(1, nodes // 196),
                          key=f"corrupted_{nodes}", width=340, bind="query-params",
                          help=f"How many of the {nodes} latent dimensions are replaced by uniform noise (Figure 10: "
                               "200 of 784). Of a smaller code the same share is.")
        wide = st.selectbox("Noise", ["from 0 to 1", "over the codes"], key="noise", width=170, bind="query-params",
                            help="From 0 to 1 as for the pixels of the paper, or from a model's lowest to its highest "
                                 "code, which treats models whose codes differ in scale alike.") == "over the codes"
        picked = st.pills("Models", [info.name for info in members], selection_mode="multi", default=_usual(members),
                          key=f"drawn_{name}",
                          format_func={info.name: plain(info.short, SENTENCE) for info in members}.get,
                          help="Models with a latent code. The paper's pair is SAG-VAE and the VAE without a graph.")
    chosen = [info for info in members if info.name in picked]
    if not chosen:
        st.info("Choose a model above to see what it draws.", icon=":material/touch_app:")
        return
    # Not columns: beside each other only where there is room for both.
    beside = st.container(horizontal=True, gap="medium")
    with beside.container(width=GRID), st.skeleton(height=520):
        draw_grid(chosen, classes, shown, Draw(sampler, seed, count, wide))
    with beside.container(width=PLOT):
        sampling_parts.judged(name, [info.role for info in chosen if info.shipped and info.usual], sampler, count)


def draw_grid(chosen: list[RunInfo], classes: dict[int, str], shown: str, draw: Draw) -> None:
    """For each model its samples, and below them the same ones with corrupted codes."""
    rows = []
    for info in chosen:
        with parts.guard():  # a broken model must not take the others with it
            rows += model_rows(info, classes, shown, draw)
    labels = list(classes.values()) if shown == EVERY else [str(number + 1) for number in range(STRIP)]
    st.html(pictures.comparison_grid(rows, DATASETS[chosen[0].dataset].image_shape, dark=DARK, size=SIZE,
                                     column_labels=labels))


def model_rows(info: RunInfo, classes: dict[int, str], shown: str, draw: Draw) -> list[pictures.Row]:
    """One model's samples, each row above the same one with corrupted codes."""
    noisy, latents = sampled.corrupted(info.key, draw)
    kinds = (("as drawn", Draw(draw.sampler, draw.seed)), (f"{noisy} of {latents} corrupted", draw))
    if shown == EVERY:
        drawn = [(words, sampled.pictures(info.key, what, tuple(classes), DRAWS).swapaxes(0, 1))
                 for words, what in kinds]
    else:
        drawn = [(words, sampled.pictures(info.key, what, (_label(classes, shown),), STRIP)) for words, what in kinds]
    rows: list[pictures.Row] = []
    for turn in range(len(drawn[0][1])):
        for words, images in drawn:
            rows.append(pictures.Row("" if rows else info.short, images[turn], words,
                                     spoken=f"{info.short}, {words}"))
    return rows


@st.fragment
@parts.guard()
def walk(name: str, members: list[RunInfo]) -> None:
    """From one held-out picture to another through the codes of each model."""
    st.subheader("From one picture to another", anchor=False)
    lead = members[0]
    classes = sampled.class_names(lead.key)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        first = pick_picture("From", "from", classes, 0)
        second = pick_picture("To", "to", classes, 1)
    ends = [sampled.picture(lead.key, *end) for end in (first, second)]
    rows = []
    for info in members:
        with parts.guard():
            rows.append(pictures.Row(info.short, [ends[0], *sampled.way(info.key, first, second), ends[1]]))
    st.html(pictures.comparison_grid(rows, DATASETS[name].image_shape, dark=DARK, size=SIZE,
                                     column_labels=["from", *SHARES, "to"]))
    st.caption("Outermost: the two held-out pictures. Between them: the straight line between their codes, decoded; "
               "its ends are what the decoder makes of the pictures. With a code for every pixel the way is close to a "
               "cross-fade; one small code for the whole picture bends one shape into the other.")


def pick_picture(label: str, key: str, classes: dict[int, str], place: int) -> tuple[int, int]:
    """A class and the number of a held-out picture in it."""
    names = list(classes.values())
    usual = names[(-3, 2)[place]] if len(names) > 2 else names[-place]
    state.fit_to(f"{key}_class", names, usual)
    name = st.selectbox(label, names, names.index(usual), key=f"{key}_class", width=140, bind="query-params",
                        help="The class of the picture.")
    number = st.number_input(f"Picture ({label.lower()})", 1, 1000, 1, key=f"{key}_number", bind="query-params",
                             width=130, help="Which of the held-out pictures of this class.")
    return _label(classes, usual if name is None else name), (number or 1) - 1


def _label(classes: dict[int, str], name: str) -> int:
    return next(label for label, found in classes.items() if found == name)


@st.fragment
@parts.guard()
def signals(members: list[RunInfo]) -> None:
    """Figure 3 of the paper: no pictures, but positions."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        patterns = list(resources.dataset(members[0].key).class_names[:-1])  # of the last one there is no training row
        pattern = parts.one_of("Pattern", patterns, "pattern", format_func=plain, bind="query-params",
                               help="The positions of the club's members follow one of these patterns; the models were "
                                    "trained on the deviations from each.")
        seed = seed_controls()
    sampling_parts.signals(members, patterns.index(pattern), seed)


def _usual(members: list[RunInfo]) -> list[str]:
    """The paper's pair, SAG-VAE and VAE, where both are there."""
    pair = [info.name for info in members if info.shipped and info.usual and info.role in ("sagvae", "identity")]
    return pair or [members[0].name]


with parts.guard():
    parts.heading("Sampling",
                  "Draw new data from a model, then fill a part of its latent code with noise: what survives?")
    trained = [info for info in parts.readable_runs() if info.has_model and info.dataset in DATASETS
               and sampled.can_sample(info)]
    chosen = parts.choose_data(trained, "Data", "trained model to draw from", "download it on the Robustness page",
                               to_the_download)
    if chosen is not None:
        mine = [info for info in trained if info.dataset == chosen]
        if DATASETS[chosen].image_shape is None:
            signals(sorted(mine, key=lambda info: (not info.shipped, not info.usual)))  # per node first
        else:
            mine.sort(key=lambda info: (not info.shipped, not info.usual))
            lab(chosen, mine)
            walk(chosen, mine)
