"""Evidence: what was measured, the paper's numbers beside ours, and for any method what it found and missed."""

import streamlit as st

from dashboard import (
    evidence,
    evidence_confidence_page,
    evidence_edges,
    evidence_images_page,
    evidence_parts,
    exports,
    figures,
    figures_evidence,
    parts,
    records,
    state,
)
from dashboard import evidence_tables as tables
from dashboard.evidence import BASELINE, CANDIDATE, OURS, REFERENCE, Line, Record
from dashboard.figures_evidence import Curve
from dashboard.graph_picture import Drawn
from dashboard.names import plain
from sagvae_core.errors import SagvaeError

DARK = parts.is_dark()
STUDIES = {"karate": "Karate (Table 1)", "graphs": "Benchmark graphs (Table 2)", "suite": "Suite",
           "labels": "Without labels", "confidence": "Confidence", "images": "Images (Figures 4–9)"}
OWN_VIEWS = {"images": evidence_images_page.show, "confidence": evidence_confidence_page.show}
FILES = {"labels": "suite"}  # the record behind a choice, where it has another name
CUTS = ("own threshold", "top K")


def choose_told(record: Record, task: str | None = None) -> str | None:
    """What the methods were told about the number of edges; None where the study makes no such difference."""
    options = evidence.knowledge(record, task)
    if len(options) < 2:
        return options[0] if options else None
    return parts.one_of("What the methods are told", options, state.TOLD, bind="query-params",
                        format_func=lambda told: plain(told.capitalize()),
                        help="The number of edges, given to all methods or to none. The paper gives it to its own.")


def choose_task(options: list[str], label: str = "Task", first: str | None = None) -> str:
    state.fit_to(state.TASK, options, first)
    start = options.index(first) if first in options and state.TASK not in st.session_state else 0
    return st.selectbox(label, options, start, key=state.TASK, bind="query-params", width=420)


def drawn_tasks(name: str, record: Record) -> list[str]:
    """The tasks of which single edges were kept; none where their file is broken, which is spoken of below."""
    try:
        kept = {task for task, _, _ in records.edges(FILES.get(name, name))}
    except SagvaeError:
        kept = set()
    return [task for task in evidence.tasks(record) if task in kept]


def table(name: str, styled, rows_pick: list[str], task_pick: dict[str, str] | None = None) -> None:
    """A table whose cells can be clicked: the graph below is of the row's method (and of the column's task)."""
    key = f"table_{name}"

    def picked() -> None:
        for row, column in st.session_state[key]["selection"]["cells"]:
            state.put(state.METHOD, rows_pick[row])
            if task_pick and column in task_pick:
                state.put(state.TASK, task_pick[column])

    longest = max(map(len, styled.data[tables.METHOD]), default=0)
    config = {tables.METHOD: st.column_config.TextColumn(pinned=True, width=190 if longest < 28 else 264)}
    for column in styled.columns[1:]:
        explained = next((words for title, words in tables.TITLES.values() if title == column), None)
        config[column] = st.column_config.Column(alignment="right", help=explained,
                                                   width=90 if column == tables.MEAN else None)
    st.dataframe(styled, hide_index=True, key=key, on_select=picked, selection_mode="single-cell", height="content",
                 column_config=config)


def by_task(name: str, record: Record) -> None:
    """Tables 1 and 2: one task in full; for several data sets first all of them at once."""
    options = evidence.tasks(record)
    if name == "graphs":
        told = choose_told(record)
        every = {task: evidence.lines(record, task, told) for task in options}
        styled = tables.beside_paper(every, "f1", DARK)
        table("every", styled, list(styled.data[tables.METHOD]), {task: task for task in options})
        st.caption("F1, mean ± standard deviation over the runs; in brackets the paper's. Click a cell to see that "
                   "task and method below.")
        task = choose_task(options, "Task, in detail", next(iter(drawn_tasks(name, record)), None))
    else:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            task = choose_task(options)
            told = choose_told(record, task)
    rows = evidence.lines(record, task, told)
    table(name, tables.detail(rows, DARK), [line.label for line in rows])
    said = [f"Mean ± standard deviation over the runs of “{plain(task)}”."]
    if everything := next((line.values["all_edges_f1"] for line in rows if "all_edges_f1" in line.values), None):
        said.append(f"Calling every pair an edge would have an F1 of {everything[0]:.3f}.")
    if told and not any(line.paper for line in rows) and any(
            line.paper for other in evidence.knowledge(record, task) for line in evidence.lines(record, task, other)):
        said.append("The paper's methods were told: its numbers stand beside those.")
    if any(line.kind == REFERENCE for line in rows):
        said.append("Grey lines are no competitors: they see the true edges, other graphs' edges or the order of the "
                    "nodes, and show what there is to be found.")
    st.caption(" ".join(said))
    curves_and_graph(name, record, task, rows)
    if name == "karate" and len({line.method for line in rows}) > 1:  # not below an ablation
        evidence_parts.paper_figures(rows)


