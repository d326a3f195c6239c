"""Check the data of a benchmark; exit code 2 if something is wrong."""

from __future__ import annotations

import argparse

from audio_eval.terminal import say, say_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval validate``."""
    from audio_eval.cli.flags import DATA, add_fields

    parser.add_argument("tasks", metavar="TASK[,TASK]", help="tasks, task:split, or groups of tasks")
    add_fields(parser, "limit", *DATA)
    parser.add_argument("--no-audio", action="store_true", help="check rows and answers only, no recordings")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every finding on stdout")


def execute(args: argparse.Namespace) -> int:
    """Print what was found, task by task; 2 where any task has errors, 0 where there are only notes."""
    from audio_eval.cli.bars import terminal_progress
    from audio_eval.cli.run import quiet_libraries
    from audio_eval.errors import UserError
    from audio_eval.runs.plan import listed
    from audio_eval.task_index import listing

    if args.limit is not None and args.limit < 1:
        raise UserError(f"--limit must be 1 or more (given: {args.limit}).")
    known = listing(args.include_path)
    if not (names := known.expand(listed(args.tasks))):
        raise UserError("no task is named: see audio-eval ls tasks.")
    known.check_sources(names, listed(args.source or ""))
    quiet_libraries()
    from audio_eval.validation import SCHEMA, validate
    from audio_eval.validation.render import report_lines, summary

    reports = []
    for name in names:
        report = validate(
            name, data_dir=args.data_dir, source=args.source, include_path=args.include_path, limit=args.limit,
            audio=not args.no_audio, progress=terminal_progress(),
        )  # fmt: skip
        reports.append(report)
        if not args.json:
            # Rows are what the user has to mend by hand, so they are told all of them.
            say(*report_lines(report, whole=[SCHEMA]))
    wrong = any(report.errors for report in reports)
    if args.json:
        found = {"tasks": {report.task: report.as_json() for report in reports}, "ok": not wrong}
        say_json(found)
    else:
        say(summary(reports))
    return 2 if wrong else 0
