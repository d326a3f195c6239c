"""Labels: what tells the rows of a table apart."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.leaderboard.labels import LONGEST, Facts, labels
from tests.leaderboard.runs import make_run, rows_of

VIEWS = {"views": "choices+shift+gain+paraphrase"}
PSEUDO, GOLD = ("transductive", "pseudo labels"), ("gold labels", "trained on synth_aqa:train")


def facts(method: str = "direct", model: str = "m", tags: tuple[str, ...] = (), n: int = 8, **more: Any) -> Facts:
    return Facts(model, method, more.pop("settings", {}), tags, {"prompt": "p@1", **more}, {"n": str(n)})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([facts(), facts("sft", tags=PSEUDO)], ["direct", "sft"]),
        ([facts(settings={"votes": 8})], ["direct"]),
        ([facts("vote"), facts("vote", settings=VIEWS)], ["vote", "vote +views"]),
        ([facts("vote", settings={"views": k}) for k in "ab"], ["vote, views=a", "vote, views=b"]),
        ([facts(), facts(tags=("audio: silence",))], ["direct", "direct, silence"]),
        (
            [facts("sft", tags=PSEUDO), facts("sft", tags=PSEUDO, settings=VIEWS), facts("sft", tags=GOLD)],
            ["sft", "sft +views", "sft, gold labels"],
        ),
        ([facts("t"), facts("t", settings={"relabel": "every_step"})], ["t", "t, relabel=every_step"]),
        ([facts("t", settings={"a": None}), facts("t", settings={"a": True})], ["t, a=null", "t, a=true"]),
        ([facts(), facts(prompt="q@1")], ["direct, prompt=p", "direct, prompt=q"]),
        ([facts(), facts("sft", prompt="p@2")], ["direct, prompt=p@1", "sft, prompt=p@2"]),
        ([facts(scorer=None), facts(scorer="c@2")], ["direct, scorer=not recorded", "direct, scorer=c"]),
        ([facts(), facts(n=2)], ["direct, n=8", "direct, n=2"]),
        ([facts("t", tags=("transductive",)), facts("t")], ["t, transductive", "t"]),
        ([facts(), facts(model="x", prompt="q@1")], ["m direct", "x direct"]),
        ([facts("t", settings={"x": "y" * 99}), facts("t", settings={"x": 1})], [f"t, x={'y' * LONGEST}…", "t, x=1"]),
    ],
)
def test_what_differs_is_said(rows: list[Facts], expected: list[str]) -> None:
    assert labels(rows) == expected


def test_a_number_is_the_last_resort(tmp_path: Path) -> None:
    make_run(tmp_path / "b", "rrww")
    make_run(tmp_path / "a", "rwww")
    make_run(tmp_path / "c", "rwww", task="mmar")
    found = {row.runs[0].name: row.label for row in rows_of(tmp_path)}
    assert found == {"a": "direct (1)", "b": "direct (2)", "c": "direct"}


WORDS = st.sampled_from(
    ["direct", "sft", "a", "a, b", "b", "a (1)", "+b", "x\x1b[31m", "", "gold labels", "transductive"]
)
ROWS = st.builds(
    Facts,
    model=WORDS,
    method=WORDS,
    settings=st.dictionaries(WORDS, st.one_of(st.none(), st.booleans(), st.integers(0, 3), WORDS), max_size=2),
    tags=st.lists(WORDS, max_size=2).map(tuple),
    origin=st.fixed_dictionaries({"prompt": st.one_of(st.none(), WORDS), "scorer": WORDS}),
    quiet=st.fixed_dictionaries({"n": st.sampled_from(["8", "9"])}),
)


@given(st.lists(ROWS, max_size=8), st.randoms(use_true_random=False))
def test_labels_are_distinct_and_do_not_depend_on_the_order(rows: list[Facts], shuffle: random.Random) -> None:
    rows = [Facts(**{**vars(row), "order": (str(number),)}) for number, row in enumerate(rows)]
    found = dict(zip((row.order for row in rows), labels(rows), strict=True))
    assert len(set(found.values())) == len(rows)
    shuffle.shuffle(rows)
    assert dict(zip((row.order for row in rows), labels(rows), strict=True)) == found
