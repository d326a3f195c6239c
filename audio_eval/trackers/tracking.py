"""Tracking: tell a run's trackers what its log holds, each step once, and go on without one that fails.

``trackers.json`` in the run's directory says what each tracker was told. A step is noted there before it is told; where
a run is killed between the two, the tracker lacks that step, and no tracker ever has one twice. What the log has and a
tracker does not is told when the run goes on, so a tracker may also join a run later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from audio_eval.checksums import without_checksum
from audio_eval.errors import UserError
from audio_eval.redact import redacted
from audio_eval.store import read_json, write_json
from audio_eval.trackers.tracker import TrackedRun, Tracker, find_trackers

FILE = "trackers.json"
LIMIT = 60.0  # seconds that a run waits for a tracker, which has a network behind it
Steps = Iterable[tuple[int, Mapping[str, float]]]


class Tracked(BaseModel):
    """trackers.json: the ``id`` of the run, and by tracker the last step it was told; ``finished``: the figures too."""

    model_config = ConfigDict(extra="forbid")

    id: str
    logged: dict[str, int] = {}
    finished: list[str] = []


class Tracking:
    """The trackers of one run. ``warn`` is called once for a tracker that fails; the others go on."""

    def __init__(
        self, trackers: Mapping[str, type[Tracker]], folder: Path, task: str, spec: Mapping[str, Any],
        warn: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._folder, self._task, self._spec, self._warn = folder, task, redacted(spec), warn
        self._state = _read(folder) or Tracked(id=uuid4().hex[:8])
        self._trackers: dict[str, Tracker] = {}
        for name, tracker in {**trackers, **self._known_before(trackers)}.items():
            if name not in self._state.finished:
                self._trackers[name] = tracker()

    @contextmanager
    def sitting(self, steps: Callable[[], Steps]) -> Iterator[None]:
        """Open the trackers, tell them the ``steps`` that the log holds by now, and close them after the block."""
        opened = [name for name in [*self._trackers] if self._begin(name)]
        if opened:
            for step, metrics in steps():
                self.step(step, metrics)
        try:
            yield
        finally:
            for name in opened:
                if tracker := self._trackers.pop(name, None):
                    self._guarded(name, tracker.close)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Tell a step to the trackers that do not have it."""
        behind = [name for name in self._trackers if self._state.logged.get(name, -1) < step]
        if behind:
            self._note(logged={**self._state.logged, **dict.fromkeys(behind, step)})
        for name in behind:
            self._guarded(name, lambda tracker=self._trackers[name]: tracker.log(step, metrics))  # type: ignore[misc]

    def finish(self, figures: Mapping[str, float]) -> None:
        """Tell the final figures."""
        there = list(self._trackers)
        if there:
            self._note(finished=[*self._state.finished, *there])
        for name in there:
            self._guarded(name, lambda tracker=self._trackers[name]: tracker.finish(figures))  # type: ignore[misc]

    def _known_before(self, given: Mapping[str, type[Tracker]]) -> dict[str, type[Tracker]]:
        """The trackers that the run began with, as far as they are still there."""
        found: dict[str, type[Tracker]] = {}
        for name in self._state.logged.keys() - given.keys() - {*self._state.finished}:
            try:
                found |= find_trackers([name])
            except UserError as error:
                self._warn(f"tracker '{name}', which this run began with, is left out: {error}")
        return found

    def _begin(self, name: str) -> bool:
        again, logged = name in self._state.logged, self._state.logged.get(name, -1)
        run = TrackedRun(self._folder, self._folder.name, self._state.id, self._task, self._spec, again, logged)
        tracker = self._trackers[name]
        if not self._guarded(name, lambda: tracker.begin(run)):
            return False
        self._note(logged={**self._state.logged, name: logged})
        return True

    def _note(self, **changes: Any) -> None:
        self._state = self._state.model_copy(update=changes)
        write_json(self._folder / FILE, self._state.model_dump(), summed=True)

    def _guarded(self, name: str, call: Callable[[], object]) -> bool:
        """Whether the call ended well, and in time. Otherwise the tracker is let go with a warning."""
        reason = f"no answer within {LIMIT:.0f} s"
        outcome: list[BaseException | None] = []

        def work() -> None:
            try:
                call()
                outcome.append(None)
            except BaseException as error:  # its SystemExit must not end the run either
                outcome.append(error)

        thread = threading.Thread(target=work, name=f"tracker {name}", daemon=True)
        thread.start()
        thread.join(LIMIT)
        if outcome == [None]:
            return True
        if outcome:
            reason = f"{type(outcome[0]).__name__}: {' '.join(str(outcome[0]).split())[:300]}"
        self._trackers.pop(name, None)
        self._warn(f"tracker '{name}' failed and is left out from here on; the run goes on ({reason})")
        return False


def _read(folder: Path) -> Tracked | None:
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Tracked.model_validate(without_checksum(read_json(path), path))
    except (ValidationError, UserError):
        raise UserError(f"'{path}' is damaged: remove it, and the run is told to its trackers anew.") from None
