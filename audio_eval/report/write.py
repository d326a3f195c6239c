"""Write the page of a run into its directory: when it has ended, on demand, and now and then while it is under way."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from audio_eval.errors import of_system
from audio_eval.progress import Bar, Progress
from audio_eval.runlog import RunLog
from audio_eval.store import write_output

FILE = "report.html"
BUDGET = 8 * 2**20  # bytes of recordings in a page that is asked for; the others are linked
BUDGET_AT_END = 2**20  # in the page that every run writes at its end, which nobody asked to wait for
SELDOM = 30.0  # seconds between two pages of a run under way, at least
SHARE = 0.02  # of a run's time that its pages may take
_LINKED = re.compile(r'"src":"(?!data:)[^"]*"')


def write_report(run: Path, budget: int = BUDGET, against: Path | None = None) -> Path:
    """Write ``report.html`` into the directory of a run, finished or under way; returns its path.

    ``UserError`` where there is no run, or one that is damaged. ``budget``: bytes of recordings to embed; none of a run
    under way, whose page is written again and again.
    """
    from audio_eval.clips import Clips, beside
    from audio_eval.report.page import report_page

    clips = Clips(budget if RunLog(run).finished else 0, link=beside(run))
    write_output(run / FILE, report_page(run, clips, against=against).encode())
    return run / FILE


def unlinked(page: str) -> str:
    """The text of a page without the places of the recordings that it links to, for readers elsewhere."""
    return _LINKED.sub('"src":null,"note":"it was not embedded in this page"', page)


class Reports(Progress):
    """Progress that is ``shown`` elsewhere, and with which the page of a run is written while it goes on.

    Whatever goes wrong with a page is a warning, and never ends a run.
    """

    def __init__(self, shown: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown, self._clock = shown, clock
        self._run: Path | None = None
        self._due = 0.0

    @contextmanager
    def of(self, run: Path) -> Iterator[None]:
        """Write the pages of ``run``, which the block runs; the last one when the block has ended well.

        Nothing is written of a run that had ended before and has its page.
        """
        if RunLog(run).finished and (run / FILE).is_file():
            yield
            return
        self._run, self._due = run, self._clock() + SELDOM
        try:
            yield
            self._write(run)
        finally:
            self._run = None

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Bar]:
        """The bar that is shown."""
        with self._shown.bar(label, total, done) as bar:
            yield _Watched(bar, self._grown)

    def warn(self, text: str) -> None:
        """What is shown."""
        self._shown.warn(text)

    def _grown(self) -> None:
        if self._run and self._clock() >= self._due:
            self._write(self._run)

    def _write(self, run: Path) -> None:
        began = self._clock()
        try:
            write_report(run, BUDGET_AT_END)
        except Exception as error:  # a page is not worth a run
            told = of_system(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            self.warn(f"{run / FILE} cannot be written: {' '.join(told.split())[:300]}")
            self._due = math.inf  # once more at the end
        else:
            now = self._clock()
            self._due = now + max(SELDOM, (now - began) / SHARE)


class _Watched(Bar):
    """A bar after whose every advance, when the files of the run have grown, ``grown`` is called."""

    def __init__(self, shown: Bar, grown: Callable[[], None]) -> None:
        self._shown, self._grown = shown, grown

    def advance(self, items: int, audio_seconds: float = 0.0, **metrics: float) -> None:
        self._shown.advance(items, audio_seconds, **metrics)
        self._grown()
