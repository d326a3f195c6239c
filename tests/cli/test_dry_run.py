"""--dry-run: what runs will take, by counting and by a probe, before anything is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from audio_eval.cli.main import main
from audio_eval.errors import NotHere, UserError
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.backend import HF
from audio_eval.runs.cost import Counter, seconds_of
from audio_eval.runs.plan import plan
from audio_eval.runs.probe import paced, probe, spread
from tests.cli.conftest import RUN
from tests.tasks.official import write_all

LEARNER = """
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.policy import Sampling
from audio_eval.rl.experience import Experience
from audio_eval.rl.loop import batch_at, train
from audio_eval.rl.settings import Updates
import numpy as np

class Config(MethodConfig, Updates):
    steps: int = 40
    batch_size: int = 4
    group_size: int = 4

class Learner(Method):
    name = "learner"
    Config = Config
    trains = True
    labelled = False

    @property
    def transductive(self):
        return not self.labelled

    @property
    def needs_labels(self):
        return self.labelled

    def cost(self, adapted, scored, labelled):
        c = self.config
        n = c.steps * c.batch_size * c.group_size
        pool = labelled if self.labelled else adapted
        return Cost(votes=8 * pool, steps=c.steps, rollouts=3 * n, trained=n, answers=scored, judged=n)

    def adapt(self, policy, questions, run):
        c = self.config
        questions = [e.question for e in run.examples] if self.labelled else questions
        groups = run.generate("votes", policy, questions, Sampling(n=8, temperature=1.0, stream="vote"))
        pool = [group.question for group in groups if group.completions]

        def experience(step):
            drawn = policy.generate(batch_at(pool, c.batch_size, step, run.seed), Sampling(n=4, temperature=1.0))
            return Experience(drawn, [np.ones(len(group.counts)) for group in drawn])

        train(policy, c, c.steps, experience, run)

class Judged(Learner):
    name = "judged"
    needs_judge = True

class Labelled(Learner):
    name = "labelled"
    labelled = True

class Silent(Method):
    name = "silent"

    def predict(self, policy, questions):
        return ["" for _ in questions]
"""


@pytest.fixture
def methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of methods; the folder the tests run in is an empty one."""
    file = tmp_path / "methods.py"
    file.write_text(LEARNER)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    return file


