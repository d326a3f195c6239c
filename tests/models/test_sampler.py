"""The sampler: exact distributions, stop strings, and rows that branch off one prompt."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from audio_eval.group import Group
from audio_eval.models.hf.branches import Branches
from audio_eval.models.hf.draws import draw, probabilities
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.prefill import prefill
from audio_eval.models.hf.sampler import Endings
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from tests.models.checkpoints import model_inputs, question
from tests.models.conftest import Built

Outcome = tuple[int, ...]


@pytest.fixture(scope="module")
def policy(built: Built) -> HFPolicy:
    return built.policy(batch_size=64)


# --- the distribution of tokens ------------------------------------------------------------------------------------


def reference(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Plain and slow, (V,): temperature, then the top_k best, then the nucleus of what is left."""
    logits = logits.astype(np.float64) / sampling.temperature
    probs = np.exp(logits - logits.max())
    order = np.argsort(-probs, kind="stable")
    if sampling.top_k:
        probs[order[sampling.top_k :]] = 0
    probs /= probs.sum()
    kept = 0.0
    for token in order:
        if kept >= sampling.top_p:
            probs[token] = 0
        kept += probs[token]
    return probs / probs.sum()


SAMPLINGS = [
    Sampling(temperature=1.0),
    Sampling(temperature=0.5, top_k=5),
    Sampling(temperature=1.5, top_p=0.7),
    Sampling(temperature=1.0, top_k=40, top_p=0.9),
    Sampling(temperature=2.0, top_p=0.99),
    Sampling(temperature=1.0, top_k=10**6),
    Sampling(temperature=1.0, top_k=1),
]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("vocabulary", [30, 3000])  # above: the nucleus may lie outside of the first tokens looked at
def test_probabilities_are_those_of_the_definition(sampling: Sampling, vocabulary: int) -> None:
    logits = torch.randn(4, vocabulary, generator=torch.Generator().manual_seed(1)) * torch.tensor(
        [[0.1], [1], [3], [9]]
    )
    got = probabilities(logits, sampling).double()
    got = (got / got.sum(dim=-1, keepdim=True)).numpy()
    for row, have in zip(logits.numpy(), got, strict=True):
        np.testing.assert_allclose(have, reference(row, sampling), rtol=1e-4, atol=1e-9)


def test_equals_at_the_edge_are_kept_together() -> None:
    logits = torch.tensor([[3.0, 1.0, 1.0, 1.0, 0.0]])
    for sampling in (Sampling(temperature=1.0, top_k=2), Sampling(temperature=1.0, top_p=0.75)):
        assert (probabilities(logits, sampling) > 0).tolist() == [[True, True, True, True, False]]


def test_points_are_inverted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each token gets its share of the points of [0, 1), in order; chunks of the vocabulary's rows do not matter."""
    head = torch.nn.Linear(8, 50, bias=False)
    hidden = torch.randn(5, 8, generator=torch.Generator().manual_seed(2)) * 3
    rows = np.array([0] * 7 + [1] + [2] * 4000 + [4] * 3)
    points = np.random.default_rng(0).random(len(rows))
    points[8:4008] = np.arange(4000) / 4000
    sampling = Sampling(temperature=0.8, top_k=20)
    with torch.no_grad():
        got = draw(head, hidden, rows, points, sampling)
        exact = [reference(row, sampling) for row in head(hidden).numpy()]
        monkeypatch.setattr("audio_eval.models.hf.draws._CELLS", 60)
        assert np.array_equal(draw(head, hidden, rows, points, sampling), got)
        greedy = draw(head, hidden, rows, points, Sampling())
        assert np.array_equal(greedy, head(hidden).argmax(-1).numpy()[rows])
    shares = np.bincount(got[8:4008], minlength=50) / 4000
    assert np.abs(shares - exact[2]).max() <= 1.01 / 4000
    for row, point, token in zip(rows, points, got, strict=True):
        cumulative = exact[row].cumsum()
        assert cumulative[token] >= point - 1e-6 and cumulative[token] - exact[row][token] <= point + 1e-6
        assert exact[row][token] > 0


def test_the_ends_of_the_unit_interval_are_tokens_that_can_be_drawn() -> None:
    head = torch.nn.Linear(1, 6, bias=False)
    with torch.no_grad():
        head.weight[:, 0] = torch.tensor([-200.0, 1.0, 2.0, 0.3, -200.0, -200.0])
        edges = np.array([0.0, np.nextafter(1.0, 0)])
        got = draw(head, torch.ones(1, 1), np.array([0, 0]), edges, Sampling(temperature=1.0))
    assert got.tolist() == [1, 3]


# --- the distribution of groups ------------------------------------------------------------------------------------


