"""Defects of published code for test-time RL and audio RL, each with the tests that would catch it here.

Numbers are the sections of the project's facts on methods (methods.md). An entry is the defect, then the tests, or why
it cannot occur. ``test_the_table_is_whole`` reads this text.

TTRL (PRIME-RL/TTRL)
2.3.1  Samples that cannot be parsed are dropped before the vote; where none is left it crashes, or a letter is drawn.
       tests/rl/test_votes.py::test_where_nobody_named_an_option_there_is_no_label
       tests/methods/test_ttrl.py::test_a_step_in_which_nobody_names_an_option
       tests/methods/test_aqa_ttrl.py::test_it_skips_what_has_no_label_and_counts_it
2.3.2  A leaked loop variable writes every rollout's reward to the place of the last one.
       tests/test_known_defects.py::test_an_advantage_reaches_its_own_completion_alone
       tests/models/test_training.py::test_the_gradient_is_that_of_repeated_prompts
2.3.3  Of a tie the answer that came first wins.
       tests/rl/test_votes.py::test_a_tie_does_not_depend_on_the_order_of_the_samples
       tests/rl/test_votes.py::test_a_tie_depends_on_seed_and_id_and_is_even
       tests/rl/consensus/test_semantic.py::test_a_tie_does_not_depend_on_the_order_of_drawing
2.3.4  The reward knows its data sets by name and refuses others.
       tests/test_known_defects.py::test_a_task_of_any_name_can_be_adapted_on
2.3.5  A script without a number of rollouts makes a mini-batch of size 0.
       tests/test_known_defects.py::test_no_size_can_be_zero
2.3.6  All 64 votes of a prompt are decoded and kept before half of them are dropped.
       tests/test_known_defects.py::test_votes_take_the_memory_of_what_differs
       tests/models/test_sampler_counts.py::test_counts_sum_to_n_and_completions_are_unique

OP-TTRAV (mvideet/OP-TTRAV)
3.7.1  multi_attempt is accepted and ignored.
       tests/rl/test_attempts.py::test_at_most_max_attempts_and_the_last_group_is_kept
       tests/methods/test_aqa_ttrl.py::test_it_draws_groups_without_contrast_again
       tests/methods/test_op_ttrl.py::test_attempts_are_no_setting
       tests/methods/test_ttrl.py::test_attempts_are_no_setting
       tests/test_known_defects.py::test_attempts_are_seen_in_the_log
3.7.2  Confidences are dealt out by the order of random ids, not to the question that they belong to.
       tests/methods/test_aqa_ttrl.py::test_it_scales_advantages_by_the_confidence_of_the_vote
       tests/test_known_defects.py::test_a_confidence_goes_with_its_question_in_any_order
3.7.3  Left padding and the sum of the mask find a token that is not the last one.
       tests/rl/consensus/test_encoders.py::test_the_mask_sum_is_not_the_last_token_under_left_padding
       tests/rl/consensus/test_encoders.py::test_a_short_text_alone_is_the_short_text_beside_a_long_one
3.7.4  What cannot be parsed becomes a random letter, in the label, the reward and the score.
       tests/scoring/test_choice.py::test_names_no_single_option
       tests/methods/test_op_ttrl.py::test_silence_does_not_vote_and_is_counted
       tests/test_known_defects.py::test_what_names_no_option_earns_nothing
3.7.5  The judge gets bare text without the chat template, and its score is the first number anywhere.
       tests/rl/consensus/test_judging.py::test_a_reply_is_a_score_or_none
       tests/rl/consensus/test_judging.py::test_the_policy_is_asked_greedily_without_audio_through_its_template
       tests/methods/test_op_ttrl.py::test_a_score_that_cannot_be_read_is_no_reward
3.7.6  The audio was taken out of the batch before the training forward; clips under a second crash the tower.
       tests/test_known_defects.py::test_the_gradient_hears_the_recording
       tests/models/test_known_defects.py::test_two_recordings_in_a_step_have_the_gradients_of_each_alone
       tests/models/test_generation.py::test_a_clip_that_is_too_short_for_the_tower_is_padded
3.7.7  Nine patches of vLLM and verl for audio in video.
       Cannot occur: no vLLM and no trainer is patched; one model generates and learns (audio_eval/models/hf).

R1-AQA (xiaomi-research/r1-aqa), src/trainer/grpo_trainer.py and src/test_mmau.py
4.5.a  Features are tiled while ids are interleaved: with two prompts in a batch the recordings are exchanged.
       tests/models/test_known_defects.py::test_two_recordings_in_a_step_have_the_gradients_of_each_alone
       tests/models/test_known_defects.py::test_two_recordings_in_a_batch_have_the_answers_of_each_alone
4.5.b  The update cuts the prompt to its last 512 tokens, generation does not.
       tests/models/test_known_defects.py::test_a_prompt_of_more_than_512_tokens_is_scored_whole
       tests/models/test_known_defects.py::test_the_answer_to_a_long_prompt_is_that_of_the_whole_prompt
4.5.c  Internals of one version of trl are relied on.
       Cannot occur: the loop is our own (audio_eval/rl/loop.py), and trl is for comparison alone (an extra).
       tests/test_known_defects.py::test_no_trainer_is_a_dependency
4.5.d  The left channel is taken for the recording.
       tests/test_audio.py::test_channels_are_averaged
       tests/test_known_defects.py::test_what_only_the_right_channel_holds_is_heard
4.5.14 The loss is near 0 throughout and says nothing of the progress (issue #14): rewards are logged beside it.
       tests/methods/test_aqa_ttrl.py::test_it_logs_what_it_learns_from
4.4    Greedy decoding is left to the checkpoint's generation_config.
       tests/methods/test_direct.py::test_direct_is_one_greedy_response_a_question
       tests/models/test_generation.py::test_greedy_tokens_are_those_of_transformers_generate
"""

from __future__ import annotations

import importlib
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
from tests.models.test_gradient import step
from tests.models.test_training import assert_same_gradients, settings, started
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged

ENTRY = re.compile(r"^(\d\.\d(?:\.\w+)?) +\S", re.MULTILINE)
TEST = re.compile(r"(tests/[\w/]+)\.py::(\w+)")


def entries() -> dict[str, str]:
    """The text of each entry of the table, by its number."""
    assert __doc__ is not None
    found = list(ENTRY.finditer(__doc__))
    ends = [match.start() for match in found[1:]] + [len(__doc__)]
    return {match[1]: __doc__[match.start() : end] for match, end in zip(found, ends, strict=True)}


def test_the_table_is_whole() -> None:
    wanted = {f"2.3.{i}" for i in range(1, 7)} | {f"3.7.{i}" for i in range(1, 8)} | {f"4.5.{c}" for c in "abcd"}
    assert wanted <= set(entries())
    for number, text in entries().items():
        assert TEST.search(text) or "Cannot occur: " in text, number


@pytest.mark.parametrize("number", entries())
def test_the_tests_of_the_table_exist(number: str) -> None:
    for module, name in TEST.findall(entries()[number]):
        assert callable(getattr(importlib.import_module(module.replace("/", ".")), name)), f"{module}::{name}"


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
    imports = re.compile(r"^\s*(?:import|from) (?:trl|verl|swift|vllm|deepspeed)\b", re.MULTILINE)
    assert [path for path in sources if imports.search(path.read_text(encoding="utf-8"))] == []
