"""``--dry-run``: what each planned run will take, printed before anything is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audio_eval.errors import NotHere
from audio_eval.method import Method
from audio_eval.models.policy import MeasuresPrompts
from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.cost import NO_ITEMS, Counter, Figures, Tokens, count_tokens
from audio_eval.runs.probe import Timing, probe
from audio_eval.terminal import say, say_json

ESTIMATE = (
    "times are estimates: short answers cost less than long ones, and a trained model may answer at another length"
)


def dry_run(specs: Sequence[RunSpec], as_json: bool, output: Path = Path("runs")) -> int:
    """Print every plan, as one JSON object or as a block of lines each; 0 even where data or models are missing.

    Raises UserError for what a run would refuse.
    """
    counter, plans = Counter(), []
    timings: dict[str, Timing] = {}
    for i, spec in enumerate(specs):
        title = f"[{i + 1}/{len(specs)}] {spec.model} {spec.method} {spec.task} seed {spec.seed}"
        say(f"{title}: counting and probing", err=True)
        plan = _plan(counter, spec, timings, output)
        plans.append(plan)
        if not as_json:
            say(title, *(f"    {name + ':':<12} {text}" for name, text in _lines(plan)))
    if as_json:
        say_json({"plans": plans})
    else:
        say(f"all {len(plans)} runs: {_total(plans)}", *ESTIMATE.splitlines())
    return 0


def _plan(counter: Counter, spec: RunSpec, timings: dict[str, Timing], output: Path) -> dict[str, Any]:
    """The figures of a spec as JSON values; ``not_known`` says why a value is null, by the name of its line."""
    figures = counter.figures(spec)
    tokens: Tokens | None = None
    timing: Timing | None = None
    try:
        counter.locate(spec)
        if not figures.questions:
            raise NotHere(NO_ITEMS)
        policy = counter.policy(spec)
        if isinstance(policy, MeasuresPrompts):
            tokens = count_tokens(policy, figures)
        else:
            figures.missing["tokens"] = "the backend cannot count them"
        unseeded = spec.model_copy(update={"seed": 0}).model_dump_json()  # another seed takes as long
        timing = timings[unseeded] = timings.get(unseeded) or probe(policy, figures)
    except Exception as error:  # out of memory, a method's own complaint: what is known is printed all the same
        figures.missing |= {name: _reason(error) for name, known in (("tokens", tokens), ("time", None)) if not known}
    needs = _needs(spec, figures, tokens, output)
    return {
        "model": spec.model, "method": spec.method, "task": spec.task, "seed": spec.seed,
        "method_args": spec.method_args,
        "items": {"scored": figures.scored.count, **_learned(figures, "count")},
        "audio_hours": {"scored": figures.scored.hours, **_learned(figures, "hours")},
        "unreadable_headers": figures.scored.unreadable,
        **figures.cost, "curve": figures.curve, "judge_calls": figures.judge_calls,
        "tokens": asdict(tokens) if tokens else None,
        "time": {"seconds": timing.seconds, **asdict(timing)} if timing else None,
        "needs": needs,
        "not_known": figures.missing,
    }  # fmt: skip


def _needs(spec: RunSpec, figures: Figures, tokens: Tokens | None, output: Path) -> dict[str, Any] | None:
    """Memory and disk in bytes, the parts of the device's memory, and what of it is not there."""
    from audio_eval.runs.needs import ITEMS, PROMPT, SECONDS, lacking, on_gpu, run_needs, there

    try:
        found, disk = run_needs(
            spec, on_gpu(spec), tokens.longest if tokens else PROMPT, figures.longest or SECONDS,
            len({audio for question in figures.questions for audio in question.audios}) or ITEMS,
        )  # fmt: skip
        return {
            "device": found.device, "host": found.host, "disk": disk, "at": found.largest,
            "parts": found.moments[found.largest], "gpu": on_gpu(spec), "prompt": None if tokens else PROMPT,
            "lacking": lacking(spec, found, disk, there(on_gpu(spec), output)),
        }  # fmt: skip
    except Exception as error:  # a model of a kind that nothing is known of
        figures.missing["memory"] = _reason(error)
        return None