def exact_outcomes(policy: HFPolicy, kind: str, asked: Question, sampling: Sampling) -> dict[Outcome, float]:
    """The probability of every completion, by the model's own forward on the processor's inputs for each prefix."""
    inputs = model_inputs(kind, policy.tokenizer, policy.encoder.checkpoint.extractor, asked)
    outcomes: dict[Outcome, float] = {}
    live: dict[Outcome, float] = {(): 1.0}
    assert sampling.max_tokens is not None
    for step in range(sampling.max_tokens):
        grown: dict[Outcome, float] = {}
        for prefix, p in live.items():
            ids = torch.cat([inputs["input_ids"], torch.tensor([prefix], dtype=torch.long)], dim=1)
            with torch.no_grad():
                logits = policy.model(**inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}).logits
            probs = reference(logits[0, -1].numpy(), sampling)
            for token in np.flatnonzero(probs).tolist():
                over = token in policy._end_ids or step == sampling.max_tokens - 1
                (outcomes if over else grown)[(*prefix, token)] = p * probs[token]
        live = grown
    assert math.fsum(outcomes.values()) == pytest.approx(1)
    return outcomes


def groups_of_many(policy: HFPolicy, asked: Question, sampling: Sampling, times: int) -> list[Group]:
    """The question under many ids: each has a stream of its own."""
    renamed = [replace(asked, id=f"again{i}") for i in range(times)]
    return policy.generate(renamed, sampling)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(n=3, temperature=1.0, top_k=2, max_tokens=2),
        Sampling(n=4, temperature=0.5, top_k=3, max_tokens=1),
        Sampling(n=2, temperature=1.0, top_p=0.4, max_tokens=1),
        Sampling(n=2, temperature=0.7, top_k=2, max_tokens=3),
    ],
)
def test_groups_have_the_distribution_of_independent_samples(
    built: Built, policy: HFPolicy, sampling: Sampling
) -> None:
    """Counts of a whole group against the multinomial distribution of n independent completions, computed exactly."""
    asked, times = question(2, 0.7), 400
    outcomes = exact_outcomes(policy, built.kind, asked, sampling)
    groups = groups_of_many(policy, asked, sampling, times)
    seen = Counter(tuple(sorted((c.tokens, n) for c, n in zip(g.completions, g.counts, strict=True))) for g in groups)
    names, p = list(outcomes), np.array(list(outcomes.values()))
    expected: dict[tuple[tuple[Outcome, int], ...], float] = {}
    for chosen in itertools.combinations_with_replacement(range(len(names)), sampling.n):
        counts = np.bincount(chosen, minlength=len(names))
        key = tuple(sorted((names[i], int(counts[i])) for i in np.flatnonzero(counts)))
        expected[key] = times * float(stats.multinomial.pmf(counts, sampling.n, p / p.sum()))
    assert seen.keys() <= expected.keys()
    common = [key for key, n in expected.items() if n >= 5]
    got, want = [seen[key] for key in common], [expected[key] for key in common]
    got, want = [*got, times - sum(got)], [*want, times - sum(want)]
    if want[-1] < 5:
        got[-2:], want[-2:] = [got[-2] + got[-1]], [want[-2] + want[-1]]
    assert len(want) >= 4
    assert stats.chisquare(got, want).pvalue > 1e-3  # the seeds are fixed: it passes always or never


def test_draws_do_not_depend_on_the_batch_or_its_order(built: Built) -> None:
    asked = [question(i, 0.3 + 0.23 * i) for i in range(8)] + [question(8)]
    for sampling in (
        Sampling(n=24, temperature=1.3, max_tokens=7),
        Sampling(n=24, temperature=1.0, top_k=9, top_p=0.8, max_tokens=7),
        Sampling(max_tokens=9),
    ):
        want = built.policy(batch_size=9).generate(asked, sampling)
        assert want == [g for q in asked for g in built.policy().generate([q], sampling)]
        order = np.random.default_rng(1).permutation(9).tolist()
        for size in (2, 4, 9):
            got = built.policy(batch_size=size).generate([asked[i] for i in order], sampling)
            assert got == [want[i] for i in order]


# --- rows ----------------------------------------------------------------------------------------------------------


