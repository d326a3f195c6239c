"""Defects of published code that no other test file catches; docs/known-defects.md has the whole list."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError

from audio_eval.audio import AudioRef
from audio_eval.group import Completion, Group
from audio_eval.methods.aqa_ttrl import AqaTtrl
from audio_eval.methods.aqa_ttrl import Config as AqaTtrlConfig
from audio_eval.models.policy import Sampling
from audio_eval.plugins import registered
from audio_eval.questions import Question
from audio_eval.registry import method_class
from audio_eval.rl.rewards import accuracy_reward
from audio_eval.rl.session import Session
from audio_eval.runs.execute import Executor
from audio_eval.runs.plan import plan
from audio_eval.store import JsonLines
from tests.models.checkpoints import BUILDERS, clip
from tests.models.conftest import Built
from tests.models.training import assert_same_gradients, settings, started, step
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("known") / "omni"
    return Built("omni", folder, BUILDERS["omni"](folder))


def asked(audio: AudioRef | None = None) -> Question:
    return Question("q", audio, "?", (), "Which sound is heard?")


def group_of(audio: AudioRef | None = None) -> Group:
    """Three completions, drawn once, twice and three times."""
    rng = np.random.default_rng(0)
    said = tuple(Completion("", tuple(rng.integers(20, 300, n).tolist())) for n in (3, 5, 2))
    return Group(asked(audio), said, (1, 2, 3))


# --- TTRL ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_advantage_reaches_its_own_completion_alone(place: int, omni: Built) -> None:
    """2.3.2: with one advantage that is not 0 the gradient is that completion's, by its share of the samples."""
    group = group_of(clip(0.8, 1))
    one_hot = np.eye(3)[place]
    together, _ = step(started(omni, settings("lora")), [group], [one_hot])
    alone = replace(group, completions=group.completions[place : place + 1], counts=group.counts[place : place + 1])
    apart, _ = step(started(omni, settings("lora")), [alone], [np.ones(1)])
    share = group.counts[place] / group.size
    assert_same_gradients(together, {name: gradient * share for name, gradient in apart.items()}, 1e-4)
    other, _ = step(started(omni, settings("lora")), [group], [np.roll(one_hot, 1)])
    with pytest.raises(AssertionError):
        assert_same_gradients(other, together, 1e-1)


@pytest.mark.parametrize("name", ["nobody-knows_this", "AIME2"])
def test_a_task_of_any_name_can_be_adapted_on(name: str, tmp_path: Path) -> None:
    """2.3.4: a benchmark of the user's, in a folder of the user's."""
    import audio_eval.tasks

    (tmp_path / "own").mkdir()
    (tmp_path / "sounds").mkdir()
    rows = []
    for i in range(4):
        wave = 0.3 * np.sin(2 * np.pi * (200 + 150 * i) * np.arange(8000) / 16000)
        soundfile.write(tmp_path / "sounds" / f"{i}.wav", wave, 16000)
        rows.append({"id": f"i{i}", "wav": f"{i}.wav", "question": "What is the tempo?", "choices": ["slow", "fast"]})
    (tmp_path / "sounds" / "items.jsonl").write_text("\n".join(json.dumps({**row, "answer": "fast"}) for row in rows))
    base = Path(audio_eval.tasks.__file__).parent / "_audio_qa"
    (tmp_path / "own" / "own.yaml").write_text(
        f'include: {base}\ntask: {name}\ncustom_dataset: !function data.TEST\nmetadata: {{version: "1", groups: []}}\n'
    )
    (tmp_path / "own" / "data.py").write_text(
        "from audio_eval.data import OFFICIAL, Files, Sources, record\n"
        "def convert(row):\n"
        '    return record(id=row.text("id"), **row.audio("wav"), question=row.text("question"),\n'
        '                  choices=row.values["choices"], answer=row.text("answer"), groups={})\n'
        'TEST = Sources({OFFICIAL: Files("sounds", "items.jsonl", ".", convert)})\n'
    )
    flags = {"model": "tiny-omni", "tasks": name, "include_path": str(tmp_path / "own"), "data_dir": str(tmp_path)}
    for method in ("ttrl", "aqa_ttrl"):
        args = "tune=lora,votes=8,steps=1,batch_size=4,group_size=4"
        (spec,) = plan({**flags, "method": method, "method_args": args, "max_tokens": 16})
        row = Executor().run(spec, tmp_path / method).audio_eval.model_dump()
        assert row["task"] == name and row["samples"] > 4
        assert len(JsonLines(tmp_path / method / "metrics.jsonl").read()) == 1


