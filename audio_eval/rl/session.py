"""Session: what a method may use of its run. Samples, labels and steps are on the disk as soon as they exist."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.group import Completion, Group
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy
from audio_eval.progress import Progress
from audio_eval.questions import Example, Question
from audio_eval.store import JsonLines, read_json, write_folder_atomic, write_json

if TYPE_CHECKING:
    from audio_eval.rl.loop import Experience

STEP_LOGS = ("rollouts", "relabels")  # below adapt/: what a step draws and elects, with the step in each record
Observer = Callable[[int, Policy], None]


class Session:
    """``seed`` keys the method's own draws; ``examples`` are the labelled items of the training task, if any.

    There is no way from here to the scored task's answers.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        batch_size: int,
        examples: Sequence[Example] = (),
        progress: Progress | None = None,
        observer: Observer | None = None,
        save_every: int = 1,
    ) -> None:
        self.seed, self.examples = seed, examples
        self._folder, self._batch_size = folder / "adapt", batch_size
        self._metrics = JsonLines(folder / "metrics.jsonl")
        self._step_logs = {"metrics": self._metrics}
        for name in STEP_LOGS:
            self._step_logs[name] = JsonLines(self._folder / f"{name}.jsonl")
        self._progress, self._observer = progress or Progress(), observer
        self._save_every = save_every
        self.notes: dict[str, Any] = {}

    def generate(self, name: str, policy: Policy, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """Groups for all questions, drawn batch by batch and kept in ``adapt/<name>.jsonl``."""
        file = JsonLines(self._folder / f"{name}.jsonl")
        known = {question.id: question for question in questions}
        groups = [Group.from_json(r, known[r["id"]]) for r in file.resume(self._batch_size, len(questions))]
        policy.usage.samples += sum(group.size for group in groups)  # drawn before the interruption
        policy.usage.failed |= {group.question.id: group.error for group in groups if group.error}
        with self._progress.bar(name, len(questions), len(groups)) as bar:
            for start in range(len(groups), len(questions), self._batch_size):
                seconds = policy.usage.audio_seconds
                drawn = policy.generate(questions[start : start + self._batch_size], sampling)
                file.append(group.to_json() for group in drawn)
                groups += drawn
                bar.advance(len(drawn), policy.usage.audio_seconds - seconds)
        return groups

    def record_labels(self, records: Iterable[dict[str, Any]]) -> None:
        """Write ``adapt/labels.jsonl``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        JsonLines(self._folder / "labels.jsonl").keep(list(records))

    def note(self, key: str, value: Any) -> None:
        """A fact about the adaptation for the result."""
        self.notes[key] = value

    def warn(self, text: str) -> None:
        """Tell the user now; what must stay known goes into a note."""
        self._progress.warn(text)

    def metrics(self) -> list[dict[str, float]]:
        """What the steps that are done have logged."""
        return self._metrics.read()

    def step_log(self, name: str) -> JsonLines:
        """A file of ``STEP_LOGS``; ``steps`` cuts it back to the steps that are done."""
        return self._step_logs[name]

    def log_rollouts(self, step: int, experience: Experience) -> None:
        """What a step drew, learnt from and took for right: for readers and for the oracle, never read back here."""
        whole = experience.drawn or experience.groups
        judged: Sequence[Sequence[Any]] = experience.judged or [[None] * len(g.completions) for g in whole]  # type: ignore
        self._step_logs["rollouts"].append(
            {
                "step": step,
                "id": group.question.id,
                "choices": group.question.choices,
                "label": experience.labels.get(group.question.id),
                # text, times drawn, times learnt from, how right it was taken to be
                "completions": [
                    [c.text, n, learnt.get(c, 0), None if r is None else round(float(r), 4)]
                    for c, n, r in zip(group.completions, group.counts, values, strict=True)
                ],
            }
            for group, values, learnt in zip(whole, judged, map(_counted, experience.groups), strict=True)
        )

    def steps(self, policy: TrainablePolicy, total: int) -> Iterator[int]:
        """The steps still to be done, after the last one that was saved was loaded again."""
        last = self._last_saved()
        if last is not None:
            policy.load(last)
            state = read_json(last / "state.json")
            policy.usage.samples = state["samples"]
            policy.usage.audio_seconds = state["audio_seconds"]
        done = 0 if last is None else state["step"]
        for log in self._step_logs.values():
            if log.path.exists():
                log.keep([record for record in log.read() if record["step"] <= done])
        if self._observer and not done:
            self._observer(0, policy)
        with self._progress.bar("adapt", total, done) as self._bar:
            yield from range(done, total)
        if total == 0:
            self._save(policy, 0)

    def step_done(self, policy: TrainablePolicy, step: int, total: int, metrics: dict[str, float]) -> None:
        """Log a step; where one is due, keep its checkpoint and drop the one before.

        The checkpoint comes last: a step that was killed before it is done and logged again.
        """
        self._metrics.append([{"step": step, **{k: round(float(v), 6) for k, v in metrics.items()}}])
        if self._observer:
            self._observer(step, policy)
        if step == total or step % self._save_every == 0:
            self._save(policy, step)
        self._bar.advance(1, **metrics)

    def stop(self, policy: TrainablePolicy, step: int, rule: str) -> None:
        """End before the fixed step, by a rule that was stated beforehand: ``step`` updates are what is scored."""
        if (self._last_saved() or Path()).name != f"step-{step:06d}":
            self._save(policy, step)
        self.note("stopped", f"after step {step}: {rule}")

    def _save(self, policy: TrainablePolicy, step: int) -> None:
        folder = self._folder / f"step-{step:06d}"
        usage = {"samples": policy.usage.samples, "audio_seconds": policy.usage.audio_seconds}

        def fill(temporary: Path) -> None:
            policy.save(temporary)
            write_json(temporary / "state.json", {"step": step, "seed": self.seed, **usage})

        write_folder_atomic(folder, fill)
        for other in self._folder.glob("step-*"):  # the one before, and what a kill has left
            if other != folder:
                shutil.rmtree(other)

    def _last_saved(self) -> Path | None:
        found = [p for p in sorted(self._folder.glob("step-*")) if (p / "state.json").is_file() and p.suffix != ".tmp"]
        return found[-1] if found else None


def _counted(group: Group) -> dict[Completion, int]:
    return dict(zip(group.completions, group.counts, strict=True))