def _learned(figures: Figures, what: str) -> dict[str, Any]:
    """``what`` of the items that the method learns from, by their use; empty if it learns nothing."""
    method, found = figures.method, {}
    learns = method.transductive or (method.trains and not method.needs_labels)
    if type(method).adapt is not Method.adapt and learns:
        found["adapted"] = getattr(figures.adapted, what)
    if method.needs_labels:
        found["labelled"] = getattr(figures.labelled, what)
    return found


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if type(error).__module__.startswith("audio_eval") else f"{type(error).__name__}: {text}"


def _lines(plan: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """A plan as lines: name and text."""
    why = plan["not_known"]
    yield "items", _counted(plan["items"], why.get("items"))
    hours = {use: None if value is None else f"{value:.2f} h" for use, value in plan["audio_hours"].items()}
    unread = f"; {plan['unreadable_headers']} recordings cannot be read" if plan["unreadable_headers"] else ""
    yield "audio", _counted(hours, why.get("audio", NO_ITEMS)) + unread
    reason = why.get("completions", NO_ITEMS)
    names = ("votes", "steps", "rollouts", "trained", "answers", *(name for name in ("scored", "curve") if plan[name]))
    yield "draws", _counted({name: plan[name] for name in names}, reason)
    yield "judge calls", _counted({"": plan["judge_calls"]}, reason)
    if tokens := plan["tokens"]:
        mean, audio = tokens["total"] / tokens["prompts"], tokens["audio"] / tokens["prompts"]
        most = "" if tokens["completions"] is None else f"; completions {tokens['completions']:,} at most"
        each = f"prompts {mean:,.0f} each ({audio:,.0f} of them audio), {tokens['longest']:,} the longest"
        yield "tokens", f"{each}, {tokens['total']:,} together{most}"
    else:
        yield "tokens", f"not known: {why['tokens']}"
    yield "memory", _memory(plan["needs"]) if plan["needs"] else f"not known: {why['memory']}"
    for text in plan["needs"]["lacking"] if plan["needs"] else ():
        yield "TOO MUCH", text
    yield "time", _time(plan["time"]) if plan["time"] else f"not known: {why['time']}"


def _counted(values: dict[str, Any], reason: str | None) -> str:
    """Values with their names, and the reason why some are not known."""
    known = [f"{_number(value)} {name}".rstrip() for name, value in values.items() if value is not None]
    absent = [name for name, value in values.items() if value is None]
    if not absent:
        return ", ".join(known)
    which = f"{', '.join(absent)} " if known and any(absent) else ""
    return "; ".join([", ".join(known), f"{which}not known: {reason}"] if known else [f"not known: {reason}"])


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _memory(needs: dict[str, Any]) -> str:
    parts = sorted(needs["parts"].items(), key=lambda part: -part[1])
    shown = ", ".join(f"{_gigabytes(size)} {name}" for name, size in parts[:4] if size)
    assumed = f", for prompts of {needs['prompt']} tokens" if needs["prompt"] else ""
    device = "of the GPU" if needs["gpu"] else "of memory"
    host = f"; host memory {_gigabytes(needs['host'])}" if needs["gpu"] else ""
    most = f"{_gigabytes(needs['device'])} {device} at most, in the {needs['at']} ({shown}){assumed}"
    return f"{most}{host}; disk for checkpoints {_gigabytes(needs['disk'])}"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _time(timing: dict[str, Any]) -> str:
    spent = {name: timing[name] for name in ("votes", "steps", "answers", "curve") if timing[name]}
    parts = ", ".join(f"{_span(seconds)} {name}" for name, seconds in spent.items())
    steps = f" and {timing['stepped']} steps" if timing["stepped"] else ""
    measured = f"measured on {timing['device']}, {timing['questions']} questions{steps}"
    return "; ".join([f"about {_span(timing['seconds'])} ({parts})", measured, *timing["notes"]])


def _span(seconds: float) -> str:
    """Seconds in a readable unit."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _total(plans: Sequence[dict[str, Any]]) -> str:
    """The time of all plans together, and for how many it is not known."""
    timed = [plan["time"]["seconds"] for plan in plans if plan["time"]]
    rest = f"; not known for {len(plans) - len(timed)} of them" if len(timed) < len(plans) else ""
    return (f"about {_span(sum(timed))}" if timed else "time not known") + (rest if timed else "")