@pytest.mark.parametrize("name", sorted(registered("methods")))
def test_no_size_can_be_zero(name: str) -> None:
    """2.3.5: of whatever method; a group of one has no contrast."""
    config = method_class(name).Config
    least = {"votes": 0, "samples": 0, "batch_size": 0, "group_size": 1, "max_attempts": 0, "n_views": 0, "epochs": 0}
    known = {**least, "group_views": 0, "relabel_k": 0, "inner_updates": 0, "stages": 0}
    for setting in known.keys() & config.model_fields.keys():
        with pytest.raises(ValidationError, match=setting):
            config(**{setting: known[setting]})
    for preset in (config(), *(config(**chosen) for chosen in method_class(name).presets.values())):
        sizes = preset.model_dump()
        assert all(sizes[setting] > known[setting] for setting in known.keys() & sizes.keys())


def test_votes_take_the_memory_of_what_differs(omni: Built) -> None:
    """2.3.6: a group is a multiset. 4096 samples of one token each are at most the vocabulary, and sum to 4096."""
    (group,) = omni.policy().generate([asked()], Sampling(n=4096, temperature=0.2, max_tokens=1, stream="vote"))
    assert group.size == 4096 and len(group.completions) == len(set(group.completions)) < 1024
    rows: Any = group.to_json()["completions"]
    assert len(rows) == len(group.completions), "on the disk, too"


# --- OP-TTRAV --------------------------------------------------------------------------------------------------------


def adapt(folder: Path, policy: FakePolicy, questions: Any, **chosen: Any) -> list[dict[str, float]]:
    config = AqaTtrlConfig(**{"votes": 4, "steps": 1, "batch_size": len(questions), **chosen})
    AqaTtrl(config).adapt(policy, questions, Session(folder, 0, 4))
    return JsonLines(folder / "metrics.jsonl").read()


def test_attempts_are_seen_in_the_log(tmp_path: Path) -> None:
    """3.7.1: the setting changes what is drawn, and the log says so."""

    def script(question: Question, sampling: Sampling) -> Drawn:
        return {"cat": 4} if sampling.stream.endswith(("vote", "attempt0")) else {"cat": 3, "dog": 1}

    questions = [make_question(id_) for id_ in "ab"]
    (once,) = adapt(tmp_path / "1", FakePolicy(script), questions, max_attempts=1)
    (more,) = adapt(tmp_path / "3", policy := FakePolicy(script), questions, max_attempts=3)
    assert (once["attempts"], once["rescued"], once["stuck"], once["skipped_groups"]) == (1, 0, 2, 2)
    assert (more["attempts"], more["rescued"], more["stuck"], more["skipped_groups"]) == (2, 2, 0, 0)
    assert all(group.counts == (3, 1) for group, _ in policy.trained[0])


