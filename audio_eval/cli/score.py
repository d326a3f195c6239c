"""Score responses that were made elsewhere."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from audio_eval.terminal import say

SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval score``."""
    from audio_eval.cli.flags import DATA, GRADERS, add_fields
    from audio_eval.cli.run import add_output_flags

    parser.add_argument("task", metavar="TASK", help="a task, or task:split")
    parser.add_argument(
        "--responses",
        metavar="FILE",
        required=True,
        help='rows of {"id": .., "response": ..}, or a filled-in official file',
    )
    parser.add_argument("--name", metavar="NAME", help="name of the system in tables (default: that of the file)")
    parser.add_argument(
        "--submission", metavar="FILE.json", help="also fill in the file that the benchmark's server takes"
    )
    add_output_flags(parser)
    add_fields(
        parser, "prompt", "permute_choices", *DATA, *GRADERS,
        prompt="the prompt that was used, if it is one of ours: it says which letters the options had",
        permute_choices="the options were shown in the order of this seed",
    )  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Read, score, print; items without a response and ids that the task does not have are named on stderr."""
    from pydantic import ValidationError

    from audio_eval.cli.bars import terminal_progress
    from audio_eval.cli.ending import show
    from audio_eval.cli.run import quiet_libraries, report
    from audio_eval.errors import UserError, explain
    from audio_eval.openai_client import refuse_secrets
    from audio_eval.report.write import Reports
    from audio_eval.runlog import ResponsesSpec, RunLog
    from audio_eval.runs.external import METHOD, read_responses, score_responses, write_filled_in
    from audio_eval.runs.plan import folder_for, listed
    from audio_eval.runs.result import fill_in
    from audio_eval.scoring.graders import Graders
    from audio_eval.task import AS_FILED, load_task
    from audio_eval.task_index import listing

    began = time.monotonic()
    quiet_libraries()
    refuse_secrets(vars(args))
    known = listing(args.include_path)
    known.check_sources(known.expand([args.task]), listed(args.source or ""))
    graders = Graders.of(args.judge, args.judge_model, args.similarity)
    task = load_task(
        args.task, args.prompt or AS_FILED, args.data_dir, include_path=args.include_path, source=args.source,
        permute=args.permute_choices,
    )  # fmt: skip
    if args.submission:
        fill_in(task)  # whether there is such a thing is said before anything is written
    file = Path(args.responses)
    responses = read_responses(file, task)
    name = args.name or file.stem
    try:
        spec = ResponsesSpec(
            task=task.label, name=name, responses=responses.digest, prompt=args.prompt,
            permute_choices=args.permute_choices, judge=args.judge_model, similarity=args.similarity,
        )  # fmt: skip
    except ValidationError as error:
        raise UserError(explain(error)) from None
    folder = folder_for((name, METHOD, task.label.replace(":", "-")), spec, Path(args.output), args.fresh)
    _name("no response, counted as wrong", responses.missing)
    _name("no such item, left out", responses.unknown)
    with Reports(terminal_progress()).of(folder):
        report(score_responses(task, responses, spec, RunLog(folder), graders).audio_eval, spec)
    if args.submission:
        write_filled_in(Path(args.submission), task, args.data_dir, responses)
        say(f"    {args.submission}: filled in for the benchmark's server", err=True)
    show([folder], time.monotonic() - began, as_json=args.json)
    return 0


def _name(what: str, ids: list[str]) -> None:
    from audio_eval.runs.external import KEPT

    if ids:
        more = f" and {len(ids) - SHOWN} more (result.json has up to {KEPT:,})" if len(ids) > SHOWN else ""
        say(f"    {what}: {len(ids)} items: {', '.join(ids[:SHOWN])}{more}", err=True)
