"""Plug-ins: every entry point is loaded as a run would load it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from audio_eval.doctor.finding import Finding
from audio_eval.errors import UserError
from audio_eval.models.backends import find_backend
from audio_eval.models.catalog import find_model
from audio_eval.plugins import origin, registered
from audio_eval.registry import method_class
from audio_eval.scoring.scorers import find_scorer

LOAD: dict[str, Callable[[str], Any]] = {
    "methods": method_class, "models": find_model, "backends": find_backend, "scorers": find_scorer,
}  # fmt: skip


def plugins() -> Iterator[Finding]:
    """A line for each entry point that cannot be loaded, and one that counts the others and names who brings them."""
    loaded = 0
    for group, load in LOAD.items():
        for name, points in registered(group).items():
            try:
                load(name)
                loaded += 1
            except Exception as error:
                why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                owner = ", ".join(map(origin, points))
                mend = f"upgrade or uninstall what brings it: {owner}"
                yield Finding(f"plug-in {name}", "warning", " ".join(why.split()), mend)
    others = ", ".join(f"{name} {version}" for name, version in providers().items())
    yield Finding("plug-ins", "ok", f"{loaded} load" + (f"; of other packages: {others}" if others else ""))


def providers() -> dict[str, str]:
    """The distributions other than this one that register a plug-in, with their versions."""
    found: dict[str, str] = {}
    for group in LOAD:
        for points in registered(group).values():
            found |= {point.dist.name: point.dist.version for point in points if point.dist}
    return {name: version for name, version in sorted(found.items()) if name != "audio-eval"}
