"""Imports run downwards only: the rooms of the package in order, each free to use those below it and no other."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import networkx
import pytest

ROOT = Path(__file__).parent.parent
GROUND = (
    "cache", "errors", "edits", "formats", "audio", "questions", "group", "seeding", "store", "progress", "plugins",
    "threads", "bounded_http", "openai_client", "letters", "prompts", "usage", "pages", "terminal", "redact",
    "sandbox", "template_budget", "yaml_text", "regular", "json_text", "checksums", "checkpoint_sums", "ownership",
    "plain_numbers",
)  # fmt: skip
# From the bottom. `task` loads the benchmarks of `tasks` by name; `methods` and `registry` stand beside `method`.
ROOMS = (
    GROUND, ("scoring",), ("data",), ("task_index", "tasks", "task"), ("models",), ("runlog", "trackers"), ("rl",),
    ("method",), ("methods", "registry"), ("runs",), ("clips",),
    ("leaderboard", "validation", "doctor", "sharing", "report"), ("compare",), ("view",), ("cli", "lm_eval"),
    ("__main__",),
)  # fmt: skip


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """module -> modules that it imports, also inside functions and for type checking alone."""
    graph = grimp.build_graph("audio_eval", include_external_packages=False)
    found = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # setuptools maps these two folders into the package; an editable install hides them from grimp
    for folder in ("methods", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = ["audio_eval", *path.relative_to(ROOT).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = _imported(path, parts)
    return found


def _imported(path: Path, parts: list[str]) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: -node.level]) + "." if node.level else ""
            names |= {f"{base}{node.module or ''}".rstrip(".")}
    return {name for name in names if name.split(".")[0] == "audio_eval"}


def room(module: str) -> str:
    """The room of a module: the first name below ``audio_eval``; "" for the package itself."""
    return [*module.split("."), ""][1]


def test_every_module_has_a_room(imports: dict[str, set[str]]) -> None:
    known = {name for level in ROOMS for name in level}
    assert {room(module) for module in imports} - {""} == known


def test_imports_run_downwards(imports: dict[str, set[str]]) -> None:
    level = {name: height for height, names in enumerate(ROOMS) for name in names}
    wrong = [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in others
        if room(module) and room(other) and level[room(other)] > level[room(module)]
    ]
    assert not wrong


def test_there_is_no_circle(imports: dict[str, set[str]]) -> None:
    """Between modules, within a room too."""
    graph = networkx.DiGraph((module, other) for module, others in imports.items() for other in others - {module})
    assert [circle for circle in networkx.strongly_connected_components(graph) if len(circle) > 1] == []


def test_every_package_is_in_the_wheel() -> None:
    """setuptools is told the packages by name; an editable install would not miss one."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads pyproject.toml")
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = [(ROOT, ROOT / "audio_eval"), (ROOT, ROOT / "methods"), (ROOT, ROOT / "tasks")]
    found = {".".join(path.parent.relative_to(top).parts) for top, folder in folders for path in folder.rglob("*.py")}
    assert {name if name.startswith("audio_eval") else f"audio_eval.{name}" for name in found} == listed
