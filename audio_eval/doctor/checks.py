"""All checks, in the order in which they are told. One that fails in an unforeseen way is a line like the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from audio_eval.doctor.decoders import decoders
from audio_eval.doctor.finding import Finding, State
from audio_eval.doctor.hub import hub
from audio_eval.doctor.machine import folders, memory, torch
from audio_eval.doctor.main_job import main_job
from audio_eval.doctor.packages import dependencies, extras, python
from audio_eval.doctor.plugins import plugins
from audio_eval.doctor.vllm import vllm


@dataclass(frozen=True)
class Settings:
    """``quick`` leaves the main job out; ``output`` is the folder that runs would go to."""

    quick: bool = False
    output: str = "runs"


def diagnose(settings: Settings) -> Iterator[Finding]:
    """The findings one by one. The main job comes first: what it does without is no failure afterwards."""
    main = [] if settings.quick else alone("main job", main_job, "failed")
    yield from main
    runs = any(finding.state == "ok" for finding in main)
    yield from alone("python", python, "warning")
    yield from alone("dependencies", lambda: dependencies(runs), "warning" if runs else "failed")
    yield from alone("torch", torch, "failed")
    yield from alone("decoders", decoders, "failed")
    yield from alone("vllm", vllm, "warning")
    yield from alone("memory", memory, "warning")
    yield from alone("folders", lambda: folders(settings.output), "warning")
    yield from alone("hub", hub, "warning")
    yield from alone("extras", extras, "warning")
    yield from alone("plug-ins", plugins, "warning")


def alone(name: str, check: Callable[[], Iterable[Finding]], state: State) -> list[Finding]:
    """The findings of a check; where it raises, those before and one of this ``state`` that says what was raised."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except (Exception, SystemExit) as error:  # a broken library may raise anything on import
        found.append(Finding(name, state, " ".join(f"{type(error).__name__}: {error}".split())))
    return found
