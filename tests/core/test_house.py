"""The shape of the house, read off the syntax trees: who may import whom, what stays light, what is public."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sagvae_core

ROOT = Path(__file__).parents[2]
CORE, DASHBOARD = ROOT / "sagvae_core", ROOT / "dashboard"
HEAVY = ("torchvision", "torch_geometric", "accelerate", "sklearn", "skimage", "pandas", "streamlit", "plotly",
         "matplotlib", "huggingface_hub", "pyarrow", "narwhals")

# The arrows of the core: a module may import those of an earlier row (and of its own row, but never in a circle).
LAYERS = (
    ("errors", "config_io", "shares", "progress", "file_text"),
    ("config_data", "tracking", "processes", "graph_xml", "tables"),
    ("config_completion",),
    ("config",),
    ("distributions", "layers", "damage", "masks", "perturbations", "metrics", "denoisers", "schedules", "devices",
     "neighbours", "levels", "bookkeeping"),
    ("encoders", "decoder", "likelihoods", "data", "neighbour_layer"),
    ("completion", "generative"),
    ("regions",),
    ("restoration",),
    ("model",),
    ("reference",),
    ("objective", "checkpoint", "tensor_headers", "trainer_state", "sampling"),
    ("held_out", "config_run", "run_folder", "run_lock", "run_names", "run_records", "run_status", "snapshots",
     "evaluation", "graph_files", "known_graph"),
    ("training", "runs", "hub", "failures", "import_folders", "preflight"),
    ("settings", "presets", "turns", "experiment", "learners", "relation_arrays", "relation_fits", "relation_runs",
     "relation_work", "archive", "archive_checks", "archive_members"),
    ("studies",),
    ("cli", "cli_fit", "cli_fit_words", "cli_runs", "cli_train", "cli_studies"),
    ("__main__",),
)
# The one way up: methods that do nothing but hand over to a later row, which they import when they are called.
DOORS = {("generative", "hub")}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(path: Path, root: Path = ROOT, top_level_only: bool = False) -> set[str]:
    """Absolute names of all modules ``path`` imports; ``from . import x`` counts as the package and as its x."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = list(path.relative_to(root).with_suffix("").parts[:-1])
    nodes = tree.body if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def imports_any(found: set[str], *names: str) -> set[str]:
    return {module for module in found if any(module == name or module.startswith(name + ".") for name in names)}


def core_part(module: str) -> str | None:
    """The file or folder of the core a module belongs to: sagvae_core.data.images -> data."""
    parts = module.split(".")
    if parts[0] != "sagvae_core" or len(parts) == 1:
        return None
    return parts[1] if (CORE / parts[1]).is_dir() or (CORE / f"{parts[1]}.py").is_file() else None


def test_the_import_reader_reads_all_forms(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = tmp_path / "a" / "b" / "c.py"
    path.write_text("import x.y\nfrom z import w\nfrom . import d\nfrom ..e import f\ndef g():\n    import late\n")
    assert imports(path, tmp_path) == {"x.y", "z", "z.w", "a.b", "a.b.d", "a.e", "a.e.f", "late"}
    assert "late" not in imports(path, tmp_path, top_level_only=True)
    assert imports_any({"plotly.io", "plotlyx"}, "plotly") == {"plotly.io"}


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_knows_no_dashboard(path):
    assert not imports_any(imports(path), "streamlit", "plotly", "pyvis", "dashboard")


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_the_arrows_of_the_core_run_one_way(path):
    part = path.relative_to(CORE).with_suffix("").parts[0]
    if part == "__init__":
        return
    assert part in RANK, f"{part} has no row in LAYERS yet: say there what it may import"
    for module in imports(path):
        other = core_part(module)
        if other not in (None, part) and (part, other) not in DOORS:
            assert RANK[other] <= RANK[part], f"{path.name} imports {module}"


@pytest.mark.parametrize(("part", "above"), sorted(DOORS))
def test_a_door_is_opened_only_when_it_is_called(part, above):
    path = CORE / f"{part}.py"
    assert RANK[above] > RANK[part], "else it is no door"
    assert imports_any(imports(path), f"sagvae_core.{above}")
    assert not imports_any(imports(path, top_level_only=True), f"sagvae_core.{above}")


def test_no_two_parts_of_the_core_import_each_other():
    graph: dict[str, set[str]] = {}
    for path in sources(CORE):
        part = path.relative_to(CORE).with_suffix("").parts[0]
        if part != "__init__":
            graph.setdefault(part, set()).update(
                other for module in imports(path)
                if (other := core_part(module)) not in (None, part) and (part, other) not in DOORS)

    def reach(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            for other in graph.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    assert [part for part in graph if part in reach(part)] == []


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_heavy_libraries_are_imported_where_they_are_used(path):
    found = imports_any(imports(path, top_level_only=True), *HEAVY)
    if path.is_relative_to(CORE / "learners"):  # loaded on demand, and its classes are scikit-learn's
        found -= imports_any(found, "sklearn")
    if path == CORE / "hub.py":  # behind a door, and its class is huggingface_hub's
        found -= imports_any(found, "huggingface_hub")
    assert not found


def test_importing_the_package_stays_light():
    code = f"import sys, sagvae_core; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                            env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert result.stdout.strip() == "[]"


def test_the_public_names_exist_and_say_what_they_are():
    assert len(set(sagvae_core.__all__)) == len(sagvae_core.__all__)
    for name in sagvae_core.__all__:
        thing = getattr(sagvae_core, name)
        assert inspect.isclass(thing) or inspect.isfunction(thing), name
        text = inspect.getdoc(thing)
        assert text, name
        assert not text.startswith(f"{name}("), f"{name} has only the docstring that dataclasses make"


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_every_module_and_public_name_of_the_core_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name != "__init__.py" or tree.body:
        assert ast.get_docstring(tree), path.name
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


# ---------------------------------------------------------------------- the dashboard

def dashboard_file(name: str) -> Path:
    path = DASHBOARD / f"{name}.py"
    if not path.is_file():
        pytest.skip(f"dashboard/{name}.py does not exist yet")
    return path


@pytest.mark.parametrize("name", ["figures", "figures_graph", "figures_pixels", "network", "network_page", "edges",
                                  "jobs", "pictures", "palette", "evidence", "evidence_edges", "evidence_headlines",
                                  "evidence_images", "evidence_tables", "figures_evidence", "figures_robustness",
                                  "comparison_files", "drawings", "placing", "graph_picture", "figures_relations",
                                  "relation_nodes", "relation_numbers"])
def test_the_pure_modules_never_import_streamlit(name):
    found = imports(dashboard_file(name))
    assert not imports_any(found, "streamlit", "dashboard.views", "dashboard.state", "dashboard.resources")
    if name != "jobs":
        assert not imports_any(found, "torch"), "figures take numpy arrays"


VIEWS = sources(DASHBOARD / "views") if (DASHBOARD / "views").is_dir() else []


@pytest.mark.skipif(not VIEWS, reason="no views yet")
@pytest.mark.parametrize("path", VIEWS or [None], ids=lambda path: path and path.name)
def test_a_view_has_no_torch_and_imports_no_other_view(path):
    found = imports(path)
    assert not imports_any(found, "torch")
    names = {view.stem for view in VIEWS} - {path.stem, "__init__"}
    other = imports_any(found, "views", "dashboard.views")
    assert not {module for module in other if names & set(module.split("."))}


@pytest.mark.parametrize("folder", ["sagvae_core", "dashboard"])
def test_no_file_has_more_than_300_lines(folder):
    long = {str(path.relative_to(ROOT)): lines for path in sources(ROOT / folder)
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert not long