def choose_size(record: Record) -> str:
    options = evidence.sizes(record)
    state.fit_to(state.SIZE, options)
    return st.selectbox("Size", options, key=state.SIZE, bind="query-params", width=240,
                        format_func=lambda size: size or "as it is") if len(options) > 1 else evidence.ALL_SIZES


def suite(name: str, record: Record) -> None:
    """Many tasks with a known graph; with ``name`` "labels" what choosing without that graph costs."""
    alone = name == "labels"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        size = choose_size(record)
        told = choose_told(record)
        losses = [metric for metric in evidence.metrics(record)
                  if metric.startswith("regret_") and not metric.endswith("_worst")] if alone else []
        if losses:
            lost = parts.one_of("What is lost", losses, "lost",
                                format_func=lambda metric: plain(tables.title(metric).removesuffix(" lost")))
    if losses:
        points = evidence.losses(record, lost, told, size)
        mean = evidence.mean_value(points)
        st.plotly_chart(figures_evidence.dots(points, tables.title(lost), mean, worst=True, dark=DARK), key="losses",
                        config={"displayModeBar": False}, alt="What choosing without labels loses, by task")
        st.caption("SAG-VAE chooses its own kind of graph and threshold by the rows alone. This is what a choice with "
                   "the true graph in sight would have gained; 0 is nothing.")
    elif alone:
        st.info("This record holds no regret: `sagvae study suite` measures it.", icon=":material/science:")
    if alone:
        record = evidence.with_candidates(record)
    kinds = (OURS, CANDIDATE) if alone else (OURS, BASELINE)
    grid = evidence.grid(record, "average_precision", told, size, kinds)
    chosen = {family: task for task in reversed(evidence.tasks(record))
              for family, own in [evidence.family_and_size(task)] if size in (evidence.ALL_SIZES, own)}
    table(name, tables.heat(grid, DARK), grid.labels, chosen)
    st.caption("Average precision, mean over the runs"
               + (" and sizes" if size == evidence.ALL_SIZES and len(evidence.sizes(record)) > 1 else "")
               + "; ● is the best of its column. Click a cell to see its curve and graph below.")
    if not alone:
        points = evidence.gains(record, "average_precision", told, size)
        if points:
            st.subheader("Against the best baseline of each task", anchor=False)
            st.plotly_chart(figures_evidence.dots(points, "AP of SAG-VAE minus AP of the best baseline", dark=DARK),
                            key="gains", config={"displayModeBar": False},
                            alt="Difference to the best baseline, by task")
            st.caption("Right of the line SAG-VAE is ahead. The bars are one standard deviation of the difference.")
    options = [task for task in evidence.tasks(record)
               if size in (evidence.ALL_SIZES, evidence.family_and_size(task)[1])]
    task = choose_task(options, "Task, in detail", next((one for one in drawn_tasks(name, record) if one in options),
                                                        None))
    rows = evidence.lines(record, task, told)
    if tried := [line for line in rows if line.method.startswith("tried: ")]:
        st.caption("AP of changes to SAG-VAE that were tried on this task and not kept: " + ", ".join(
            f"{plain(line.label.removeprefix('Tried: '))} {evidence.text(line.values['average_precision'])}"
            for line in tried) + ".")
    curves_and_graph(name, record, task, [line for line in rows if line.kind in kinds])


