"""compare.html: the verdict, the figures, the groups, and every item of two runs side by side with its sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_eval.clips import ALLOW, Clips, Hearing
from audio_eval.compare.difference import Difference, SideFigures, difference
from audio_eval.compare.facts import facts
from audio_eval.compare.items import item_record
from audio_eval.compare.pair import Pair
from audio_eval.compare.verdict import compared_on, verdict
from audio_eval.leaderboard.cells import NONE, plain
from audio_eval.leaderboard.columns import p_text
from audio_eval.leaderboard.reproduce import command
from audio_eval.pages import Page
from audio_eval.report.sample import legible
from audio_eval.runlog import RunLog
from audio_eval.scoring.statistics import Comparison

PAGE = Page(
    "audio_eval.compare",
    "compare.html",
    styles=("audio_eval.report:sample.css", "audio_eval.clips:player.css", "compare.css"),
    scripts=(
        "audio_eval.report:sample.js", "audio_eval.clips:player.js", "figures.js", "items.js", "groups.js", "runs.js",
        "compare.js",
    ),
    allow=ALLOW,
)  # fmt: skip


def compare_page(
    a: Path, b: Path, clips: Clips, view: Page = PAGE, reports: Sequence[str | None] = (None, None)
) -> str:
    """The text of the page of two runs. ``view`` is ``PAGE``, or that with what a server adds; ``reports`` are the
    addresses of their own pages. ``UserError`` where they cannot be compared.
    """
    pair = Pair.load(a, b)
    return page(pair, difference(pair), clips, view, reports)


def page(
    pair: Pair, found: Difference, clips: Clips, view: Page = PAGE, reports: Sequence[str | None] = (None, None)
) -> str:
    """The same of a pair that is read already.

    Sounds of items that one run alone has right are the first to be embedded.
    """
    hearings = [Hearing(RunLog(side.folder)) for side in (pair.a, pair.b)]
    items: dict[str, dict[str, Any]] = {}
    for id_ in sorted(pair.ids, key=lambda id_: pair.a.outcomes[id_].correct == pair.b.outcomes[id_].correct):
        items[id_] = item_record(pair, id_, clips, hearings)
    sides = zip((pair.a, pair.b), reports, strict=True)
    data = {
        "runs": [
            {"label": plain(side.label), "report": report,
             "command": plain(command([side.summary], side.row.runs[0].flags))}
            for side, report in sides
        ],
        "verdict": verdict(pair, found),
        "warnings": list(pair.warnings),
        "figures": _figures(found),
        "ofReadable": list(map(_of_readable, found.sides)),
        "became": found.became,
        "alike": found.alike,
        "groups": [{"kind": legible(kind), "rows": _groups(found, kind)} for kind in found.kinds],
        "facts": [{"name": fact.name, "a": fact.texts[0], "b": fact.texts[1]} for fact in facts(pair)],
        "items": [items[id_] for id_ in pair.ids],
        "sounds": clips.sounds,
    }  # fmt: skip
    title = f"{plain(pair.a.label)} and {plain(pair.b.label)}"
    return view.render(title, data, task=plain(pair.a.summary.task), items=compared_on(found))


def _figures(found: Difference) -> list[dict[str, Any]]:
    percents = ["{:.1f} [{:.1f}, {:.1f}]".format(side.accuracy, *side.interval) for side in found.sides]
    return [
        {"title": "accuracy %", "a": percents[0], "b": percents[1], **_compared(found.whole)},
        {"title": "of it: read in one run alone", "a": "", "b": "", **_compared(found.reading)},
        {"title": "of it: other answers", "a": "", "b": "", **_compared(found.answers)},
    ]


def _of_readable(found: SideFigures) -> str:
    return NONE if found.of_readable is None else f"{found.of_readable:.1f} % of {found.readable}"


def _groups(found: Difference, kind: str) -> list[dict[str, Any]]:
    return [
        {
            "title": legible(group.name), "n": group.compared.n,
            **{key: 100 * right / group.compared.n for key, right in zip("ab", group.right, strict=True)},
            **_compared(group.compared), "pHolm": group.p_holm, "pHolmText": p_text(group.p_holm),
        }
        for group in found.groups
        if group.kind == kind
    ]  # fmt: skip


def _compared(found: Comparison) -> dict[str, Any]:
    return {
        "low": round(found.low, 3), "mid": round(found.difference, 3), "high": round(found.high, 3),
        "won": round(found.won), "lost": round(found.lost), "p": found.p_value, "pText": p_text(found.p_value),
    }  # fmt: skip
