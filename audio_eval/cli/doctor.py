"""Check this machine and installation; exit code 2 if the main job cannot run here."""

from __future__ import annotations

import argparse

from audio_eval.terminal import say, say_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval doctor``."""
    parser.add_argument("--quick", action="store_true", help="leave out the main job: to load a model and ask it")
    parser.add_argument("--output", "-o", metavar="DIR", default="runs", help="where runs would go (default: runs)")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def execute(args: argparse.Namespace) -> int:
    """Print a line per check as it ends, and the versions for a bug report; 2 where any check has failed."""
    from audio_eval.doctor import Settings, diagnose
    from audio_eval.doctor.packages import versions

    found = []
    for finding in diagnose(Settings(args.quick, args.output)):
        found.append(finding)
        if not args.json:
            mend = f"; to mend it: {finding.mend}" if finding.mend else ""
            say(f"{finding.state:<7}  {finding.check}: {finding.detail}{mend}")
    failed = any(finding.state == "failed" for finding in found)
    if args.json:
        checks = [vars(finding) for finding in found]
        say_json({"ok": not failed, "checks": checks, "versions": versions()})
    else:
        say("versions, for a bug report: " + ", ".join(f"{name} {now}" for name, now in versions().items()))
    return 2 if failed else 0
