"""Progress on stderr: bars on a terminal, plain lines elsewhere, with speed, time left and the last metrics."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from audio_eval.progress import Bar, Progress
from audio_eval.terminal import draws, say

SHOWN = {"reward": "reward", "vote_share": "votes", "entropy": "entropy", "skipped_groups": "skipped"}
LINE_EVERY = 15.0  # seconds between plain lines


def terminal_progress() -> Progress:
    """Bars for a terminal, lines for a log."""
    return _Rich() if draws(sys.stderr) else _Lines()


class _Rates(Bar):
    """A bar that knows how fast it goes."""

    def __init__(self, label: str, total: int, done: int) -> None:
        self.label, self.total, self.done, self.before = label, total, done, done
        self.audio, self.metrics, self.began = 0.0, "", time.monotonic()

    def advance(self, items: int, audio_seconds: float = 0.0, **metrics: float) -> None:
        """Count and show."""
        self.done += items
        self.audio += audio_seconds
        shown = [f"{name} {metrics[key]:.2f}" for key, name in SHOWN.items() if key in metrics]
        self.metrics = " ".join(shown)
        self.show()

    def rates(self) -> str:
        """Items per second, audio seconds per second, the last metrics."""
        elapsed = max(time.monotonic() - self.began, 1e-6)
        speed = f"{(self.done - self.before) / elapsed:.1f}/s"
        audio = f", audio {self.audio / elapsed:.0f} s/s" if self.audio else ""
        return f"{speed}{audio} {self.metrics}".rstrip()

    def show(self) -> None:
        """Draw; done by subclasses."""


class _Stderr(Progress):
    def warn(self, text: str) -> None:
        """Print a line; rich shows it above its bars."""
        say(f"    warning: {text}", err=True)


class _Lines(_Stderr):
    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Print a line every few seconds, and one at the end."""
        bar = _LineBar(label, total, done)
        yield bar
        bar.line(final=True)


class _LineBar(_Rates):
    last = 0.0

    def show(self) -> None:
        """Print a line if the last one is older than ``LINE_EVERY``."""
        if time.monotonic() - max(self.last, self.began) > LINE_EVERY:
            self.line()

    def line(self, final: bool = False) -> None:
        """Print a line with the time left, or the time taken at the end."""
        self.last = time.monotonic()
        gone = self.done - self.before
        left = (self.last - self.began) / gone * (self.total - self.done) if gone else 0.0
        tail = f"{self.last - self.began:.0f} s" if final else f"{left:.0f} s left"
        say(f"    {self.label} {self.done}/{self.total} {self.rates()}, {tail}", err=True)


class _Rich(_Stderr):
    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Bar]:
        """Show a bar, which stays on the screen when it is full."""
        columns = (
            TextColumn("    {task.description:<8}"), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"), TimeRemainingColumn(),
        )  # fmt: skip
        with RichProgress(*columns, console=Console(stderr=True)) as progress:
            yield _RichBar(progress, label, total, done)


class _RichBar(_Rates):
    def __init__(self, progress: RichProgress, label: str, total: int, done: int) -> None:
        super().__init__(label, total, done)
        self.progress = progress
        self.task = progress.add_task(escape(label), total=total, completed=done, rates="")

    def show(self) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=self.done, rates=self.rates())
