"""Plug-ins by entry point: the groups ``audio_eval.<kind>``, the built-in ones registered like anyone else's."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError, unknown


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Whatever a foreign module raises but Ctrl-C becomes a ``UserError``: one that calls sys.exit must not end
    ``audio-eval ls``. ``what`` says what was tried.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UserError(f"{what}: {type(error).__name__}: {error}.") from error


def registered(group: str) -> dict[str, list[EntryPoint]]:
    """Entry points of ``audio_eval.<group>`` by name, several where distributions claim the same; nothing imported."""
    return _scanned(f"audio_eval.{group}", entry_points)


@lru_cache
def _scanned(group: str, scan: Callable[..., Iterable[EntryPoint]]) -> dict[str, list[EntryPoint]]:
    """A scan reads the metadata of every installed distribution, so each process scans once."""
    found: dict[str, list[EntryPoint]] = {}
    for point in scan(group=group):
        claims = found.setdefault(point.name, [])
        if point.value not in [other.value for other in claims]:
            claims.append(point)
    return found


def named(group: str, what: str, name: str) -> Any:
    """The object registered under ``name``; ``UserError`` where it is unknown or cannot be loaded."""
    points = registered(group)
    if name not in points:
        raise unknown(what, name, points)
    if len(points[name]) > 1:  # the order of installation must not decide which one is meant
        claims = " and ".join(sorted(map(origin, points[name])))
        raise UserError(f"{what} '{name}' is claimed by {claims}: uninstall all but one.")
    (point,) = points[name]
    with loading(f"{what} '{name}' ({point.value}) cannot be loaded"):
        return point.load()


def origin(point: EntryPoint) -> str:
    """Where an entry point is from, as "module:Class (distribution version)"."""
    return point.value + (f" ({point.dist.name} {point.dist.version})" if point.dist else "")


def from_reference(what: str, reference: str, folder: Path | None, where: str = "") -> Any:
    """The object named by "module:attribute"; the module is a file of ``folder`` if there is one, else importable."""
    module, _, attribute = reference.partition(":")
    path = folder / f"{module.replace('.', '/')}.py" if folder else None
    if path and path.is_file():
        return from_file(path, attribute, what)
    no_file = f"there is no file '{path}', and " if path else ""
    with loading(f"{what} '{reference}'{where}: {no_file}'{module}' cannot be imported"):
        found = importlib.import_module(module)
    return _attribute(found, attribute, what, module)


def from_file(path: Path, attribute: str, what: str) -> Any:
    """An attribute of a Python file; ``UserError`` where the file is not there or fails when it is imported."""
    if not path.is_file():
        raise UserError(f"no file '{path}' to take {what} '{attribute}' from.")
    # a name of its own, so that a file json.py does not hide the library's
    name = f"{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look annotations up there
    try:
        with loading(f"'{path}' cannot be imported"):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    return _attribute(module, attribute, what, str(path))


def _attribute(module: Any, attribute: str, what: str, where: str) -> Any:
    if not hasattr(module, attribute):
        raise unknown(what, attribute, [name for name in vars(module) if not name.startswith("_")], f" in '{where}'")
    return getattr(module, attribute)
