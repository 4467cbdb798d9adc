"""Robustness: spoil held-out images and compare what the models make of exactly the same damage."""

import streamlit as st

from dashboard import parts, pictures, resources, state
from dashboard.resources import RunInfo
from sagvae_core.config import PerturbationConfig
from sagvae_core.data import DATASETS
from sagvae_core.presets import MODELS

DARK = parts.is_dark()
SHOWN = 10
ORDER = {role: place for place, role in enumerate(("identity", "sagvae", "mlp_vae", "dae"))}  # of the rows
VALUES = {"white": 1.0, "black": 0.0, "random": None}


def choose_data(infos: list[RunInfo]) -> str | None:
    """The data set, among those that have trained image models; says what to do where files are missing."""
    names = list(dict.fromkeys(info.dataset for info in infos))
    if not names:
        st.info("There is no trained image model yet. Train one on the Train page.", icon=":material/model_training:")
        return None
    ready = [name for name in names if resources.available(name)]
    if "data" not in st.session_state:
        st.session_state["data"] = ready[0] if ready and names[0] not in ready else names[0]
        if "mnist" in ready:
            st.session_state["data"] = "mnist"
    name = st.segmented_control("Images", names, format_func=lambda name: DATASETS[name].title, key="data",
                                required=True, bind="query-params")
    if name not in ready and not download(name):
        return None
    return name


def download(name: str) -> bool:
    """Offer to fetch missing files; True once they are there."""
    st.warning(f"{DATASETS[name].title} is not on this machine. Set the environment variable SAGVAE_DATA to a folder "
               "that has it, download it now, or choose the small digits, which need no files.",
               icon=":material/download:")
    if not st.button("Download (about 12 MB)" if name == "mnist" else "Download (about 30 MB)"):
        return False
    from sagvae_core.data import load_dataset

    with parts.guard(), st.spinner("Downloading …"):
        load_dataset(name)
        return True
    return False


def choose_damage(image_shape: tuple[int, int], usual: PerturbationConfig) -> PerturbationConfig:
    """Kind and strength of the damage."""
    nodes = image_shape[0] * image_shape[1]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kind = st.segmented_control("Damage", ["uniform", "block"], required=True, default="uniform", key="kind",
                                    format_func={"uniform": "Noise", "block": "Block"}.get, bind="query-params")
        if kind == "uniform":
            pixels = st.slider("Noisy pixels", 0, nodes, usual.pixels, max(1, nodes // 196), key=f"pixels_{nodes}",
                               width=340, help=f"How many of the {nodes} pixels get a random grey value. The models "
                                               f"were trained with {usual.pixels}.")
            return PerturbationConfig("uniform", pixels=pixels)
        side = min(image_shape)
        size = st.slider("Size of the block", 0, side, max(1, side // 4), key=f"size_{nodes}", width=340,
                         help="Pixels along one side.")
        value = st.selectbox("Filled with", list(VALUES), key="fill", bind="query-params", width=130)
        place = st.selectbox("Where", ["random", "centre", "top left", "bottom right"], key="place", width=150,
                             bind="query-params")
    free = (image_shape[0] - size, image_shape[1] - size)
    corner = {"random": None, "centre": (free[0] // 2, free[1] // 2), "top left": (0, 0), "bottom right": free}[place]
    if size == 0:
        return PerturbationConfig()
    return PerturbationConfig("block", size=size, value=VALUES[value], position=corner)


@st.fragment
@parts.guard()
def compare(name: str, members: list[RunInfo]) -> None:
    """The comparison; every control redraws this part alone."""
    lead = members[0]
    shape = DATASETS[name].image_shape
    usual = resources.run_config(lead.key).data.perturbation
    damage = choose_damage(shape, usual if usual.kind == "uniform" else PerturbationConfig("uniform", pixels=200))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        shown = st.pills("Models", [info.name for info in members], selection_mode="multi", default=_usual(members),
                         format_func={info.name: _short(info) for info in members}.get, key=f"models_{name}")
        st.button("Another draw", on_click=state.add, args=(state.DRAW, 1), icon=":material/casino:",
                  help="New damage on the same images.")
        st.button("Other images", on_click=state.add, args=(state.FIRST_IMAGE, SHOWN), icon=":material/shuffle:",
                  help="The next ten held-out images.")
        errors = st.toggle("Show errors", key="errors",
                           help="Where a reconstruction is too dark (blue) or too bright (red).")
    seed, first = state.get(state.DRAW, 0), state.get(state.FIRST_IMAGE, 0)
    answers = []
    with st.skeleton(height=640):  # the first time models and metrics are loaded
        spoiled, nothing = resources.damaged(lead.key, damage, seed, first, SHOWN)
        for info in members:
            if info.name in shown:
                with parts.guard():  # a broken model must not take the others with it
                    answers.append((info, resources.repaired(info.key, damage, seed, first, SHOWN)))
    averages(nothing, answers)
    rows = [pictures.Row("Perturbed", spoiled.damaged[:SHOWN], scores=_scores(nothing), competes=False)]
    for info, answer in answers:
        rows.append(pictures.Row(_short(info), answer.images, scores=_scores(answer)))
        if errors:
            rows.append(pictures.Row("error", answer.images - spoiled.clean[:SHOWN], errors=True))
    rows.append(pictures.Row("Original", spoiled.clean[:SHOWN]))
    st.html(pictures.comparison_grid(rows, shape, dark=DARK, size=96))


def averages(nothing, answers) -> None:
    """Mean scores over the held-out batch, each beside the perturbed input's."""
    columns = st.columns(1 + len(answers))
    for column, (title, answer) in zip(columns, [("Perturbed, as it is", nothing),
                                                 *((_short(info), answer) for info, answer in answers)],
                                       strict=True):
        mean = answer.mean
        gain = mean["psnr"] - nothing.mean["psnr"]
        with column:
            same = answer is nothing
            st.metric(title, f"{mean['psnr']:.1f} dB", "the input" if same else f"{gain:+.1f} dB",
                      delta_color="off" if same or abs(gain) < 0.05 else "normal",
                      delta_arrow="off" if same or abs(gain) < 0.05 else "auto",
                      help=f"PSNR averaged over {resources.BATCH} held-out images, and the difference to the perturbed "
                           "input.")
            st.caption(f"MSE {mean['mse_clean']:.4f} · SSIM {mean['ssim']:.3f}")


def _scores(answer) -> list[dict[str, float]]:
    return [{"MSE": score["mse_clean"], "PSNR": score["psnr"], "SSIM": score["ssim"]} for score in answer.scores]


def _usual(members: list[RunInfo]) -> list[str]:
    """The paper's pair, VAE and SAG-VAE, where both are there."""
    pair = [info.name for info in members if info.shipped and info.role in ("identity", "sagvae")]
    return pair or [members[0].name]


def _short(info: RunInfo) -> str:
    return MODELS.get(info.role, info.role) if info.shipped else f"{MODELS.get(info.role, info.role)} · {info.name}"


parts.heading("Robustness", "Spoil images no model has seen, and compare what each makes of exactly the same damage.")
with parts.guard():
    trained = [info for info in parts.readable_runs() if info.has_model and DATASETS.get(info.dataset) and
               DATASETS[info.dataset].image_shape]
    chosen = choose_data(trained)
    if chosen is not None:
        members = [info for info in trained if info.dataset == chosen]
        compare(chosen, sorted(members, key=lambda info: (not info.shipped, ORDER.get(info.role, 9), info.name)))
