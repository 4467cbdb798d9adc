"""Overview: what this is in one screen, the current model at a glance, four doors."""

import streamlit as st

from dashboard import exports, figures, listing, parts, pictures, resources, spoiled
from dashboard.graph_picture import Drawn
from dashboard.names import plain
from sagvae_core.config import PerturbationConfig
from sagvae_core.presets import MODELS

DARK = parts.is_dark()
DOORS = (
    ("views/relations.py", ":material/hub:", "See relations",
     "The learned graph as a heatmap and as a network, with a threshold to move and a known truth to check it by."),
    ("views/your_data.py", ":material/table_chart:", "Bring a table",
     "Which columns belong together, and how sure is each relation? Upload a CSV, or look at a finished example."),
    ("views/robustness.py", ":material/shield:", "Spoil an image",
     "Add noise or cover a block, and watch models with and without a graph repair it side by side."),
    ("views/train.py", ":material/model_training:", "Train your own",
     "Choose data and a model, start, and watch the graph grow. The run survives a refresh."),
)


def relation_panel() -> None:
    """The current model's graph and its held-out numbers."""
    beside = exports.heading("Relations, found")
    info = parts.pick_run(lambda info: info.has_graph)
    if info is None:
        return
    with st.skeleton(height=480):
        posterior = resources.edge_posterior(info.key)
        places = resources.layout(info.key)
    nodes = resources.nodes(info.key)
    drawn = Drawn(posterior, 0.5, places, nodes.names, nodes.groups, nodes.group_names)
    with beside:
        exports.model_menu(info, drawn)
    figure = figures.network_figure(**vars(drawn), dark=DARK, height=380)
    st.plotly_chart(figure, key="overview_network", config={"displayModeBar": False},
                    alt=f"Learned relations of {info.title}")
    shown = [name for name in ("f1", "average_precision", "mse_clean", "ssim") if name in info.metrics][:3]
    for column, name in zip(st.columns(3), shown, strict=False):
        with column:
            parts.metric(name, info.metrics[name])
    st.caption(f"{plain(nodes.title)}: {len(posterior)} features; every line is a relation, probability above ½, that "
               "the model found from the features alone. Numbers are on rows it never saw.")


def repair_panel() -> None:
    """The same noisy pictures through the VAE and through SAG-VAE."""
    infos, _ = listing.run_infos()
    families = [family for family in ("mnist", "digits") if resources.available(family)]
    pairs = ({info.role: info for info in infos if info.shipped and info.family == family and info.has_model}
             for family in families)
    members = next((pair for pair in pairs if {"sagvae", "identity"} <= set(pair)), None)
    if members is None:
        st.info("There is no finished pair of image models here.", icon=":material/image:")
        return
    first = members["sagvae"].key
    config = resources.run_config(first).data.perturbation
    damage = PerturbationConfig("uniform", pixels=config.pixels)
    pair = ("identity", "sagvae")
    shown = spoiled.Shown(count=6)
    with st.skeleton(height=420):
        noisy = spoiled.pictures(first, damage, 0, shown, repair=False)
        answers = [spoiled.pictures(members[role].key, damage, 0, shown) for role in pair]
        means = [spoiled.mean_scores(members[role].key, damage, 0) for role in pair]
        untouched = spoiled.mean_scores(first, damage, 0, repair=False)
    shape = resources.dataset(first).image_shape
    rows = [pictures.Row("Noisy", noisy.images, sublabel=f"{damage.pixels} of {shape[0] * shape[1]} pixels")]
    rows += [pictures.Row(MODELS[role], answer.images, sublabel=f"SSIM {mean['ssim']:.2f}")
             for role, answer, mean in zip(pair, answers, means, strict=True)]
    rows.append(pictures.Row("Original", spoiled.clean(first, shown), sublabel="never trained on"))
    st.html(pictures.comparison_grid(rows, shape, dark=DARK, size=66))
    st.caption(f"{plain(resources.dataset(first).title)}. Both models were trained on noisy images only; neither ever "
               f"saw a clean one. SSIM is the similarity to the original, averaged over {spoiled.BATCH} held-out "
               f"images (the noisy ones have {untouched['ssim']:.2f}).")


parts.heading("Which features belong together?",
              "SAG-VAE learns a representation of your data and one graph over its features, at once. The graph shows "
              "the relations, and it makes the model hard to fool.")
left, right = st.columns([1, 1], gap="large")
with left, parts.guard():
    relation_panel()
with right, parts.guard():
    st.subheader("Images, repaired", anchor=False)
    repair_panel()

for column, (page, icon, title, sentence) in zip(st.columns(4), DOORS, strict=True):
    with column.container(border=True, height="stretch"):
        st.page_link(page, label=f"**{title}**", icon=icon)
        st.caption(sentence)
