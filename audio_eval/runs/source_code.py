"""The source that a method's number depends on, by module: its own file, what it is built from, and its helpers."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

# Of this package a method's own parts count: models, scorers, tasks and prompts have versions and digests of their own.
PARTS = ("audio_eval.methods", "audio_eval.rl", "audio_eval.method")


def source_digests(cls: type[Any]) -> dict[str, str]:
    """The sha256 of each module that defines the class or a base of it, and of what these modules import, by name.

    Followed are imports of ``PARTS`` and of the package or the folder that the class comes from; libraries are not.
    """
    home = _file(cls.__module__)
    root = cls.__module__.partition(".")[0]
    found: dict[str, str] = {}
    waiting = [base.__module__ for base in cls.__mro__]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file(name)
        ours = any(name == part or name.startswith(f"{part}.") for part in PARTS)
        theirs = root != "audio_eval" and (name.partition(".")[0] == root or (path and home and _below(path, home)))
        if path is not None and (ours or theirs):
            source = path.read_bytes()
            found[name] = sha256(source).hexdigest()
            waiting += [other for other in _imported(source, name, path) if other not in found]
    return found


def _below(path: Path, home: Path) -> bool:
    return home.parent in path.parents and "site-packages" not in path.relative_to(home.parent).parts


def _file(name: str) -> Path | None:
    """The source of a module, which is not imported for it; a file of the user's is known to sys.modules alone."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    try:
        spec = None if loaded else find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    path = Path(loaded or (spec.origin if spec and spec.origin else ""))
    return path.resolve() if path.suffix == ".py" and path.is_file() else None


def _imported(source: bytes, name: str, path: Path) -> Iterator[str]:
    """The names in import statements, at the top or in a function; some are of no module but of what is in one."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
