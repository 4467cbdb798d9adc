"""Graphs of the TU collection through torch_geometric, from hand-made files and from the real ones where they are."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from sagvae_core.data.tu import PAPER_SIZES, load_tu_graphs, noisy_copies, tu_files_present
from sagvae_core.errors import SagvaeError

NODES = [3, 4, 3]
EDGES = [[(0, 1), (1, 2)], [(0, 1), (2, 3), (0, 3)], [(0, 2)]]  # the third has an isolated node


@pytest.fixture
def small_tu(tmp_path, monkeypatch):
    """A SAGVAE_DATA with three graphs under the name ENZYMES: two attributes and a label a node."""
    folder = tmp_path / "TU" / "ENZYMES" / "raw"
    folder.mkdir(parents=True)
    starts = np.cumsum([1, *NODES])
    pairs = [(start + a, start + b) for start, edges in zip(starts, EDGES) for edge in edges
             for a, b in (edge, edge[::-1])]
    lines = {"A": [f"{i}, {j}" for i, j in pairs],
             "graph_indicator": [graph + 1 for graph, count in enumerate(NODES) for _ in range(count)],
             "graph_labels": [1, 2, 1],
             "node_attributes": [f"{node}.5, {node * node}" for node in range(sum(NODES))],
             "node_labels": [1 + node % 2 for node in range(sum(NODES))]}
    for kind, values in lines.items():
        (folder / f"ENZYMES_{kind}.txt").write_text("\n".join(map(str, values)) + "\n")
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path))
    return folder


def test_the_graphs_are_those_of_the_files(small_tu):
    assert tu_files_present("ENZYMES")
    graphs = load_tu_graphs("ENZYMES")
    assert [graph.index for graph in graphs] == [0, 1, 2] and [graph.num_nodes for graph in graphs] == NODES
    for graph, edges in zip(graphs, EDGES, strict=True):
        assert {tuple(map(int, pair)) for pair in np.argwhere(np.triu(graph.adjacency))} == set(edges)
        assert graph.adjacency.dtype == bool and (graph.adjacency == graph.adjacency.T).all()
        assert not graph.adjacency.diagonal().any()
    assert graphs[1].features.dtype == np.float32
    np.testing.assert_allclose(graphs[1].features, [[3.5, 9, 0, 1], [4.5, 16, 1, 0], [5.5, 25, 0, 1], [6.5, 36, 1, 0]])


def test_graphs_of_one_size_keep_their_place_in_the_collection(small_tu):
    assert [graph.index for graph in load_tu_graphs("ENZYMES", 3)] == [0, 2]
    with pytest.raises(SagvaeError, match="num_nodes must be the size of a graph of 'ENZYMES', from 3 to 4, got 18"):
        load_tu_graphs("ENZYMES", 18)


def test_nothing_is_written_beside_the_files(small_tu):
    before = sorted(small_tu.parent.rglob("*"))
    load_tu_graphs("ENZYMES")
    assert sorted(small_tu.parent.rglob("*")) == before


def test_missing_files_are_downloaded_or_else_named(tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.datasets import TUDataset

    def no_network(self):
        raise ConnectionError("no network")

    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(TUDataset, "download", no_network)
    assert not tu_files_present("ENZYMES")
    with pytest.raises(SagvaeError, match="ENZYMES.raw' and could not be downloaded .*no network.* SAGVAE_DATA to a"):
        load_tu_graphs("ENZYMES")


def test_a_download_is_read_at_once(small_tu, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.datasets import TUDataset

    def copy(self):
        for path in small_tu.iterdir():
            (tmp_path / "fresh" / "TU" / "ENZYMES" / "raw" / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr(TUDataset, "download", copy)
    monkeypatch.setenv("SAGVAE_DATA", str(tmp_path / "fresh"))
    assert len(load_tu_graphs("ENZYMES")) == 3 and tu_files_present("ENZYMES")


def test_a_damaged_file_is_said(small_tu):
    (small_tu / "ENZYMES_node_attributes.txt").write_text("one, two\n")
    with pytest.raises(SagvaeError, match="cannot be read .* Delete them to have them downloaded again"):
        load_tu_graphs("ENZYMES")


def test_without_torch_geometric_it_says_how_to_get_it(small_tu, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.datasets", None)
    with pytest.raises(SagvaeError, match="pip install torch_geometric"):
        load_tu_graphs("ENZYMES")


def test_an_unknown_collection_is_said():
    with pytest.raises(SagvaeError, match="one of 'PROTEINS', 'ENZYMES', 'COIL-RAG', got 'MUTAG'"):
        load_tu_graphs("MUTAG")


@pytest.mark.parametrize(("name", "graphs", "channels", "first", "edges"), [
    ("PROTEINS", 5, 4, 249, 110), ("ENZYMES", 18, 21, 53, 31), ("COIL-RAG", 10, 64, 12, 10)])
def test_the_real_files(name, graphs, channels, first, edges):
    if not tu_files_present(name):
        pytest.skip(f"no {name} files: set SAGVAE_DATA to a folder that has TU/{name}/raw")
    found = load_tu_graphs(name, PAPER_SIZES[name])
    assert len(found) == graphs
    assert {graph.features.shape for graph in found} == {(PAPER_SIZES[name], channels)}
    assert (found[0].index, int(found[0].adjacency.sum()) // 2) == (first, edges)


FEATURES = np.array([[1.0, 10, 7, 0], [2, -10, 7, 1], [3, 10, 7, 0], [6, -10, 7, 0], [3, 30, 7, 1]])


def test_undamaged_copies_are_the_standardised_columns():
    copies = noisy_copies(FEATURES, copies=3, drop=0, noise=0)
    assert copies.shape == (3, 5, 4) and copies.dtype == np.float32
    varying = FEATURES[:, [0, 1, 3]]
    wanted = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    np.testing.assert_allclose(copies[1][:, [0, 1, 3]], wanted, rtol=1e-5)
    assert (copies[:, :, 2] == 0).all()  # the same for all nodes


def test_rows_are_dropped_whole_and_noise_has_its_size():
    clean = noisy_copies(FEATURES, copies=1, drop=0, noise=0)[0]
    dropped = noisy_copies(FEATURES, copies=4000, drop=0.25, noise=0, seed=1)
    gone = (dropped == 0).all(axis=2)
    np.testing.assert_allclose(gone.mean(axis=0), 0.25, atol=0.03)
    np.testing.assert_array_equal(dropped, np.where(gone[:, :, None], 0, clean))
    noise = noisy_copies(FEATURES, copies=4000, drop=0, noise=0.3, seed=1) - clean
    np.testing.assert_allclose(noise.std(axis=0)[:, [0, 1, 3]], 0.3, atol=0.02)
    assert (noise[:, :, 2] == 0).all()
    both = noisy_copies(FEATURES, copies=4000, drop=0.25, noise=0.3, seed=1)
    np.testing.assert_allclose(both, dropped + noise, atol=1e-5)


def test_more_copies_of_a_seed_begin_with_the_fewer():
    few, many = noisy_copies(FEATURES, 10, seed=2), noisy_copies(FEATURES, 30, seed=2)
    np.testing.assert_array_equal(many[:10], few)
    assert np.abs(noisy_copies(FEATURES, 10, seed=3) - few).max() > 0.1


@pytest.mark.parametrize(("options", "said"), [
    ({"features": np.ones(4)}, "features must be finite and of shape"),
    ({"features": np.array([[1.0], [np.nan]])}, "features must be finite"),
    ({"copies": 0}, "copies must be at least 1"),
    ({"drop": 1.0}, r"drop must be in \[0, 1\)"),
    ({"noise": float("inf")}, "noise must be at least 0 and finite"),
])
def test_what_cannot_be_copied_is_said(options, said):
    with pytest.raises(SagvaeError, match=said):
        noisy_copies(**{"features": FEATURES} | options)
