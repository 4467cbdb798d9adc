"""What stands beside the drawn pictures of the Sampling page: what a judge sees in them, and Figure 3 of the paper."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import figures_evidence, figures_robustness, parts, records, resources, sampled
from dashboard.evidence import Record
from dashboard.figures_robustness import Line
from dashboard.listing import RunInfo
from dashboard.names import SENTENCE, one_line, plain
from sagvae_core.data import DATASETS
from sagvae_core.presets import MODELS
from sagvae_core.studies.noisy_sampling import NOTES, OF, PAPER_COUNT, REFERENCE, task_name
from sagvae_core.studies.reading import table

STUDY = "sampling"
_JUDGED = {"": "as they are", "_filtered": "after a median filter"}
SIGNALS = 5  # of each model in Figure 3


def usual_count(nodes: int) -> int:
    """The paper's number of corrupted dimensions, 200 of 784, for pictures of another size."""
    return round(PAPER_COUNT * nodes / OF)


def judged(dataset: str, roles: Sequence[str], sampler: str, corrupted: int) -> None:
    """How many samples the study's classifier gives their class, against corrupted dimensions."""
    record = records.record(STUDY)
    task = task_name(dataset, sampled.SAMPLERS[sampler])
    found = {suffix: _lines(record, task, f"share{suffix}", roles) for suffix in _JUDGED}
    if record is None or not found[""]:
        st.info("Nobody has judged samples of these models yet. `sagvae study sampling` judges those of the shipped "
                "ones, and its record appears here.", icon=":material/fact_check:")
        return
    st.subheader("Do they still show their class?", anchor=False)
    suffix = ""
    if found["_filtered"]:
        suffix = parts.one_of("Judged", list(_JUDGED), "judged", format_func=_JUDGED.get, help="The classifier has "
                              "seen clean pictures alone; a 3 x 3 median takes speckle away before it looks.")
    counts, lines = found[suffix][0][0], [line for _, line in found[suffix]]
    recovered = _lines(record, task, f"classes_recovered{suffix}", roles)
    classes = sum(row["task"] == task and row["method"] == REFERENCE and row["metric"].startswith("share of ")
                  for row in record["rows"])
    usual = usual_count(DATASETS[dataset].num_nodes)
    paper = min(range(len(counts)), key=lambda place: abs(counts[place] - usual))
    st.caption(f"Classes recovered at {counts[paper]} corrupted dimensions, of {classes}:")
    for column, (_, line) in zip(st.columns(len(recovered)), recovered, strict=True):
        value = line.values[paper][1]
        column.metric(line.label, f"{value:.1f}", help="A class is recovered when more of its samples are called that "
                      "class than any other. Mean over the seeds of the study.")
    st.plotly_chart(
        figures_robustness.sweep(counts, lines, "corrupted dimensions", "samples given their class",
                                 min(max(corrupted, counts[0]), counts[-1]), parts.is_dark(), height=300),
        key="judged_chart", config={"displayModeBar": False},
        alt="Share of samples that a classifier gives their class, against corrupted dimensions")
    said = ("The classifier has seen clean pictures alone, so speckle misleads it: see what a median filter leaves of "
            "the difference. ") if found["_filtered"] else ""
    st.caption(f"{said}Mean and standard deviation over {len(record['seeds'])} seeds of `sagvae study sampling`, "
               "shipped models, noise from 0 to 1; the dashed line is the slider.", help=plain(NOTES[0], SENTENCE))


def _lines(record: Record | None, task: str, metric: str, roles: Sequence[str]) -> list[tuple[list[int], Line]]:
    """For each shipped model that the record knows: its counts, and a line from mean - sd over mean to mean + sd."""
    values = {} if record is None else table(record, metric).get(task, {})
    found = []
    for role in roles:
        named = {setting: cell for (method, setting), cell in values.items()
                 if method == MODELS[role] and setting and "noise" not in setting}
        if named:
            points = [[mean - (sd or 0), mean, mean + (sd or 0)] for mean, sd, _ in named.values()]
            counts = [int(setting.split()[0]) for setting in named]
            found.append((counts, Line(MODELS[role], points, role == "sagvae")))
    return sorted(found, key=lambda pair: not pair[1].ours)


def signals(members: Sequence[RunInfo], pattern: int, seed: int) -> None:
    """Figure 3 of the paper: rows drawn from the prior of each karate model, below held-out ones."""
    lead = members[0]
    with st.skeleton(height=600):
        name = resources.dataset(lead.key).class_names[pattern]
        nodes = resources.nodes(lead.key)
        rows = [("held-out rows", sampled.held_out(lead.key, pattern, SIGNALS, seed), nodes.truth.astype(float))]
        for info in members:
            latent = resources.run_config(info.key).model.latent.replace("_", " ")
            rows.append((latent if info.shipped else one_line(info.name, 14),
                         sampled.signals(info.key, pattern, SIGNALS, seed), resources.edge_posterior(info.key)))
    st.plotly_chart(figures_evidence.figure_three(rows, nodes.groups, parts.is_dark()), key="signals",
                    config={"displayModeBar": False}, alt="Positions drawn from each karate model, below held-out ones")
    st.caption("Figure 3 of the paper. Top: rows of the data that no model was trained on, with the true links. Below: "
               "rows that nobody observed, with the links each model has learned; z is drawn from N(0, I), the same "
               f"noise for every model, and what is decoded is a deviation from the mean of {plain(name)}. One colour "
               "for each of the two clubs; every panel has its own scale.")
