"""Two mistakes of published audio trainers, each as a test that has it fail: R1-AQA's ``grpo_trainer.py``.

(a) The features are tiled (``repeat``) while ids are interleaved: with two questions in a batch, completions learn from
the other one's recording. (b) The update cuts the prompt to its last 512 tokens, ``generate`` does not.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import clip, model_inputs, question
from tests.models.conftest import Built
from tests.models.training import (
    advantages_of,
    all_logprobs,
    assert_same_gradients,
    both_ways,
    given,
    reference_gradients,
    rows_of,
    settings,
    started,
    step,
)

# --- (a) ------------------------------------------------------------------------------------------------------------


def heard(i: int) -> Question:
    """The same words and the same length of recording: nothing but the sound tells two of them apart."""
    return Question(f"heard-{i}", clip(1.5, seed=i), "?", (), "Which sound is heard?")


COMPLETIONS = given([[3, 5, 2]], [None])[0]  # 3 unique ones, drawn 1, 2 and 3 times
FIRST, SECOND = (replace(COMPLETIONS, question=heard(i)) for i in (1, 2))


@both_ways
@pytest.mark.parametrize("budget", [16384, 1])
def test_two_recordings_in_a_step_have_the_gradients_of_each_alone(built: Built, tune: str, budget: int) -> None:
    advantages = advantages_of([FIRST, SECOND])
    training = settings(tune, token_budget=budget)
    one, _ = step(started(built, training), [FIRST], advantages[:1])
    other, _ = step(started(built, training), [SECOND], advantages[1:])
    both, _ = step(started(built, training), [FIRST, SECOND], advantages)
    # a step's mean is over its 12 completions, each one's alone over 6
    assert_same_gradients(both, {name: (one[name] + other[name]) / 2 for name in one})
    crossed, _ = step(started(built, training), [SECOND, FIRST], advantages)
    with pytest.raises(AssertionError):  # or the recording does not matter, and the test shows nothing
        assert_same_gradients(crossed, both, 1e-2)


def test_two_recordings_in_a_batch_have_the_answers_of_each_alone(built: Built) -> None:
    asked, sampling = [heard(i) for i in range(6)], Sampling(n=4, temperature=0.5, max_tokens=6)
    together = built.policy().generate(asked, sampling)
    alone = built.policy()
    assert together == [alone.generate([one], sampling)[0] for one in asked]
    assert len({group.completions for group in together}) == 6, "all alike would prove nothing"


# --- (b) ------------------------------------------------------------------------------------------------------------


LONG = question(5, 24.0)  # 600 tokens of audio; Qwen2-Audio's window holds 30 s


@both_ways
@pytest.mark.parametrize("budget", [16384, 100])
def test_a_prompt_of_more_than_512_tokens_is_scored_whole(built: Built, tune: str, budget: int) -> None:
    policy = started(built, settings(tune, token_budget=budget))
    groups = [replace(COMPLETIONS, question=LONG), replace(COMPLETIONS, question=question(6, 0.5))]
    [row, _] = rows_of(policy, groups)
    assert len(row.prompt) > 512 + 64
    scored = policy._scorer.logprobs(policy._scorer.batch(groups, [range(3), range(3)]))
    with torch.no_grad():
        want = [logprobs[i] for logprobs in all_logprobs(built, policy, groups) for i in (0, 1, 3)]  # one a completion
    assert all(torch.allclose(g, w, rtol=1e-5, atol=3e-5) for g, w in zip(scored, want, strict=True))
    advantages = advantages_of(groups)
    reference = reference_gradients(built, policy, groups, advantages)
    assert_same_gradients(step(policy, groups, advantages)[0], reference, 2e-5)


def test_the_answer_to_a_long_prompt_is_that_of_the_whole_prompt(built: Built) -> None:
    """``generate`` sees what is scored: each greedy token is the most probable one of an un-cut forward."""
    policy = built.policy()
    [group] = policy.generate([LONG], Sampling(max_tokens=8))
    [answer] = group.completions
    inputs = model_inputs(built.kind, policy.tokenizer, policy.encoder.checkpoint.extractor, LONG)
    ids = torch.cat([inputs["input_ids"], torch.tensor([answer.tokens])], dim=1)
    with torch.no_grad():
        logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
    assert logits[0, inputs["input_ids"].shape[1] - 1 : -1].argmax(dim=-1).tolist() == list(answer.tokens)
