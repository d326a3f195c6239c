"""Session: what a method may use of its run. Samples, labels and steps are on the disk as soon as they exist."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from audio_eval.checkpoint_sums import check_logs, saved, seal, unseal
from audio_eval.group import Group
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.progress import Progress
from audio_eval.questions import Example, Question
from audio_eval.rl.checkpoints import Large, check_room, due, held_bytes, interval, remove, room
from audio_eval.rl.experience import Experience
from audio_eval.rl.meter import Meter
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import LabelRecord, StepRecord
from audio_eval.store import JsonLines, write_folder_atomic

T = TypeVar("T")
Ask = Callable[[Sequence[Question]], list[Group]]  # asks a policy about a batch of questions
# Called with the number of steps that are done and the metrics of the last one (none before the first).
Observer = Callable[[int, Mapping[str, float]], None]


class Session:
    """The run of a method. ``seed`` keys the method's random draws.

    ``examples`` are the labelled items of the training task, if there is one; nothing here leads to the answers of the
    scored task. ``meter`` is the one that counts what the policy does. ``save_every`` None: by the checkpoints' size.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        batch_size: int,
        examples: Sequence[Example] = (),
        progress: Progress | None = None,
        observer: Observer | None = None,
        save_every: int | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.seed, self.examples = seed, examples
        self._log, self._folder, self._batch_size = RunLog(folder), folder / "adapt", batch_size
        self._step_logs = {name: JsonLines(path) for name, path in self._log.step_files().items() if name != "curve"}
        self._progress, self._observer = progress or Progress(), observer
        self._every, self._meter = save_every, meter or Meter()
        self._chosen: dict[str, Any] = {}
        self._logged: dict[str, tuple[int, int]] = {}  # size and checksum of what the steps logged, by name
        self._mended: set[str] = set()  # names of ``generate`` whose file was looked at
        self._counted: list[str] = []  # names of ``generate`` whose samples the meter has
        self.notes: dict[str, Any] = {}

    def generate(self, name: str, policy: Policy, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """Groups for all questions, sampled batch by batch and kept in ``adapt/<name>.jsonl``.

        What is in the file already is read back, not sampled again.
        """
        return self.kept(name, questions, lambda part: policy.generate(part, sampling))

    def kept(self, name: str, questions: Sequence[Question], ask: Ask) -> list[Group]:
        """``generate`` with any way to ``ask`` a policy, such as scoring the options of its questions."""
        return self.reduced(name, questions, ask, lambda group: group)

    def reduced(self, name: str, questions: Sequence[Question], ask: Ask, reduce: Callable[[Group], T]) -> list[T]:
        """``kept``, but in memory there is only what ``reduce`` makes of each group.

        A question that failed before an interruption is asked again, unless a checkpoint was made since.
        """
        file = JsonLines(self._folder / f"{name}.jsonl", summed=True)
        known = {question.id: question for question in questions}
        if name not in self._mended:
            self._mended.add(name)
            if said := file.mend(lambda record: Group.from_json(record, known.get(record["id"], questions[0]))):
                self.warn(f"{said}.")
        groups = [Group.from_json(r, known[r["id"]]) for r in file.resume(self._batch_size, [q.id for q in questions])]
        if name in self._counted:  # before the checkpoint that the run went on from
            failed = []
            self._meter.note(groups)
        else:
            failed = [place for place, group in enumerate(groups) if group.error is not None]
            self._meter.count([group for group in groups if group.error is None])
            self._counted.append(name)
        found, done = [reduce(group) for group in groups], len(groups)
        if not failed:
            groups = []
        with self._progress.bar(name, len(questions), done - len(failed)) as bar:
            for places in to_ask(done, failed, len(questions), self._batch_size):
                sampled = ask([questions[place] for place in places])
                if places[0] < done:
                    for place, group in zip(places, sampled, strict=True):
                        groups[place], found[place] = group, reduce(group)
                    file.keep([group.to_json() for group in groups])
                else:
                    found += map(reduce, sampled)
                    file.append(group.to_json() for group in sampled)
                bar.advance(len(sampled), sum(group.audio_seconds for group in sampled))
        return found

    def record_labels(self, records: Iterable[dict[str, Any]]) -> None:
        """Write ``adapt/labels.jsonl``."""
        self._log.labels.keep(LabelRecord(**record) for record in records)

    def note(self, key: str, value: Any) -> None:
        """Add a fact about the adaptation to the result."""
        self.notes[key] = value

    def warn(self, text: str) -> None:
        """Tell the user now. What must stay in the result goes into a note."""
        self._progress.warn(text)

    def metrics(self) -> list[dict[str, float]]:
        """The logged metrics of the steps that are done."""
        return [record.model_dump() for record in self._log.steps.read()]

    def step_log(self, name: str) -> JsonLines:
        """What steps log: "rollouts" or "relabels". ``steps`` removes the records of steps that were not finished."""
        return self._step_logs[name]

    def log_rollouts(self, step: int, experience: Experience) -> None:
        """Log what a step sampled and trained on, for readers and the oracle. It is never read back here."""
        self._step_logs["rollouts"].append(experience.records(step))

    def steps(self, policy: TrainablePolicy, total: int) -> Iterator[int]:
        """Load the last checkpoint that is whole, if there is one, and yield the numbers of the steps still to do.

        ``UserError`` where the disk has no room for the checkpoints to come.
        """
        state = self._restore(policy)
        done = state.get("step", 0)
        if state:
            self._meter.samples, self._meter.audio_seconds = state["samples"], state["audio_seconds"]
            self._counted = state["counted"]
        self._settle(policy, done, total, state)
        for log in self._step_logs.values():
            if log.path.exists():
                log.keep([record for record in log.read() if record["step"] <= done])
        if self._observer and not done:
            self._observer(0, {})
        with self._progress.bar("adapt", total, done) as self._bar:
            yield from range(done, total)
        if total == 0:
            self._save(policy, 0, True)

    def step_done(self, policy: TrainablePolicy, step: int, total: int, metrics: dict[str, float]) -> None:
        """Log a step. Where a checkpoint is due, write it and remove the one before.

        The checkpoint comes last: a step that is killed before it is done and logged again.
        """
        self._log.steps.append(
            [StepRecord.model_validate({"step": step, **{k: round(float(v), 6) for k, v in metrics.items()}})]
        )
        if self._observer:
            self._observer(step, metrics)
        if step == total or step % (self._every or 1) == 0:
            self._save(policy, step, step == total)
        self._bar.advance(1, **metrics)

    def stop(self, policy: TrainablePolicy, step: int, rule: str) -> None:
        """End early because ``rule``, which was set before the run, holds: the model after ``step`` steps is scored."""
        self._save(policy, step, True)
        self.note("stopped", f"after step {step}: {rule}")

    def _settle(self, policy: TrainablePolicy, done: int, total: int, state: dict[str, Any]) -> None:
        """How often a checkpoint is due, where the user leaves that open: as before, else by its size.

        What was chosen by sizes is noted.
        """
        large = policy if isinstance(policy, Large) else None
        whole, weights = (large.checkpoint_bytes(only) if large else 0 for only in (False, True))
        self._chosen = dict(large.chosen) if large else {}
        if self._chosen:
            self.note("chosen", self._chosen)
        if done and (before := state.get("chosen", {})) != self._chosen:
            self.warn(f"the training began with {before} and goes on with {self._chosen}: its last bits will differ.")
        if self._every is None:
            self._every = int(state.get("save_every") or interval(whole))
            if self._every > 1:
                self.note("save_every", self._every)
        sizes = [weights if last else whole for last in due(done, total, self._every)]
        check_room(self._folder, room(sizes, held_bytes(self._folder)), "the training's checkpoints")

    def _save(self, policy: TrainablePolicy, step: int, last: bool) -> None:
        """``last``: no step follows, and what only a further step needs is left out."""
        folder = self._folder / f"step-{step:06d}"
        sized = policy if isinstance(policy, Large) else None
        remove([other for other in saved(self._folder) if other != folder][:-1])  # with the one to come there are two
        if sized:
            check_room(self._folder, sized.checkpoint_bytes(last), f"the checkpoint after step {step}", fewer=not last)
        state = {
            "step": step, "seed": self.seed, "samples": self._meter.samples,
            "audio_seconds": self._meter.audio_seconds, "counted": self._counted, "save_every": self._every,
            **({"chosen": self._chosen} if self._chosen else {}), "logs": self._sums_of_logs(),
        }  # fmt: skip

        def fill(temporary: Path) -> None:
            sized.save_weights(temporary) if sized and last else policy.save(temporary)
            seal(temporary, state)

        write_folder_atomic(folder, fill)

    def _restore(self, policy: TrainablePolicy) -> dict[str, Any]:
        """Load the last checkpoint that is whole, as is what its steps logged; returns its state, empty without one.

        Those that are damaged are said and removed.
        """
        found = saved(self._folder)
        remove(self._folder.glob("step-*.tmp"))
        for place, folder in reversed([*enumerate(found)]):
            try:
                state = unseal(folder)
                check_logs(state, self._log.step_files())
            except (ValueError, KeyError, TypeError) as error:
                then = f"the training goes on from {found[place - 1].name}" if place else "the training starts anew"
                self.warn(f"the checkpoint '{folder}' is damaged ({error}): {then}.")
                continue
            policy.load(folder)
            self._logged = dict(state.get("logs", {}))
            remove(found[place + 1 :])
            return state
        remove(found)
        return {}

    def _sums_of_logs(self) -> dict[str, tuple[int, int]]:
        """Size and CRC-32 of each file of what the steps logged; only what is new since the last call is read."""
        for name, path in self._log.step_files().items():
            size, told = self._logged.get(name, (0, 0))
            if path.is_file():
                with path.open("rb") as file:
                    file.seek(size)
                    new = file.read()
                self._logged[name] = size + len(new), zlib.crc32(new, told)
        return self._logged


def to_ask(done: int, failed: Collection[int], total: int, chunk: int) -> Iterator[list[int]]:
    """The places still to be asked, chunk by chunk: of the first ``done`` those that ``failed``, and all others."""
    for start in range(0, total, chunk):
        places = [place for place in range(start, min(start + chunk, total)) if place >= done or place in failed]
        if places:
            yield places
