"""The source that a method's number depends on, by module: its own file, what it is built from, and its helpers."""

from __future__ import annotations

import ast
import sys
from functools import lru_cache
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
    root = cls.__module__.partition(".")[0]
    home = _file(cls.__module__)
    found: dict[str, str] = {}
    waiting = [base.__module__ for base in cls.__mro__]
    while waiting:
        name = waiting.pop()
        if name in found or not (_is_part(name) or (root != "audio_eval" and _is_theirs(name, root, home))):
            continue
        if path := _file(name):
            source = path.read_bytes()
            found[name] = sha256(source).hexdigest()
            waiting += _imported(source, name if path.name == "__init__.py" else name.rpartition(".")[0])
    return found


def _is_part(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in PARTS)


def _is_theirs(name: str, root: str, home: Path | None) -> bool:
    """Whether a module is of the package ``root``, or lies in the folder of the file ``home`` or below it."""
    top = name.partition(".")[0]
    # of the top alone: to find a module in a package, Python imports the package
    path = None if top in (root, "audio_eval") else _file(top)
    beside = path is not None and home is not None and home.parent in path.parents
    return top == root or (beside and "site-packages" not in str(path))


def _file(name: str) -> Path | None:
    """The source of a module, which is not imported for it; a file of the user's is known to sys.modules alone."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    try:
        spec = None if loaded else find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    path = Path(loaded or (spec.origin if spec and spec.origin else ""))
    return path.resolve() if path.suffix == ".py" and path.is_file() else None


@lru_cache(maxsize=256)  # the methods of a command share most of their parts
def _imported(source: bytes, package: str) -> tuple[str, ...]:
    """The names in import statements, at the top or in a function; some are of no module but of what is in one."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            found += (base, *(f"{base}.{alias.name}" for alias in node.names))
    return tuple(found)
