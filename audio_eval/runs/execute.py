"""Execute a RunSpec: adapt, predict, score; every stage goes on where an interrupted run left it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audio_eval.checkpoint_sums import saved
from audio_eval.errors import NotHere, TooManyErrors, UserError
from audio_eval.group import Group
from audio_eval.method import Prediction, check_answers
from audio_eval.models.policy import Policy, Sampling, TrainablePolicy, scoring
from audio_eval.ownership import lock_dir, tidy
from audio_eval.progress import Progress
from audio_eval.questions import Question
from audio_eval.rl.checkpoints import remove
from audio_eval.rl.error_budget import ErrorBudget
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session, to_ask
from audio_eval.rl.shared_draws import SharedDraws
from audio_eval.runlog import Result, RunLog, RunSpec, damage
from audio_eval.runlog.records import CurvePoint, Environment, Notes, ResponseRecord
from audio_eval.runlog.spec import MAX_ERRORS, errors_allowed
from audio_eval.runs.ablation import digests
from audio_eval.runs.environment import environment
from audio_eval.runs.identity import check_same, identify, in_order
from audio_eval.runs.inputs import Inputs, Loader, question_records
from audio_eval.runs.overlap import learned_by_adapter
from audio_eval.runs.result import score_run, write_result
from audio_eval.runs.tracked import curve_metrics, figures, steps
from audio_eval.runs.trust import remember_named
from audio_eval.scoring.graders import Graders
from audio_eval.scoring.scores import Score
from audio_eval.store import make_folder
from audio_eval.trackers import Tracker, Tracking
from audio_eval.usage import Usage, total


class Executor:
    """Runs specs one after another; tasks, models and votes of a task are kept from one to the next.

    ``trackers`` are told the steps and figures of each run, as are those that a resumed run began with. ``ahead`` are
    all specs that it will run, where they are known: votes of a run that is alone on its task are for nobody else.
    """

    def __init__(
        self, progress: Progress | None = None, trackers: Mapping[str, type[Tracker]] | None = None,
        ahead: Sequence[RunSpec] = (),
    ) -> None:  # fmt: skip
        self.progress, self.loader, self.trackers = progress or Progress(), Loader(), trackers or {}
        self._alone = {task for task, runs in Counter(spec.task for spec in ahead).items() if runs == 1}
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
        if log.finished and (result := self._finished(log, inputs)):
            tidy(folder)
            return result
        # of a new run before anything is written; of a resumed one a changed item is named first
        budget = None if log.begun else _budget(inputs)
        make_folder(folder)  # not before: a mistake in the flags leaves nothing behind
        with lock_dir(folder):
            # by the process that held the lock until now
            if log.finished and (result := self._finished(log, inputs)):
                return result
            policy = self.loader.policy(spec)
            if inputs.method.trains and not isinstance(policy, TrainablePolicy):
                raise UserError(f"method '{spec.method}' trains, and '{policy.info.name}' can only generate.")
            if inputs.method.needs_logprobs:
                scoring(policy)
            inputs = self._begin(log, inputs)
            meter, tracking = Meter(budget=budget or _budget(inputs)), self._tracking(log, spec)
            with tracking.sitting(lambda: steps(log)):
                with log.sitting(lambda: meter.earlier_seconds, lambda: meter.given_seconds):
                    try:
                        self._adapt_and_answer(log, inputs, policy, meter, tracking)
                    except TooManyErrors:
                        self._shared = None  # what failed is drawn anew
                        raise
                remove(saved(folder / "adapt")[:-1])  # the one before the last has done its duty
                graded = score_run(log, inputs.task, {q.id for q in inputs.scored_on}, graders)
                result = write_result(log, inputs, policy.info, graded)
                tracking.finish(figures(result))
            return result

    def _finished(self, log: RunLog, inputs: Inputs) -> Result | None:
        """The result of a run that has ended, if it is of what there is now; None if it must be finished again."""
        try:
            model = self.loader.model_digests(inputs.spec)
        except NotHere:
            raise NotHere(
                f"'{log.folder}' has ended, but whether it is of the same weights is not known, as those of "
                f"'{inputs.spec.model}' are not on this machine: audio-eval leaderboard shows it as it is."
            ) from None
        check_same(log, inputs.spec, identify(inputs, model))
        if damage.lost(log, {question.id for question in inputs.scored_on}):
            return None
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
            if log.finished:
                lost = damage.lost(log, {question.id for question in inputs.scored_on})
                self.progress.warn(f"{lost}: the run is finished again from what it has.")
                log.reopen()
            for said in log.mend():
                self.progress.warn(f"{said}.")
        elif log.remains:
            raise UserError(f"'{log.folder}' has responses or an adaptation, and no spec.json: choose another folder.")
        else:
            log.write_identity(identity)
            remember_named(inputs.spec, inputs.recorded.questions)
        if inputs.spec.adapter:
            scored_on = {question.id for question in inputs.scored_on}
            known = learned_by_adapter(inputs.spec.adapter, identity, scored_on)
            inputs = replace(inputs, overlap=(*inputs.overlap, *known))
        for tag in inputs.overlap:
            if (inputs.task.label, tag) not in self._warned:  # once for all methods and seeds
                self.progress.warn(f"{inputs.task.label}: {tag}; every table will say so.")
            self._warned.add((inputs.task.label, tag))
        before, now = self._environment(log), environment()
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

    def _environment(self, log: RunLog) -> Environment | None:
        """Where the run began; None before it has, and where that is damaged: no number depends on it."""
        try:
            return log.environment()
        except UserError as error:
            self.progress.warn(f"{error} It is written anew.")
            return None

    def _adapt_and_answer(
        self, log: RunLog, inputs: Inputs, policy: Policy, meter: Meter, tracking: Tracking
    ) -> None:  # fmt: skip
        spec, curve = inputs.spec, _Curve(log, inputs, policy, meter.budget)

        def observe(step: int, metrics: Mapping[str, float]) -> None:
            found = {**metrics, **curve.at(step)}
            if found:
                tracking.step(step, found)

        session = Session(
            log.folder, spec.seed, spec.batch_size, examples=inputs.examples, progress=self.progress, observer=observe,
            save_every=spec.save_every, meter=meter,
        )  # fmt: skip
        counted = metered(policy, meter, spec.seed, self._draws(policy, spec.task, log.folder))
        inputs.method.adapt(counted, inputs.adapted_on, session)
        adapting, adapting_usage = meter.samples, total(meter.take_usage(list(meter.usage)).values())
        self._answer(log, inputs, counted, meter)
        # those of before an interruption too
        truncated = meter.truncated | {record.id for record in log.responses if record.truncated}
        unreadable = meter.failed | {record.id: record.unreadable for record in log.responses if record.unreadable}
        log.write_notes(
            Notes(
                **session.notes, adapt_samples=adapting, adapt_usage=adapting_usage, truncated=sorted(truncated),
                unreadable=dict(sorted(unreadable.items())),
                trained_parameters=policy.trained_parameters if isinstance(policy, TrainablePolicy) else None,
            )
        )  # fmt: skip

    def _draws(self, policy: Policy, task: str, folder: Path) -> SharedDraws | None:
        """What runs on the same policy and task share, kept beside the first; those of the task before are let go."""
        if self._shared is None or self._shared.policy is not policy or self._shared.task != task:
            self._shared = None if task in self._alone else SharedDraws(policy, task, folder)
        return self._shared

    def _answer(self, log: RunLog, inputs: Inputs, policy: Policy, meter: Meter) -> None:
        """Answer the scored questions; one that failed before an interruption is asked again."""
        questions, size = inputs.scored_on, inputs.spec.batch_size
        before = log.responses.resume(size, [question.id for question in questions])
        failed, done = [place for place, record in enumerate(before) if record.unreadable], len(before)
        if not failed:
            before = []  # what is on the disk is not kept here too: there may be very many
        with self.progress.bar("answer", len(questions), done - len(failed)) as bar:
            for places in to_ask(done, failed, len(questions), size):
                chunk = [questions[place] for place in places]
                samples, seconds = meter.samples, meter.audio_seconds
                answers = inputs.method.predict(policy, chunk)
                check_answers(answers, len(chunk), inputs.spec.method)
                each = (meter.samples - samples) / len(chunk)
                used = meter.take_usage(question.id for question in chunk)
                answered = [_response(*pair, each, meter, used) for pair in zip(chunk, answers, strict=True)]
                if places[0] < done:
                    for place, record in zip(places, answered, strict=True):
                        before[place] = record
                    log.responses.keep(before)
                else:
                    log.responses.append(answered)
                bar.advance(len(chunk), meter.audio_seconds - seconds)


class _Curve:
    """Scores the policy along the way. Only the harness sees the curve, and nothing is chosen by it.

    It asks the policy itself, so that its samples are not counted as the method's.
    """

    def __init__(self, log: RunLog, inputs: Inputs, policy: Policy, budget: ErrorBudget) -> None:
        self.file, self.inputs, self.policy, self.budget = log.curve, inputs, policy, budget

    def at(self, step: int) -> dict[str, float]:
        """The point of the curve at this step as metrics, scored unless it has been; empty where none is due."""
        every = self.inputs.spec.curve_every
        if not every or step % every:
            return {}
        point = next((point for point in self.file.read() if point.step == step), None)
        return curve_metrics(point or self._score(step))

    def _score(self, step: int) -> CurvePoint:
        task, questions = self.inputs.task, self.inputs.scored_on
        groups = self.policy.generate(questions, Sampling())
        self.budget.check({}, groups)  # recordings that are gone make no point
        responses = {group.question.id: group.best() for group in groups}
        scores = task.score(responses, responses).scores
        figures, letters = task.figures(scores), {score.id: _letter(score) for score in scores}
        outcomes = "".join(letters[question.id] for question in questions)
        point = CurvePoint(step=step, accuracy=figures.accuracy, unparsable=figures.unparsable, outcomes=outcomes)
        self.file.append([point])
        return point


def _letter(score: Score) -> str:
    """What came of an item, as ``CurvePoint`` has it."""
    if score.outcome == "excluded":
        return "x"
    return "r" if score.outcome == "correct" else "w" if score.answered else "u"


def _budget(inputs: Inputs) -> ErrorBudget:
    """How many of the run's questions may fail; ``TooManyErrors`` where more recordings cannot be read now."""
    spec = inputs.spec
    asked = {q.id: q for q in (*inputs.scored_on, *inputs.adapted_on, *(e.question for e in inputs.examples))}
    heard = [question for question in asked.values() if question.audios]
    known = dict(zip((question.id for question in heard), digests(heard), strict=True))
    allowed = None if spec.max_errors is None and spec.long_audio == "skip" else spec.max_errors or MAX_ERRORS
    budget = ErrorBudget(
        len(asked), None if allowed is None else errors_allowed(allowed, len(asked)),
        {id_ for id_, digest in known.items() if digest},
    )  # fmt: skip
    budget.check({id_: "its recording cannot be read" for id_, digest in known.items() if not digest})
    return budget


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
