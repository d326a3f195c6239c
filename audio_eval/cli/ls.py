"""List tasks, models and methods."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval ls``."""
    parser.add_argument("what", nargs="?", choices=("tasks", "models", "methods"), help="one kind only")


def execute(args: argparse.Namespace) -> int:
    """Print what is there, broken plug-ins with their reason."""
    lists = {"tasks": _tasks, "models": _models, "methods": _methods}
    for what in [args.what] if args.what else lists:
        print(what)
        rows = sorted(lists[what]())
        width = max((len(name) for name, _ in rows), default=0)
        for name, line in rows:
            print(f"  {name:<{width}}  {line}")
    return 0


def _tasks() -> list[tuple[str, str]]:
    rows = []
    folder = Path(str(files("audio_eval.tasks")))
    for path in sorted(folder.rglob("*.yaml")):
        config = _yaml(path)
        if isinstance(config.get("task"), str):
            metadata = config.get("metadata", {})
            rows.append((config["task"], f"{metadata.get('description', '')} [{metadata.get('version', '')}]"))
    return rows


def _models() -> list[tuple[str, str]]:
    return [(name, getattr(entry, "summary", str(entry))) for name, entry in _loaded("models", "model")]


def _methods() -> list[tuple[str, str]]:
    rows = []
    for name, found in _loaded("methods", "method"):
        paper = getattr(found, "paper", "")
        rows.append((name, getattr(found, "summary", str(found)) + (f" ({paper})" if paper else "")))
    return rows


def _loaded(group: str, what: str) -> list[tuple[str, Any]]:
    from audio_eval.errors import UserError
    from audio_eval.registry import named, registered

    rows: list[tuple[str, Any]] = []
    for name in registered(group):
        try:
            rows.append((name, named(group, what, name)))
        except UserError as error:
            rows.append((name, f"broken: {error}"))
    return rows


def _yaml(path: Path) -> dict[str, Any]:
    """A task's YAML without running its ``!function`` tags."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: str(node.value))
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader) or {}
