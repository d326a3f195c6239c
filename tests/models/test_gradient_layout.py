"""Rows, micro-batches and the budget, without a model."""

from __future__ import annotations

import pytest
import torch

from audio_eval.models.hf.layout import ALIGN, SharedPrefix, pack, row_length
from audio_eval.models.hf.microbatch import Budget, Piece, micro_batches, padded_tokens

HIDDEN = 3


def embed(ids: torch.Tensor) -> torch.Tensor:
    return ids[:, None].repeat(1, HIDDEN).float()


def prompt(length: int, value: float) -> torch.Tensor:
    return torch.full((length, HIDDEN), -value)


def test_a_row_by_hand() -> None:
    packed = pack([SharedPrefix(prompt(2, 1.0), [(10, 11, 12), (20,), (30, 31)])], embed)
    # p p 10 11 30, and padding to the alignment; the last token of each is a target only
    assert packed.embeds_RLH[0, :, 0].tolist() == [-1, -1, 10, 11, 30, 0, 0, 0]
    assert packed.positions_RL.tolist() == [[0, 1, 2, 3, 2, 0, 0, 0]]
    assert packed.targets_N.tolist() == [10, 11, 12, 20, 30, 31]
    assert packed.columns_N.tolist() == [1, 2, 3, 1, 1, 4]
    assert packed.rows_N.tolist() == [0] * 6 and packed.lengths_U.tolist() == [3, 1, 2]
    seen = (packed.bias_R1LL[0, 0] == 0).int().tolist()
    assert seen[:5] == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0, 0],  # 30 sees the prompt and itself, not its sibling
    ]
    assert packed.bias_R1LL.min() == torch.finfo(torch.float32).min


def test_rows_of_several_lengths() -> None:
    rows = [SharedPrefix(prompt(1, 1.0), [(5,)]), SharedPrefix(prompt(9, 2.0), [(6, 7), (8, 9)])]
    packed = pack(rows, embed)
    length = packed.embeds_RLH.shape[1]
    assert length == 2 * ALIGN and packed.bias_R1LL.shape == (2, 1, length, length)
    assert [row_length(1, [1]), row_length(9, [2, 2])] == [1, 11]
    assert packed.rows_N.tolist() == [0, 1, 1, 1, 1] and packed.columns_N.tolist() == [0, 8, 9, 8, 10]
    assert packed.targets_N.tolist() == [5, 6, 7, 8, 9]
    # nobody but padding looks at padding, and no row of the attention is empty
    seen = packed.bias_R1LL[:, 0] == 0
    assert not seen[0, :1, 1:].any() and not seen[1, :11, 11:].any()
    assert seen.any(dim=-1).all()


def test_the_bias_has_the_precision_of_the_attention() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert pack([SharedPrefix(prompt(2, 1.0), [(1, 2)])], embed).bias_R1LL.dtype == torch.bfloat16


# prompts of 10, 20 and 4 tokens with completions of these lengths
PROMPTS, OWNERS, LENGTHS = [10, 20, 4], [0, 0, 1, 1, 1, 2], [3, 5, 1, 6, 3, 2]


def test_a_question_is_one_piece_and_the_longest_come_first() -> None:
    [batch] = micro_batches(PROMPTS, OWNERS, LENGTHS, 1000)
    assert batch == [Piece(1, (2, 3, 4), 27), Piece(0, (0, 1), 16), Piece(2, (5,), 5)]
    assert padded_tokens(batch) == 81
    assert [len(b) for b in micro_batches(PROMPTS, OWNERS, LENGTHS, 80)] == [2, 1]


def test_only_a_question_beyond_the_budget_is_split() -> None:
    batches = micro_batches(PROMPTS, OWNERS, LENGTHS, 26)
    assert batches == [[Piece(1, (2, 3), 25)], [Piece(1, (4,), 22)], [Piece(0, (0, 1), 16)], [Piece(2, (5,), 5)]]
    for budget in range(1, 90):
        batches = micro_batches(PROMPTS, OWNERS, LENGTHS, budget)
        assert sorted(u for batch in batches for piece in batch for u in piece.completions) == list(range(6))
        for batch in batches:
            assert padded_tokens(batch) <= budget or (len(batch) == 1 and len(batch[0].completions) == 1)
            assert [p.length for p in batch] == [
                row_length(PROMPTS[p.question], [LENGTHS[u] for u in p.completions]) for p in batch
            ]


def test_no_memory_halves_the_budget_for_good() -> None:
    budget, tried = Budget(1000), []

    def work(batches: list[list[Piece]]) -> str:
        tried.append(max(padded_tokens(batch) for batch in batches))
        if tried[-1] > 35:
            raise torch.cuda.OutOfMemoryError
        return "done"

    def cut(tokens: int) -> list[list[Piece]]:
        return micro_batches(PROMPTS, OWNERS, LENGTHS, tokens)

    assert budget.run(cut, work) == "done"
    # half of what was really asked for, not of a budget that nothing filled
    assert tried == [81, 32] and budget.tokens == 40 and budget.retries == 1
    assert budget.run(cut, work) == "done" and tried[2:] == [32]


def test_no_memory_for_a_single_completion_is_an_error() -> None:
    budget, tried = Budget(1000), []

    def work(batches: list[list[Piece]]) -> None:
        tried.append(len(batches))
        raise torch.cuda.OutOfMemoryError

    with pytest.raises(torch.cuda.OutOfMemoryError):
        budget.run(lambda tokens: micro_batches(PROMPTS, OWNERS, LENGTHS, tokens), work)
    assert tried[-1] == len(OWNERS)
