"""Text tasks of lm-eval on an audio model: what its own hf model gives on the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from audio_eval.group import Group
from audio_eval.lm_eval.likelihood import likelihoods
from audio_eval.lm_eval.models import PolicyLM
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.lm_eval.conftest import ROWS, TASKS, evaluate, model

WINDOW = 24  # shorter than some texts


@pytest.fixture(scope="module")
def theirs(text_folder: Path) -> HFLM:
    return HFLM(pretrained=str(text_folder), device="cpu", batch_size=2, dtype="float32")


def by_task(found: Any) -> dict[str, list[Any]]:
    """All responses of each task, in the order of its requests."""
    return {task: [part[0] for one in found["samples"][task] for part in one["resps"]] for task in TASKS}


@pytest.mark.parametrize("how", [{}, {"num_fewshot": 1}, {"apply_chat_template": True, "system_instruction": "Hi."}])
def test_every_kind_of_task_is_as_with_lm_evals_own_model(
    ours: PolicyLM, theirs: HFLM, text_tasks: Path, how: dict[str, Any]
) -> None:
    got, want = (evaluate(lm, [*TASKS], text_tasks, **how) for lm in (ours, theirs))
    for task in TASKS:
        texts = [[one["arguments"] for one in found["samples"][task]] for found in (got, want)]
        assert texts[0] == texts[1], "the same contexts in both"
    said, meant = by_task(got), by_task(want)
    assert said["words_until"] == meant["words_until"] and said["words_free"] == meant["words_free"]
    assert len({*said["words_free"]}) > 1
    for task in ("words_choice", "words_next"):
        assert [greedy for _, greedy in said[task]] == [greedy for _, greedy in meant[task]]
        values, right = ([value for value, _ in of[task]] for of in (said, meant))
        assert values == pytest.approx(right, abs=1e-4) and len({round(value, 3) for value in right}) > 3
    assert said["words_whole"] == pytest.approx(meant["words_whole"], abs=1e-3)
    for task, metrics in want["results"].items():
        wanted = {key: value for key, value in metrics.items() if isinstance(value, float)}
        assert {key: got["results"][task][key] for key in wanted} == pytest.approx(wanted, rel=1e-4), task


def asked(kind: Any, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, of_one, 0, ("words", place, 1)) for place, of_one in enumerate(arguments)]


def test_what_is_longer_than_the_model_takes(audio_folder: Path, text_folder: Path) -> None:
    ours = model("hf", pretrained=str(audio_folder), max_length=WINDOW)
    theirs = HFLM(pretrained=str(text_folder), device="cpu", max_length=WINDOW)
    long, generation = ROWS[3]["text"], {"until": ["2"], "max_gen_toks": 8}
    assert len(theirs.tok_encode(long)) > 2 * WINDOW
    pairs = asked("loglikelihood", (long, " the dog"), ("", "dog"), (long + " ", "bark"))
    got, want = ours.loglikelihood(pairs, True), theirs.loglikelihood(pairs, True)
    assert [one[0] for one in got] == pytest.approx([one[0] for one in want], abs=1e-4)
    whole = asked("loglikelihood_rolling", (long,), ("dog",), ("",))
    assert ours.loglikelihood_rolling(whole, True) == pytest.approx(theirs.loglikelihood_rolling(whole, True), abs=1e-3)
    until = asked("generate_until", (long, generation), ("dog", generation))
    assert ours.generate_until(until, True) == theirs.generate_until(until, True)


def test_greedy_is_what_greedy_decoding_gives(ours: PolicyLM) -> None:
    """The flag that the accuracy of tasks such as LAMBADA rests on."""
    context = tuple(ours.tok_encode(ROWS[0]["question"]))
    (drawn,) = ours.policy.generate([Question("q", None, "", (), "", tokens=context)], Sampling(max_tokens=3))
    said = drawn.completions[0].token_ids
    other = (*said[:-1], (said[-1] + 1) % 500)
    pairs = [(context, said), (context, other), (context, said[:2]), (context[:-1], said)]
    found = sorted(likelihoods(ours.policy, pairs, 99, 2))  # type: ignore[arg-type]
    assert [greedy for _, _, greedy in found[:3]] == [True, False, True]
    assert [place for place, _, _ in found] == [0, 1, 2, 3]
    assert found[0].value > found[1].value and found[2].value > found[0].value != found[3].value


def test_repeats_are_samples_of_one_question(ours: PolicyLM, monkeypatch: pytest.MonkeyPatch) -> None:
    kwargs = {"do_sample": True, "temperature": 1.0, "top_k": 5, "top_p": 0.9, "max_gen_toks": 3}
    drawn, generate = [], ours.policy.generate

    def counting(questions: Sequence[Question], how: Sampling) -> list[Group]:
        drawn.append((len(questions), how.n))
        return generate(questions, how)

    monkeypatch.setattr(ours.policy, "generate", counting)
    one, other = asked("generate_until", ("Which sound", kwargs), ("How many", kwargs))
    said = ours.generate_until([one, other, one, one, other, one], True)
    assert drawn == [(1, 4), (1, 2)]
    assert len({said[0], said[2], said[3], said[5]}) > 1
    assert ours.generate_until([one] * 4, True) == [said[0], said[2], said[3], said[5]], "by lm-eval's seed"


def test_a_template_without_a_system_turn(ours: PolicyLM, theirs: HFLM, monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}U: {{ messages[0].content }}"
    history = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]
    for lm in (ours, theirs):
        monkeypatch.setattr(lm.tokenizer, "chat_template", template)
        assert lm.apply_chat_template(history) == "U: Which?"
