from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.rl.compression import compress, kept_groups, sentences

TEXT = "A dog barks at 3.5 metres. Is it large? Yes!  It is near\nand loud"


def test_sentences() -> None:
    assert sentences(TEXT) == ["A dog barks at 3.5 metres.", "Is it large?", "Yes!", "It is near", "and loud"]
    assert sentences("犬が吠える。大きい？はい「近い。」そう") == ["犬が吠える。", "大きい？", "はい「近い。」", "そう"]  # noqa: RUF001
    assert sentences('He said "no." Then left.') == ['He said "no."', "Then left."]
    assert sentences(" \n ") == []


@pytest.mark.parametrize(
    ("text", "keep", "expected"),
    [
        (TEXT, None, TEXT),
        (TEXT, 2, "A dog... Is it... Yes!  It is...\nand loud"),
        (TEXT, 1, "A... Is... Yes!  It...\nand..."),
        (TEXT, 0, "... ... ...  ...\n..."),
        (TEXT, 9, TEXT),
        ("Well, then we go.", 1, "Well,..."),
        ("犬が吠える。大きい。", 2, "犬が...大き..."),
        ("「犬」が吠える。", 1, "「犬」..."),
        ("Tシャツを着る", 3, "Tシャ..."),
        ("", 1, ""),
    ],
)
def test_compress(text: str, keep: int | None, expected: str) -> None:
    assert compress(text, keep) == expected


@given(st.text(alphabet="ab .!?\n,", max_size=40), st.integers(0, 5))
def test_what_is_compressed_is_not_compressed_again(text: str, keep: int) -> None:
    once = compress(text, keep)
    assert compress(once, keep) == once


@given(st.text(), st.integers(0, 5))
def test_no_text_raises(text: str, keep: int) -> None:
    assert len(compress(text, keep)) <= len(text) + 3 * len(sentences(text))


def test_k_falls_by_stage() -> None:
    assert [kept_groups(step, 8, 4, 16, 2) for step in range(8)] == [None, None, 16, 16, 9, 9, 2, 2]
    assert [kept_groups(step, 4, 2, 8, 2) for step in range(4)] == [None, None, 8, 8]
    assert [kept_groups(step, 3, 1, 8, 2) for step in range(3)] == [None] * 3
    assert [kept_groups(step, 2, 4, 8, 2) for step in range(2)] == [None, 5], "fewer steps than stages"