def test_a_confidence_goes_with_its_question_in_any_order(tmp_path: Path) -> None:
    """3.7.2: questions whose votes are 4, 3 and 2 of 4; however they are ordered, the weights are those shares."""
    shares = {"a": 4, "b": 3, "c": 2}

    def script(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream == "vote":
            n = shares[question.id]
            return {tagged("cat"): n, **({"no idea": 4 - n} if n < 4 else {})}
        return {tagged("cat"): 2, tagged("dog"): 2}

    unit = 0.5 / (np.sqrt(1 / 3) + 1e-4)
    for i, order in enumerate(("abc", "cab", "bca", "cba")):
        policy = FakePolicy(script)
        adapt(tmp_path / str(i), policy, [make_question(id_) for id_ in order], conf_weight="linear")
        found = {group.question.id: float(advantages[0]) for group, advantages in policy.trained[0]}
        assert found == {id_: pytest.approx(n / 4 * unit) for id_, n in shares.items()}


def test_what_names_no_option_earns_nothing() -> None:
    """3.7.4: whatever the label, however often it is asked."""
    group = make_group(make_question("q", ("cat", "dog", "owl", "bee")), {"no idea": 1, "cat or dog": 1, "": 1, "E": 1})
    for label in range(4):
        assert accuracy_reward(group, label).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("tune", ["lora", "full"])
def test_the_gradient_hears_the_recording(tune: str, omni: Built) -> None:
    """3.7.6: the same words and advantages over another recording, silence, none: other gradients each time."""
    heard = {
        "one": clip(1.0, 1),
        "other": clip(1.0, 2),
        "silence": AudioRef(data=wav(np.zeros(16000))),
        "none": None,
    }
    advantages = [np.array([1.0, -0.5, 0.0])]
    found = {
        name: step(started(omni, settings(tune)), [group_of(audio)], advantages)[0] for name, audio in heard.items()
    }
    norm = {
        name: torch.sqrt(sum((g.double() ** 2).sum() for g in gradients.values())) for name, gradients in found.items()
    }
    for other in ("other", "silence", "none"):
        apart = torch.sqrt(sum(((found["one"][n] - found[other][n]).double() ** 2).sum() for n in found["one"]))
        assert apart > 0.01 * norm["one"], other
    again, _ = step(started(omni, settings(tune)), [group_of(clip(1.0, 1))], advantages)
    assert_same_gradients(again, found["one"], 1e-6)


# --- R1-AQA ----------------------------------------------------------------------------------------------------------


def wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def test_what_only_the_right_channel_holds_is_heard(omni: Built) -> None:
    """4.5 (d): a policy that took the left channel would hear silence."""
    sound = clip(1.0, 1).load()
    right = AudioRef(data=wav(np.stack([np.zeros_like(sound), sound], axis=1)))
    assert np.allclose(right.load(), sound / 2, atol=1e-6)
    left = AudioRef(data=wav(np.stack([sound, np.zeros_like(sound)], axis=1)))
    silent = AudioRef(data=wav(np.zeros_like(sound)))
    policy = omni.policy()
    prompts = policy.encoder.prompts([asked(audio) for audio in (right, left, silent)])
    heard = [prompt.embeds for prompt in prompts]  # type: ignore[union-attr]
    assert torch.allclose(heard[0], heard[1], atol=1e-5), "either channel counts the same"
    assert not torch.allclose(heard[0], heard[2], atol=1e-2)


def test_no_trainer_is_a_dependency() -> None:
    """4.5 (c): nor in the source, from whose imports a version could leak."""
    needed = [line for line in requires("audio-eval") or () if "extra ==" not in line]
    wanted = {re.split(r"[^\w-]", line)[0].lower() for line in needed}
    assert not wanted & {"trl", "verl", "ms-swift", "deepspeed"}
    root = Path(__file__).parents[1]
    sources = [path for folder in ("audio_eval", "methods") for path in (root / folder).rglob("*.py")]
    assert len(sources) > 50
    imports = re.compile(r"^\s*(?:import|from) (trl|verl|swift|vllm|deepspeed)\b", re.MULTILINE)
    found = {(path.parent.name, name) for path in sources for name in imports.findall(path.read_text(encoding="utf-8"))}
    assert found == {("vllm", "vllm"), ("doctor", "vllm")}, "vLLM is imported by its backend and its check alone"
