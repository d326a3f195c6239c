"""A report as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from audio_eval.validation.report import Bin, Figures, Finding, Report

MOST = 20  # lines per check
BAR = 40  # characters of the longest bar
Key = TypeVar("Key", int, str)


def report_lines(report: Report, whole: Iterable[str] = ()) -> Iterator[str]:
    """Errors, notes and the figures of recordings. Checks named in ``whole`` are not cut after ``MOST`` lines."""
    count = "items not read" if report.items is None else _many(report.items, "item")
    yield f"{report.task}: {count}, {report.source}"
    if not report.errors:
        yield "  no errors"
    for kind, findings in (("error", report.errors), ("note", report.notes)):
        for check in dict.fromkeys(finding.check for finding in findings):
            yield from _finding(kind, check, [f for f in findings if f.check == check], check in whole)
    if report.audio:
        yield from _audio(report.audio, report.items or 0)


def summary(reports: list[Report]) -> str:
    """One line on all tasks."""
    errors, notes = sum(len(report.errors) for report in reports), sum(len(report.notes) for report in reports)
    said = ", ".join([_many(len(reports), "task"), _many(errors, "error"), _many(notes, "note")])
    return f"{'not ok' if errors else 'ok'}: {said}"


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def _finding(kind: str, check: str, findings: list[Finding], whole: bool) -> Iterator[str]:
    if len(findings) == 1 and not findings[0].id:
        yield f"  {kind}: {check}: {findings[0].detail}"
        return
    yield f"  {kind}: {check}: {len(findings)}"
    shown = findings if whole else findings[:MOST]
    for finding in shown:
        yield f"    {finding.id}: {finding.detail}"
    if len(findings) > len(shown):
        yield f"    ... and {len(findings) - len(shown)} more (--json has all)"


def _audio(figures: Figures, items: int) -> Iterator[str]:
    yield (
        f"  recordings: {figures.recordings} readable, of {figures.items} of {_many(items, 'item')}; "
        f"{figures.seconds / 3600:.2f} hours, {figures.shortest:.2f} to {figures.longest:.2f} s"
    )
    most, width = max(one.n for one in figures.durations), max(len(str(one.n)) for one in figures.durations)
    for one in figures.durations:
        yield f"    {_label(one):>9}  {one.n:>{width}}  {'#' * -(-BAR * one.n // most)}".rstrip()
    yield f"    Hz: {_counts(figures.rates)}"
    yield f"    channels: {_counts(figures.channels)}"
    yield f"    format by content: {_counts(figures.formats)}"
    if figures.misnamed:
        yield f"    name and content differ: {_counts(figures.misnamed)}"


def _label(one: Bin) -> str:
    return f"{one.start:g}-{one.end:g} s" if one.end else f"{one.start:g} s up"


def _counts(counts: Counter[Key]) -> str:
    return ", ".join(f"{key} ({n})" for key, n in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
