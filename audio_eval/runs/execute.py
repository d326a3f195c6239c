"""Execute a RunSpec: adapt, predict, score; every stage goes on where an interrupted run left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audio_eval.errors import NotHere, UserError
from audio_eval.group import Group
from audio_eval.method import Prediction
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy, scoring
from audio_eval.progress import Progress
from audio_eval.questions import Question
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session
from audio_eval.rl.shared_draws import SharedDraws
from audio_eval.runlog import Result, RunLog, RunSpec
from audio_eval.runlog.records import CurvePoint, Notes, ResponseRecord
from audio_eval.runs.environment import environment
from audio_eval.runs.identity import check_same, identify, in_order
from audio_eval.runs.inputs import Inputs, Loader, question_records
from audio_eval.runs.overlap import learned_by_adapter
from audio_eval.runs.result import score_run, write_result
from audio_eval.runs.tracked import curve_metrics, figures, steps
from audio_eval.runs.trust import remember_named
from audio_eval.scoring.graders import Graders
from audio_eval.store import lock_dir
from audio_eval.trackers import Tracker, Tracking
from audio_eval.usage import Usage, total


class Executor:
    """Runs specs one after another; tasks, models and votes of a task are kept from one to the next.

    ``trackers`` are told the steps and figures of each run, as are those that a resumed run began with.
    """

    def __init__(
        self, progress: Progress | None = None, trackers: Mapping[str, type[Tracker]] | None = None
    ) -> None:  # fmt: skip
        self.progress, self.loader, self.trackers = progress or Progress(), Loader(), trackers or {}
        self._warned: set[tuple[str, str]] = set()
        self._shared: SharedDraws | None = None

    def run(self, spec: RunSpec, folder: Path) -> Result:
        """Run, or finish, ``spec`` in ``folder``; a run that has ended is not repeated.

        ``UserError`` where the folder's run began with another model, method, task or item: see ``Identity``.
        """
        log = RunLog(folder)
        graders = Graders.of(spec.judge, spec.judge_model, spec.similarity)
        inputs = self.loader.inputs(spec)
        inputs.check()
        self.loader.policy_key(spec)  # a mistake in the model's folder or the adapter's is said here
        if log.finished:
            return self._finished(log, inputs)
        folder.mkdir(parents=True, exist_ok=True)  # not before: a mistake in the flags leaves nothing behind
        with lock_dir(folder):
            if log.finished:  # by the process that held the lock until now
                return self._finished(log, inputs)
            policy = self.loader.policy(spec)
            if inputs.method.trains and not isinstance(policy, TrainablePolicy):
                raise UserError(f"method '{spec.method}' trains, and '{policy.info.name}' can only generate.")
            if inputs.method.needs_logprobs:
                scoring(policy)
            inputs, meter, tracking = self._begin(log, inputs), Meter(), self._tracking(log, spec)
            with tracking.sitting(lambda: steps(log)):
                with log.sitting(lambda: meter.earlier_seconds, lambda: meter.given_seconds):
                    self._adapt_and_answer(log, inputs, policy, meter, tracking)
                graded = score_run(log, inputs.task, {q.id for q in inputs.scored_on}, graders)
                result = write_result(log, inputs, policy.info, graded)
                tracking.finish(figures(result))
            return result

    def _finished(self, log: RunLog, inputs: Inputs) -> Result:
        """The result of a run that has ended, if it is of what there is now."""
        try:
            model = self.loader.model_digests(inputs.spec)
        except NotHere:
            raise NotHere(
                f"'{log.folder}' has ended, but whether it is of the same weights is not known, as those of "
                f"'{inputs.spec.model}' are not on this machine: audio-eval leaderboard shows it as it is."
            ) from None
        check_same(log, inputs.spec, identify(inputs, model))
        result = log.result()
        if self.trackers:
            tracking = self._tracking(log, inputs.spec)
            with tracking.sitting(lambda: steps(log)):
                tracking.finish(figures(result))
        return result

    def _tracking(self, log: RunLog, spec: RunSpec) -> Tracking:
        return Tracking(self.trackers, log.folder, spec.task, spec.model_dump(mode="json"), self.progress.warn)

    def _begin(self, log: RunLog, inputs: Inputs) -> Inputs:
        """Write what is known before the first sample, or check that it is still so; returns the inputs in the order
        that the run began with. Say where a resumed run has other threads, and where scored items are learned from.
        """
        identity = identify(inputs, self.loader.model_digests(inputs.spec))
        if log.begun:
            inputs = in_order(inputs, check_same(log, inputs.spec, identity))
        else:
            log.write_identity(identity)
            remember_named(inputs.spec)
        if inputs.spec.adapter:
            scored_on = {question.id for question in inputs.scored_on}
            known = learned_by_adapter(inputs.spec.adapter, identity, scored_on)
            inputs = replace(inputs, overlap=(*inputs.overlap, *known))
        for tag in inputs.overlap:
            if (inputs.task.label, tag) not in self._warned:  # once for all methods and seeds
                self.progress.warn(f"{inputs.task.label}: {tag}; every table will say so.")
            self._warned.add((inputs.task.label, tag))
        before, now = log.environment(), environment()
        if before is None:
            log.write_environment(now)
        elif before.threads != now.threads:
            self.progress.warn(
                f"this run began with {before.threads} threads and goes on with {now.threads}: the last bits of what "
                f"it trains will differ. To keep them, set OMP_NUM_THREADS={before.threads}."
            )
        log.write_spec(inputs.spec)
        log.questions.keep(question_records(inputs.recorded, inputs.spec.audio, inputs.spec.seed))
        return inputs

    def _adapt_and_answer(
        self, log: RunLog, inputs: Inputs, policy: Policy, meter: Meter, tracking: Tracking
    ) -> None:  # fmt: skip
        spec, curve = inputs.spec, _Curve(log, inputs, policy)

        def observe(step: int, metrics: Mapping[str, float]) -> None:
            found = {**metrics, **curve.at(step)}
            if found:
                tracking.step(step, found)

        session = Session(
            log.folder,
            spec.seed,
            spec.batch_size,
            examples=inputs.examples,
            progress=self.progress,
            observer=observe,
            save_every=spec.save_every,
            meter=meter,
        )
        counted = metered(policy, meter, spec.seed, self._draws(policy, spec.task))
        inputs.method.adapt(counted, inputs.adapted_on, session)
        adapting, adapting_usage = meter.samples, total(meter.take_usage(list(meter.usage)).values())
        self._answer(log, inputs, counted, meter)
        answered = log.responses.read()  # those of before an interruption too
        truncated = meter.truncated | {record.id for record in answered if record.truncated}
        unreadable = meter.failed | {record.id: record.unreadable for record in answered if record.unreadable}
        log.write_notes(
            Notes(
                **session.notes, adapt_samples=adapting, adapt_usage=adapting_usage, truncated=sorted(truncated),
                unreadable=dict(sorted(unreadable.items())),
                trained_parameters=policy.trained_parameters if isinstance(policy, TrainablePolicy) else None,
            )
        )  # fmt: skip

    def _draws(self, policy: Policy, task: str) -> SharedDraws:
        """What runs on the same policy and task share; those of the task before are let go."""
        if self._shared is None or self._shared.policy is not policy or self._shared.task != task:
            self._shared = SharedDraws(policy, task)
        return self._shared

    def _answer(self, log: RunLog, inputs: Inputs, policy: Policy, meter: Meter) -> None:
        questions, size = inputs.scored_on, inputs.spec.batch_size
        done = len(log.responses.resume(size, [question.id for question in questions]))
        with self.progress.bar("answer", len(questions), done) as bar:
            for start in range(done, len(questions), size):
                chunk = questions[start : start + size]
                samples, seconds = meter.samples, meter.audio_seconds
                answers = inputs.method.predict(policy, chunk)
                if len(answers) != len(chunk):
                    raise UserError(
                        f"method '{inputs.spec.method}' gave {len(answers)} responses to {len(chunk)} questions."
                    )
                each = (meter.samples - samples) / len(chunk)
                used = meter.take_usage(question.id for question in chunk)
                log.responses.append(_response(*pair, each, meter, used) for pair in zip(chunk, answers, strict=True))
                bar.advance(len(chunk), meter.audio_seconds - seconds)


class _Curve:
    """Scores the policy along the way. Only the harness sees the curve, and nothing is chosen by it.

    It asks the policy itself, so that its samples are not counted as the method's.
    """

    def __init__(self, log: RunLog, inputs: Inputs, policy: Policy) -> None:
        self.file, self.inputs, self.policy = log.curve, inputs, policy

    def at(self, step: int) -> dict[str, float]:
        """The point of the curve at this step as metrics, scored unless it has been; empty where none is due."""
        every = self.inputs.spec.curve_every
        if not every or step % every:
            return {}
        point = next((point for point in self.file.read() if point.step == step), None)
        return curve_metrics(point or self._score(step))

    def _score(self, step: int) -> CurvePoint:
        task, questions = self.inputs.task, self.inputs.scored_on
        responses = {g.question.id: g.best() for g in self.policy.generate(questions, Sampling())}
        figures = task.figures(task.score(responses, responses).scores)
        point = CurvePoint(step=step, accuracy=figures.accuracy, unparsable=figures.unparsable)
        self.file.append([point])
        return point


def _response(
    question: Question, answer: Prediction | str, samples: float, meter: Meter, used: Mapping[str, Usage]
) -> ResponseRecord:  # fmt: skip
    """A line of responses.jsonl, with what was wrong with the question's audio."""
    said = Prediction(answer) if isinstance(answer, str) else answer
    return ResponseRecord(
        id=question.id,
        response=said.text,
        samples=samples,
        unreadable=meter.failed.get(question.id),
        truncated=question.id in meter.truncated,
        groups=tuple(map(_counted, said.groups)),
        confidence=said.confidence,
        likelihoods=dict(said.likelihoods),
        usage=used.get(question.id),
    )


def _counted(group: Group) -> tuple[tuple[str, int], ...]:
    return tuple((c.text, n) for c, n in zip(group.completions, group.counts, strict=True))
