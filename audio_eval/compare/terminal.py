"""A difference as tables for a terminal, at most ``WIDTH`` wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from audio_eval.compare.difference import STATES, Difference, GroupDifference, state
from audio_eval.compare.facts import facts
from audio_eval.compare.pair import Pair, Side
from audio_eval.compare.verdict import compared_on, points, verdict
from audio_eval.leaderboard.cells import NONE, plain, table
from audio_eval.leaderboard.columns import p_text
from audio_eval.scoring.statistics import Comparison

WIDTH = 120
GROUPS = 12  # labels of a kind
TEXT = 27  # characters of a name or an answer


def terminal_text(pair: Pair, found: Difference, items: int) -> str:
    """What differs between the runs, the verdict, the figures, the groups, and up to ``items`` items won and lost."""
    parts = [_runs(pair, found), *map(_wrapped, [" ".join(verdict(pair, found)), *pair.warnings])]
    parts += [_figures(found), _became(found), *_groups(pair, found), *_changed(pair, items)]
    return "\n\n".join(filter(None, parts))


def _runs(pair: Pair, found: Difference) -> str:
    head = [f"{name}  {plain(side.label)}  ({plain(side.folder)})" for name, side in (("A", pair.a), ("B", pair.b))]
    first = f"{plain(pair.a.summary.task)}, {compared_on(found)}"
    differing = [(fact.name, *fact.texts) for fact in facts(pair) if fact.differs]
    rows = [[_cut(text, 48) for text in line] for line in differing]
    return "\n".join([first, *head, *([_table(rows, ["differs", "A", "B"], left=3)] if rows else [])])


def _figures(found: Difference) -> str:
    a, b = found.sides
    percents = ["{:.1f} [{:.1f}, {:.1f}]".format(side.accuracy, *side.interval) for side in (a, b)]
    readable = [NONE if side.of_readable is None else f"{side.of_readable:.1f} (n {side.readable})" for side in (a, b)]
    lines = [
        ["accuracy %", *percents, *_compared(found.whole)],
        ["of it: responses read in one run alone", "", "", *_compared(found.reading)],
        ["of it: other answers", "", "", *_compared(found.answers)],
        ["right of the readable %", *readable, "", "", "", ""],
    ]
    return _table(lines, ["", "A", "B", "B - A [95 % CI]", "won", "lost", "p"])


def _compared(found: Comparison) -> list[str]:
    return [points(found), f"{found.won:.0f}", f"{found.lost:.0f}", p_text(found.p_value)]


def _became(found: Difference) -> str:
    lines = [[f"A {a}", *(str(found.became[a][b]) for b in STATES)] for a in STATES]
    told = f"{found.alike} items got the same option from both."
    return f"{_table(lines, ['items', *(f'B {b}' for b in STATES)])}\n{told}"


def _groups(pair: Pair, found: Difference) -> Iterator[str]:
    for kind in found.kinds:
        if kind in pair.a.summary.groups:
            yield _group([group for group in found.groups if group.kind == kind])


def _group(groups: Sequence[GroupDifference]) -> str:
    most = sorted(groups, key=lambda group: -abs(group.compared.won - group.compared.lost))[:GROUPS]
    lines = []
    for group in groups:
        if group in most:
            n, shares = group.compared.n, [f"{100 * right / group.compared.n:.1f}" for right in group.right]
            lines.append([_cut(group.name, TEXT), str(n), *shares, *_compared(group.compared), p_text(group.p_holm)])
    headers = [_cut(groups[0].kind, TEXT), "n", "A %", "B %", "B - A [95 % CI]", "won", "lost", "p", "p (Holm)"]
    rest = f"\n{len(groups) - len(most)} more, which changed less." if len(groups) > len(most) else ""
    return _table(lines, headers) + rest


def _changed(pair: Pair, items: int) -> Iterator[str]:
    a, b = pair.a.outcomes, pair.b.outcomes
    for title, won in (("won by B", True), ("lost by B", False)):
        ids = [id_ for id_ in pair.ids if a[id_].correct is not won and b[id_].correct is won]
        if ids and items:
            lines = [_item(pair, id_) for id_ in ids[:items]]
            rest = f"\n{len(ids) - items} more." if len(ids) > items else ""
            yield _table(lines, [title, "gold", "A said", "B said"], left=4) + rest


def _item(pair: Pair, id_: str) -> list[str]:
    gold = _cut(pair.a.samples[id_].gold or NONE, TEXT)
    return [_cut(id_, TEXT), gold, *(_said(side, id_) for side in (pair.a, pair.b))]


def _said(side: Side, id_: str) -> str:
    response = side.samples[id_].response
    text = NONE if response is None else plain(response.response) or "nothing"
    return _cut(f"unreadable: {text}" if state(side.outcomes[id_]) == "unreadable" else text, TEXT)


def _table(lines: list[list[str]], headers: list[str], left: int = 1) -> str:
    return table(lines, headers, "plain", right=range(left, len(headers)))


def _cut(text: str, width: int) -> str:
    safe = plain(text)
    return safe if len(safe) <= width else f"{safe[: width - 1]}…"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH))