def test_branches_give_the_hidden_states_of_whole_sequences(built: Built, policy: HFPolicy) -> None:
    """Rows split, end and lose whole questions; each row's state is that of its prompt and tokens forwarded alone."""
    prompts = policy.encoder.prompts([question(i, 0.4 + 0.5 * i) for i in range(4)])
    embeds = [p.embeds for p in prompts if not isinstance(p, str)]
    model = policy.model.model.language_model
    rng = np.random.default_rng(0)
    with torch.no_grad():
        branches = Branches(model, prefill(model, embeds))
        rows: list[tuple[int, list[int]]] = [(owner, []) for owner in range(4)]
        for step in range(6):
            for (owner, tokens), hidden in zip(rows, branches.hidden_RH, strict=True):
                embedded = model.embed_tokens(torch.tensor(tokens, dtype=torch.long))
                whole = torch.cat([embeds[owner], embedded])[None]
                want = model(inputs_embeds=whole, use_cache=False).last_hidden_state[0, -1]
                torch.testing.assert_close(hidden, want, rtol=2e-4, atol=2e-5)
            dropped = {0: (), 1: (1,), 2: (), 3: (1, 3), 4: (0, 1, 3), 5: ()}[step]
            alive = [i for i, (owner, _) in enumerate(rows) if owner not in dropped]
            parents = sorted(int(rng.choice(alive)) for _ in range(7)) + [alive[-1]] * step
            tokens = rng.integers(0, 200, len(parents)).tolist()
            rows = [(rows[p][0], [*rows[p][1], t]) for p, t in zip(parents, tokens, strict=True)]
            branches.advance(parents, tokens)
    assert policy.model.model.language_model.config._attn_implementation == "sdpa", "put back"


def test_rows_that_ended_cost_nothing(built: Built) -> None:
    """Each step forwards one token for each unique prefix that is alive, and nothing else."""
    policy = built.policy()
    sizes: list[int] = []
    policy.model.model.language_model.register_forward_pre_hook(
        lambda m, a, k: sizes.append(k["input_ids"].numel() if "input_ids" in k else 0), with_kwargs=True
    )
    groups = policy.generate([question(i, 0.5) for i in range(6)], Sampling(n=16, temperature=0.8, max_tokens=10))
    rows = {(g.question.id, c.tokens[:k]) for g in groups for c in g.completions for k in range(1, len(c.tokens))}
    assert sum(sizes) == len(rows)


# --- endings -------------------------------------------------------------------------------------------------------


def test_a_stop_string_ends_an_answer(built: Built) -> None:
    policy, asked = built.policy(), [question(i, 0.5) for i in range(6)]
    free = policy.generate(asked, Sampling(max_tokens=16))
    texts = [policy.tokenizer.decode(g.completions[0].tokens, skip_special_tokens=True) for g in free]
    stop = next(t[4:7] for t in texts if len(t) > 12 and t[4:7].isascii() and t[4:7].strip() == t[4:7])
    stopped = 0
    for whole, plain, group in zip(
        texts, free, policy.generate(asked, Sampling(max_tokens=16, stop=(stop,))), strict=True
    ):
        [c] = group.completions
        if stop not in whole:
            assert group == plain
            continue
        stopped += 1
        assert c.text == whole[: whole.index(stop)].strip() and c.finished
        assert c.tokens == plain.completions[0].tokens[: len(c.tokens)]
        decode = policy.tokenizer.decode
        assert stop in decode(c.tokens, skip_special_tokens=True)
        assert stop not in decode(c.tokens[:-1], skip_special_tokens=True)
    assert stopped
    drawn = policy.generate(asked, Sampling(n=32, temperature=1.0, max_tokens=8, stop=("e", "a")))
    assert all(g.size == 32 and not {"e", "a"} & set(c.text) for g in drawn for c in g.completions)


class Letters:
    """A tokenizer whose token i is the i-th of some pieces of text."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def decode(self, tokens: tuple[int, ...], skip_special_tokens: bool) -> str:
        return b"".join(self.pieces[t] for t in tokens).decode(errors="replace")


@pytest.mark.parametrize(
    ("row", "want"),
    [
        ((0, 1), None),
        ((0, 1, 2), ("one", True)),  # "</answer>" is complete with the third token, which goes on after it
        ((0, 3), ("one", True)),  # the earliest of two stop strings
        ((0, 4, 5), ("oneé", False)),  # a character of two tokens is no stop, and is cut at the limit
        ((9,), ("", True)),
        ((0, 9), ("one", True)),
    ],
)
def test_where_rows_end(row: tuple[int, ...], want: tuple[str, bool] | None) -> None:
    tokenizer = Letters(b"one", b"</ans", b"wer> more", b"\n</answer>", b"\xc3", b"\xa9")
    endings = Endings(tokenizer, frozenset({9}), ("</answer>", "\n"))
    got = endings.completion(row, cut=want is not None and not want[1])
    assert (got if got is None else (got.text, got.finished)) == want
    assert got is None or got.tokens == row


def test_a_stop_string_of_many_tokens_is_seen() -> None:
    tokenizer = Letters(*(bytes([c]) for c in range(256)))
    text = b"Hmm. The answer is: \xc3\xa9 dog"
    endings = Endings(tokenizer, frozenset(), ("answer is: é",))
    ended = [k for k in range(1, len(text) + 1) if endings.completion(tuple(text[:k]), cut=False)]
    assert ended[0] == text.index(b"\xa9") + 1
