"""Plug-ins by entry point: the groups ``audio_eval.<kind>``, the built-in ones registered like anyone else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from audio_eval.errors import UserError, unknown

# What a foreign module may raise on import; a module that calls sys.exit must not end `audio-eval ls`.
BROKEN = (Exception, SystemExit)


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
    try:
        return point.load()
    except BROKEN as error:
        raise UserError(
            f"{what} '{name}' ({point.value}) cannot be loaded: {type(error).__name__}: {error}."
        ) from error


def origin(point: EntryPoint) -> str:
    """Where an entry point is from, as "module:Class (distribution version)"."""
    return point.value + (f" ({point.dist.name} {point.dist.version})" if point.dist else "")