def plans(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main([*arguments, "--dry-run", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["plans"]


def test_direct_is_counted_exactly_and_leaves_nothing_behind(methods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [one] = plans(capsys, *RUN)
    assert one["items"] == {"scored": 8} and one["audio_hours"]["scored"] == pytest.approx(8 * 2 / 3600)
    assert [one[k] for k in ("votes", "steps", "rollouts", "trained", "answers", "judge_calls")] == [0, 0, 0, 0, 8, 0]
    assert one["not_known"] == {}
    assert one["needs"]["device"] > 6_000_000 and one["needs"]["disk"] == 0 and one["needs"]["prompt"] is None
    assert one["time"]["seconds"] > 0 and one["time"]["questions"] == 8 and one["time"]["device"].startswith("c")
    assert list(Path().iterdir()) == []


def test_a_run_that_needs_more_than_is_there_is_warned_of(
    methods: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a model that is not on this machine is counted by its published dimensions."""
    free = {"device": 48e9, "host": 40e9, "disk": 1e9}
    monkeypatch.setattr("audio_eval.runs.needs.there", lambda gpu, output: free)
    run = ["--model", "qwen2.5-omni-3b", "--tasks", "mmau_test_mini", "--method", "aqa_ttrl", "--data-dir", "none"]
    assert main([*run, "--method-args", "tune=full", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "memory:" in told and "moments" in told and "prompts of 900 tokens" in told
    assert "of the machine's memory, and 48.0 GB are free" in told and "of disk, and 1.0 GB are free" in told
    monkeypatch.setattr("audio_eval.runs.needs.on_gpu", lambda spec: True)
    assert main([*run, "--method-args", "tune=full", "--dry-run"]) == 0
    assert "of the GPU's memory, and 48.0 GB are free: --method-args " in (told := capsys.readouterr().out)
    assert "adamw_offloaded would fit" in told


def test_prompt_tokens_are_those_the_model_reads(methods: Path) -> None:
    counter = Counter()
    [spec] = plan({"model": "tiny-omni", "tasks": "synth_aqa:validation", "limit": 8})
    figures, policy = counter.figures(spec), counter.policy(spec)
    from audio_eval.runs.cost import count_tokens

    tokens = count_tokens(policy, figures)  # type: ignore[attr-defined]
    with torch.no_grad():
        read = [len(p.embeds) for p in policy.encoder.prompts(figures.questions)]  # type: ignore[attr-defined]
    assert (tokens.total, tokens.longest, tokens.prompts) == (sum(read), max(read), 8)
    assert tokens.completions == 8 * spec.max_tokens


def test_cost_follows_the_items_that_the_flags_leave(methods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learner = [*RUN[:-1], "12", "--method", f"{methods}:Learner", "--holdout", "0.5"]
    [one] = plans(capsys, *learner)
    assert one["items"]["scored"] + one["items"]["adapted"] == 12
    assert one["votes"] == 8 * one["items"]["adapted"] and one["answers"] == one["items"]["scored"]
    assert (one["steps"], one["rollouts"], one["trained"], one["judge_calls"]) == (40, 1920, 640, 640)
    drawn = one["votes"] + one["rollouts"] + one["answers"]
    assert one["tokens"]["completions"] == 64 * drawn
    [other] = plans(capsys, *RUN, "--method", f"{methods}:Learner", "--adapt-task", "synth_aqa:train",
                    "--train-limit", "5", "--curve-every", "10", "--max-tokens", "4")  # fmt: skip
    assert other["items"] == {"scored": 8, "adapted": 5}
    assert other["curve"] == 8 * 5 and other["time"]["curve"] > 0
    [gold] = plans(capsys, *RUN, "--method", f"{methods}:Labelled", "--train-task", "synth_aqa:train",
                   "--train-limit", "50", "--max-tokens", "4")  # fmt: skip
    assert gold["items"] == {"scored": 8, "labelled": 50}
    assert gold["votes"] == 8 * gold["items"]["labelled"]


def test_the_probe_leaves_the_weights_as_they_were(methods: Path) -> None:
    counter = Counter()
    flags = {"model": "tiny-omni", "tasks": "synth_aqa:validation", "limit": 12, "max_tokens": 4}
    [spec] = plan({**flags, "method": f"{methods}:Learner", "method_args": "tune=full,lr=0.1"})
    policy = counter.policy(spec)
    before = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}  # type: ignore[attr-defined]
    timing = probe(policy, counter.figures(spec))
    after = policy.model.state_dict()  # type: ignore[attr-defined]
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert timing.stepped >= 2 and timing.votes > 0 and timing.steps > 0 and timing.answers > 0


def test_another_seed_takes_as_long(methods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = plans(capsys, *RUN, "--seed", "0,1")
    assert first["time"] == second["time"] and (first["seed"], second["seed"]) == (0, 1)


def test_what_is_not_known_has_a_reason_in_its_line(methods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "qwen2.5-omni-3b", "--tasks", "mmar", "--data-dir", "data", "--dry-run"]
    assert main([*arguments, "--method", f"{methods}:Learner"]) == 0
    shown = {line.split(":")[0].strip(): line for line in capsys.readouterr().out.splitlines()[1:]}
    assert "not known: no file data/mmar/MMAR-meta.jsonl; --data-dir D must hold" in shown["items"]
    assert "40 steps, 1,920 rollouts, 640 trained; votes, answers not known: the items are not known" in shown["draws"]
    assert "640" in shown["judge calls"]
    for line in ("tokens", "time"):
        assert "Qwen/Qwen2.5-Omni-3B is not on this machine" in shown[line]
    [one] = plans(capsys, *RUN, "--method", f"{methods}:Silent")
    assert one["answers"] is None and one["not_known"] == {"completions": "the method does not say: it has no cost()"}


def test_no_judge_is_asked(methods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge = ["--judge", "http://127.0.0.1:1", "--judge-model", "none"]
    [one] = plans(capsys, *RUN, "--method", f"{methods}:Judged", "--method-args", "steps=1", *judge)
    assert one["time"] is None and "does not ask the judge" in one["not_known"]["time"]
    assert one["tokens"] and one["judge_calls"] == 16  # of the method; a task with options has none


def test_metadata_without_recordings_still_counts(
    methods: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(tmp_path / "data")
    [one] = plans(capsys, "--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(tmp_path / "data"))
    assert one["items"] == {"scored": 1} and one["answers"] == 1
    assert one["audio_hours"] == {"scored": None} and one["not_known"]["audio"] == "none of the recordings is there"


def test_wrong_flags_fail_as_always(methods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (["--method", "aqa_ttl"], "unknown method 'aqa_ttl'"),
        (["--tasks", "synth_aqa:tst"], "unknown split 'tst'"),
        (["--judge", "http://127.0.0.1:1"], "--judge URL and --judge-model NAME go together"),
        (["--holdout", "0.0001"], "leaves one part"),
    ):
        assert main([*RUN, *arguments, "--dry-run"]) == 1
        shown = capsys.readouterr()
        assert says in shown.err and shown.out == ""


def test_a_hub_model_is_never_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def snapshot(source: str, **options: Any) -> str:
        assert options["local_files_only"]
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(NotHere, match=r"not complete on this machine \(model\.safetensors is missing\)"):
        HF().locate(ModelEntry(source="some/model", summary=""))
    (tmp_path / "model.safetensors").touch()
    assert HF().locate(ModelEntry(source="some/model", summary="")) == str(tmp_path)


def test_a_hub_model_that_is_here_is_loaded_from_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its name it would be looked up on the hub, and fetched where that has a newer one."""
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda source, **options: str(tmp_path))
    loaded = []

    def load(model: str, limits: Any, backend: str, *others: Any) -> None:
        loaded.append((model, backend))
        raise UserError("far enough")

    monkeypatch.setattr("audio_eval.runs.inputs.load_policy", load)
    [spec] = plan({"model": "some/model", "tasks": "synth_aqa:validation", "limit": 8})
    with pytest.raises(NotHere, match="far enough"):
        Counter().policy(spec)
    assert loaded == [(str(tmp_path), "hf")]


def test_seconds_are_known_without_decoding(tmp_path: Path) -> None:
    from audio_eval.audio import AudioRef

    soundfile.write(tmp_path / "a.wav", np.zeros(12_000), 8_000)
    assert seconds_of(AudioRef(path=str(tmp_path / "a.wav"))) == 1.5
    assert seconds_of(AudioRef(data=(tmp_path / "a.wav").read_bytes())) == 1.5
    assert seconds_of(AudioRef(path=str(tmp_path / "no.wav"))) is None


def test_pacing_stops_where_patience_would_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))  # every call takes ten seconds
    monkeypatch.setattr("audio_eval.runs.probe.time.perf_counter", lambda: next(clock))
    questions: list[Any] = list(range(100))
    assert paced(list, questions, 32) == ([0, 1, 2, 3], 2.5)  # another 32 would take 80 s
    assert paced(list, questions, 8) == (list(range(12)), 1.25)
    assert paced(list, [], 8)[0] == []
    assert spread(range(10), 4) == [0, 2, 5, 7] and spread([1], 4) == [1]
