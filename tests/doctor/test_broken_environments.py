"""``audio-eval doctor`` where something is really broken: what is found first on the import path, folders, the hub."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ENV

SECRET = "hf_thisIsSecret"


def doctor(path: Path, *flags: str, **environment: str) -> tuple[int, dict[str, dict[str, str]], dict[str, Any]]:
    """The exit code, the findings by check, and the whole object, with ``path`` first on the import path."""
    done = subprocess.run(
        [sys.executable, "-m", "audio_eval", "doctor", "--json", "--output", str(path / "runs"), *flags],
        capture_output=True, text=True, check=False, cwd=path,
        env={**ENV, "PYTHONPATH": str(path), "AUDIO_EVAL_CACHE": str(path / "cache"), **environment},
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr and SECRET not in done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 2)
    return done.returncode, {finding["check"]: finding for finding in report["checks"]}, report


def distribution(path: Path, name: str, version: str, metadata: str = "", entry_points: str = "") -> None:
    folder = path / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
    (folder / "entry_points.txt").write_text(entry_points)


@pytest.mark.slow
def test_a_whole_environment_but_for_what_the_main_job_does_without(tmp_path: Path) -> None:
    (tmp_path / "rouge_score.py").write_text("import no_such_module")
    code, found, report = doctor(tmp_path)
    assert code == 0, report
    assert found["dependency rouge-score"]["state"] == "warning"
    assert "no_such_module" in found["dependency rouge-score"]["detail"]
    assert found["training"]["state"] == "ok" and "a step of LoRA" in found["training"]["detail"]
    assert next(iter(found)) == "main job" and "tiny-omni answers" in found["main job"]["detail"]
    formats = ("wav", "flac", "ogg", "mp3")
    for check in ("main job", "python", "dependencies", "torch", *(f"decoder {name}" for name in formats), "plug-ins"):
        assert found[check]["state"] == "ok", found[check]
    assert found["hub"]["detail"].startswith("offline")
    assert {"audio-eval", "torch", "transformers", "lm-eval"} <= set(report["versions"])
    assert not (tmp_path / "runs").exists(), "to look at a folder does not make it"


@pytest.mark.slow
def test_a_torch_that_does_not_import(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text('raise ImportError("libcudart.so.13: cannot open shared object file")')
    code, found, _ = doctor(tmp_path)
    assert code == 2
    assert found["main job"]["state"] == found["torch"]["state"] == found["dependency torch"]["state"] == "failed"
    assert "libcudart.so.13" in found["torch"]["detail"]
    assert str(tmp_path / "torch.py") in found["dependency torch"]["mend"], "what hides the installed one is named"
    assert found["decoder mp3"]["state"] == found["plug-ins"]["state"] == "ok", "the other checks go on"


@pytest.mark.slow
def test_many_faults_at_once(tmp_path: Path) -> None:
    (tmp_path / "transformers.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (tmp_path / "scipy.py").write_text("raise SystemExit(3)")
    (tmp_path / "a file").touch()
    distribution(tmp_path, "torchvision", "0.99", "Requires-Dist: torch==9.9\n")
    distribution(tmp_path, "tabulate", "0.1")
    wants = ("transformers<5.20,>=5.16.1", "torch==1.0", "torchaudio", "no-such-thing", "numpy")
    distribution(tmp_path, "vllm", "0.33.0", "".join(f"Requires-Dist: {want}\n" for want in wants))
    points = "[audio_eval.methods]\nlost = elsewhere.module:Lost\n[audio_eval.scorers]\nodd = math:pi\n"
    distribution(tmp_path, "elsewhere", "1.5", entry_points=points)
    code, found, report = doctor(
        tmp_path, "--quick", AUDIO_EVAL_CACHE=str(tmp_path / "a file" / "cache"), HF_HUB_OFFLINE="0",
        HF_ENDPOINT=f"http://user:{SECRET}@127.0.0.1:9", HF_TOKEN=SECRET,
    )  # fmt: skip
    assert code == 2 and "main job" not in found
    assert "killed by signal 11" in found["dependency transformers"]["detail"]
    assert "SystemExit: 3" in found["dependency scipy"]["detail"]
    assert "0.1 is outside the tested window >=0.9" in found["dependency tabulate"]["detail"]
    assert found["dependency tabulate"]["state"] == "warning"
    assert found["cache folder"]["state"] == "failed" and "AUDIO_EVAL_CACHE" in found["cache folder"]["mend"]
    assert "made for torch==9.9" in found["torchvision"]["detail"] and found["torchvision"]["state"] == "warning"
    assert "elsewhere 1.5" in found["plug-in lost"]["mend"] and found["plug-in lost"]["state"] == "warning"
    assert "no subclass" in found["plug-in odd"]["detail"]
    assert report["versions"]["elsewhere"] == "1.5"
    vllm = found["vllm"]["detail"]
    assert found["vllm"]["state"] == "warning" and vllm.startswith("vllm 0.33.0 does not fit")
    assert re.search(r"torch is \S+, it wants ==1.0; no-such-thing is missing$", vllm), vllm
    assert found["hub"]["state"] == "warning" and "127.0.0.1 cannot be reached" in found["hub"]["detail"]
    assert found["hub's token"] == {"check": "hub's token", "state": "ok", "detail": "is set", "mend": ""}


def test_lines_for_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from audio_eval.cli.main import main
    from audio_eval.doctor import Finding

    found = [Finding("one", "ok", "as it should be"), Finding("two", "warning", "not so well", "do this")]
    monkeypatch.setattr("audio_eval.doctor.diagnose", lambda settings: iter(found))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["ok       one: as it should be", "warning  two: not so well; to mend it: do this"]
    assert lines[2].startswith("versions, for a bug report: audio-eval ") and len(lines) == 3
    found.append(Finding("three", "failed", "broken", "do that"))
    assert main(["doctor"]) == 2
