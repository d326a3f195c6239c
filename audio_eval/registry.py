"""Plug-ins by entry point: ``audio_eval.methods`` and ``audio_eval.models``, the built-in ones among them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError, unknown
from audio_eval.method import Method, MethodConfig

# what a foreign module may raise on import; a module that exits must not take `ls` with it
BROKEN = (Exception, SystemExit)


def registered(group: str) -> dict[str, list[EntryPoint]]:
    """Entry points of ``audio_eval.<group>`` by name, several where distributions claim the same; nothing imported."""
    return _scanned(f"audio_eval.{group}", entry_points)


@lru_cache
def _scanned(group: str, scan: Callable[..., Iterable[EntryPoint]]) -> dict[str, list[EntryPoint]]:
    """A scan reads the metadata of every installed distribution: once for a process is enough."""
    found: dict[str, list[EntryPoint]] = {}
    for point in scan(group=group):
        claims = found.setdefault(point.name, [])
        if point.value not in [other.value for other in claims]:
            claims.append(point)
    return found


def named(group: str, what: str, name: str) -> Any:
    """The object registered under ``name``; a broken plug-in is the user's to mend, not a traceback."""
    points = registered(group)
    if name not in points:
        raise unknown(what, name, points)
    if len(points[name]) > 1:  # which one was meant is not for the order of installation to decide
        claims = " and ".join(sorted(map(origin, points[name])))
        raise UserError(f"{what} '{name}' is claimed by {claims}: uninstall all but one.")
    (point,) = points[name]
    try:
        return point.load()
    except BROKEN as error:
        raise UserError(
            f"{what} '{name}' ({point.value}) cannot be loaded: {type(error).__name__}: {error}."
        ) from error


def origin(point: EntryPoint) -> str:
    """Where an entry point is from, as "module:Class (distribution version)"."""
    return point.value + (f" ({point.dist.name} {point.dist.version})" if point.dist else "")


def is_path(name: str) -> bool:
    """Whether ``name`` has the form ``path/to/file.py:Class``."""
    return name.rpartition(":")[0].endswith(".py")


def method_class(name: str) -> type[Method]:
    """A registered method, or ``path/to/file.py:Class``; what cannot work as a method is a ``UserError``."""
    if is_path(name):
        path, _, attribute = name.rpartition(":")
        return _checked(_from_file(Path(path), attribute), name)
    cls = _checked(named("methods", "method", name), name)
    if cls.name != name:  # results go by the class's name: a row of the table could not be asked for again
        raise UserError(f"method '{name}' is registered under this name but its class says name = '{cls.name}'.")
    return cls


def _checked(found: Any, name: str) -> type[Method]:
    """``found``, if it is a Method whose defaults hold and that can say what it needs."""
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise UserError(f"method '{name}' is not a subclass of audio_eval.Method.")
    if not isinstance(getattr(found, "name", None), str):
        raise UserError(f"method '{name}' has no name: its class needs a line such as name = 'my_method'.")
    config = found.Config
    if not (isinstance(config, type) and issubclass(config, MethodConfig)):
        raise UserError(f"method '{name}': its Config is not a subclass of audio_eval.method.MethodConfig.")
    if required := [key for key, field in config.model_fields.items() if field.is_required()]:
        raise UserError(f"method '{name}': its Config has no default for {', '.join(required)}.")
    try:
        method = found()
        _ = method.needs_labels, method.transductive, method.needs_judge, method.cost(1, 1, 1)
    except Exception as error:
        raise UserError(f"method '{name}' cannot be made: {type(error).__name__}: {error}.") from error
    return found


def _from_file(path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise UserError(f"no file '{path}' to take method '{attribute}' from.")
    # a name of its own, so that a file json.py does not hide the library's
    name = f"{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look annotations up there
    try:
        spec.loader.exec_module(module)
    except BROKEN as error:
        del sys.modules[name]
        raise UserError(f"'{path}' cannot be imported: {type(error).__name__}: {error}.") from error
    if not hasattr(module, attribute):
        raise unknown("class", attribute, [n for n in vars(module) if not n.startswith("_")], f" in '{path}'")
    return getattr(module, attribute)