def curves_and_graph(name: str, record: Record, task: str, rows: list[Line]) -> None:
    """Precision-recall curves of all methods of a task beside the graph of one."""
    with st.skeleton(height=520):
        kept = evidence_edges.stored(records.edges(FILES.get(name, name)), task, rows)
        if kept:
            truth = next(iter(kept.values())).truth
            places, club = records.layout(truth.tobytes()), records.club(truth.tobytes())
    if not kept:
        near = [f"“{plain(other)}”" for other in drawn_tasks(name, record)
                if other.split(",")[0] == task.split(",")[0]]
        st.caption("No single edges were kept of this task" + (f", but of {', '.join(near)}." if near else "."))
        return
    labels = list(kept)
    state.fit_to(state.METHOD, labels)
    left, right = st.columns(2, gap="large")
    with right:
        beside = exports.heading("Hits, misses, false edges")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            label = st.selectbox("Method", labels, key=state.METHOD, bind="query-params", width=300,
                                 help="Or click its row in the table.")
            cut = parts.one_of("Edges are", CUTS, "cut",
                               help="The pairs above the method's own threshold, or the K best for K true edges.")
        found = kept[label]
        pairs = evidence_edges.chosen_pairs(found, cut == CUTS[1])
        members = club.names if club else [str(node) for node in range(len(places))]
        drawn = Drawn(evidence_edges.as_probabilities(found, pairs), 0.5, places, members, club and club.groups,
                      club and club.group_names, evidence_edges.square(found.truth))
        with beside:
            exports.menu(lambda: evidence_edges.relation_graph(found, pairs, members, {
                "study": name, "task": task, "method": label, "edges": cut}), drawn, f"{task}-{label}-{cut}",
                f"The edges: {cut}")
        figure = figures.network_figure(**vars(drawn), dark=DARK, height=440)
        st.plotly_chart(figure, key="graph", config={"displayModeBar": False},
                        alt=f"True graph, and what {label} found of it")
        rates = evidence_edges.hit_rates(pairs, found.truth)
        shown = figure.layout.meta
        st.caption(f"{rates['hits']:,} found and true, {rates['misses']:,} missed, {rates['false']:,} not true: "
                   f"precision {rates['precision']:.3f}, recall {rates['recall']:.3f}, F1 {rates['f1']:.3f}, in the "
                   f"one run with seed {found.seed}."
                   + (f" The {shown['shown']:,} surest of {shown['total']:,} lines are drawn."
                      if shown["total"] > shown["shown"] else ""))
    with left:
        st.subheader("Precision and recall", anchor=False)
        paper = [(line.label, line.paper["recall"], line.paper["precision"]) for line in rows
                 if {"precision", "recall"} <= set(line.paper)]
        curves = [Curve(line.label, *evidence_edges.precision_recall(kept[line.label]),
                        evidence_edges.operating_point(kept[line.label]), line.kind == OURS,
                        evidence.place_among(record, line), line.kind == REFERENCE)
                  for line in rows if line.label in kept]
        height = 540 if len(curves) < 13 else 660  # the names take what the curves lose
        st.plotly_chart(figures_evidence.precision_recall(curves, paper, label, DARK, height), key="precision_recall",
                        config={"displayModeBar": False}, alt=f"Precision-recall curves of all methods on {task}")
        st.caption(f"One run, seed {found.seed}. A ring is where a method's own threshold lies"
                   + ("; diamonds are the paper's numbers." if paper else "."))


@st.fragment
@parts.guard()
def show(name: str) -> None:
    """One study from its table to its command; every control redraws this part alone."""
    file = FILES.get(name, name)
    with st.skeleton(height=420):
        record = records.record(file)
    if record is None:
        st.info(f"This study is not on this machine yet. Make it with `sagvae study {file}`.",
                icon=":material/science:")
        return
    if not evidence.tasks(record):
        st.info("This record holds no measurement.", icon=":material/science:")
        return
    with parts.guard():  # a broken file of edges takes neither the table above it nor the command below
        if name in OWN_VIEWS:
            OWN_VIEWS[name](record)
        else:
            (suite if file == "suite" else by_task)(name, record)
    evidence_parts.provenance(file, record)


parts.heading("Evidence", "How right are the relations? Every claim with its spread, the paper's number, and the "
              "command that makes it again.")
evidence_parts.headlines()
show(parts.one_of("Study", list(STUDIES), state.STUDY, "karate", format_func=STUDIES.get, bind="query-params",
                  label_visibility="collapsed"))
