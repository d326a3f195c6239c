"""Plug-ins by entry point: ``audio_eval.methods`` and ``audio_eval.models``, the built-in ones among them."""

from __future__ import annotations

import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError, unknown
from audio_eval.method import Method


def registered(group: str) -> dict[str, EntryPoint]:
    """Entry points of ``audio_eval.<group>`` by name; nothing is imported."""
    return {point.name: point for point in entry_points(group=f"audio_eval.{group}")}


def named(group: str, what: str, name: str) -> Any:
    """The object registered under ``name``; a broken plug-in is the user's to mend, not a traceback."""
    points = registered(group)
    if name not in points:
        raise unknown(what, name, points)
    try:
        return points[name].load()
    except Exception as error:  # whatever a foreign module raises on import
        raise UserError(
            f"{what} '{name}' ({points[name].value}) cannot be loaded: {type(error).__name__}: {error}."
        ) from error


def method_class(name: str) -> type[Method]:
    """A registered method, or ``path/to/file.py:Class``."""
    path, colon, attribute = name.rpartition(":")
    found = _from_file(Path(path), attribute) if colon and path.endswith(".py") else named("methods", "method", name)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"method '{name}' is not a subclass of audio_eval.Method.")
    return found


def _from_file(path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise UserError(f"no file '{path}' to take method '{attribute}' from.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"'{path}' cannot be imported: {type(error).__name__}: {error}.") from error
    if not hasattr(module, attribute):
        raise unknown("class", attribute, [n for n in vars(module) if not n.startswith("_")], f" in '{path}'")
    return getattr(module, attribute)
