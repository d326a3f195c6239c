"""List what there is, or all about one task or method."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audio_eval.terminal import say

KINDS = ("tasks", "groups", "models", "methods", "prompts")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval ls``."""
    from audio_eval.cli.flags import DATA, add_fields

    parser.add_argument(
        "what", nargs="?", metavar="KIND|NAME", help=f"{', '.join(KINDS)}, a task, a method, or path/to/file.py:Class"
    )
    parser.add_argument("--counts", action="store_true", help="with a task: count its items by group; needs no audio")
    add_fields(parser, *DATA)


def execute(args: argparse.Namespace) -> int:
    """Print what there is; of a plug-in that does not load, why."""
    from audio_eval.errors import UserError

    if args.what and args.what not in KINDS:
        return _one(args)
    if args.counts:
        raise UserError("--counts needs a task: audio-eval ls mmau_test_mini --counts --data-dir D.")
    if args.what == "methods":
        return _all_methods()
    if args.what == "models":
        return _all_models()
    rows = {"tasks": _tasks, "groups": _groups, "models": _models, "methods": _methods, "prompts": _prompts}
    for what in [args.what] if args.what else KINDS:
        say(what)
        found = sorted(rows[what](args))
        width = max((len(name) for name, _ in found), default=0)
        for name, line in found:
            say(f"  {name:<{width}}  {line}")
    return 0


def _one(args: argparse.Namespace) -> int:
    """A task or a method; both, if a plug-in has the name of a task."""
    from audio_eval.errors import UserError
    from audio_eval.plugins import registered
    from audio_eval.registry import is_path
    from audio_eval.task_index import listing

    known, methods = listing(args.include_path), registered("methods")
    is_method = is_path(args.what) or args.what in methods
    is_task = args.what in known.tasks or args.what in known.groups
    if not is_task and not is_method:
        raise known.unknown("name", args.what, [*KINDS, *methods])
    if args.counts and not is_task:
        raise UserError(f"--counts needs a task: '{args.what}' is a method.")
    if is_method:
        _one_method(args.what)
    for name in known.expand([args.what]) if is_task else ():
        say(name)
        for key, value in known.tasks[name].items():
            say(f"  {key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
        if args.counts:
            from audio_eval.cli.counts import print_counts
            from audio_eval.cli.run import quiet_libraries
            from audio_eval.runs.plan import listed
            from audio_eval.task import load_task

            known.check_sources([name], listed(args.source or ""))
            quiet_libraries()
            print_counts(load_task(name, data_dir=args.data_dir, source=args.source, include_path=args.include_path))
    return 0


def _one_method(name: str) -> None:
    from audio_eval.cli.method_info import details
    from audio_eval.models.catalog import ModelEntry
    from audio_eval.plugins import origin, registered
    from audio_eval.registry import is_path, method_class

    cls = method_class(name)
    source = name if is_path(name) else origin(registered("methods")[name][0])
    models = {name: entry for name, entry in _loaded("models", "model") if isinstance(entry, ModelEntry)}
    say(cls.name, *details(cls, source, models))


def _all_methods() -> int:
    from audio_eval.cli.method_info import overview

    say("methods")
    for name, found in sorted(_loaded("methods", "method"), key=lambda row: row[0]):
        broken = isinstance(found, str)
        say(f"  {name}  {found if broken else found.summary}")
        for line in [] if broken else overview(found):
            say(f"    {line}")
    return 0


def _all_models() -> int:
    """Every model with what is recorded of it; what is not is said to be so."""
    from tabulate import tabulate

    from audio_eval.models.catalog import ModelEntry
    from audio_eval.models.hf.versions import since, too_old

    columns = ("name", "hub id", "revision", "parameters", "window", "licence", "backend", "transformers")
    rows, broken = [], []
    for name, entry in sorted(_loaded("models", "model"), key=lambda row: row[0]):
        if isinstance(entry, ModelEntry):
            known = (entry.parameters, entry.window and f"{entry.window:g} s", entry.licence)
            home = "in the package" if Path(entry.source).is_absolute() else entry.source
            revision = entry.revision or ("latest" if home == entry.source else "that of the package")
            older = too_old(entry)
            wanted = f">= {since(entry)}{f', {older} is installed' if older else ''}"
            last = (entry.backend, wanted if entry.backend == "hf" else "not needed")
            rows.append((name, home, revision, *(value or "not recorded" for value in known), *last))
        else:
            broken.append(f"{name}  {entry if isinstance(entry, str) else 'broken: it is no ModelEntry'}")
    table = tabulate(rows, columns, tablefmt="plain", disable_numparse=True)
    say("models", *(f"  {line.rstrip()}" for line in [*table.splitlines(), *broken]))
    return 0


def _tasks(args: argparse.Namespace) -> list[tuple[str, str]]:
    from audio_eval.task_index import listing

    known = listing(args.include_path)
    for reason in known.broken.values():
        say(f"left out: {reason}", err=True)
    return [(name, f"{data.get('description', '')} [{data.get('version', '')}]") for name, data in known.tasks.items()]


def _groups(args: argparse.Namespace) -> list[tuple[str, str]]:
    from audio_eval.task_index import listing

    return [(name, ", ".join(members)) for name, members in listing(args.include_path).groups.items()]


def _prompts(args: argparse.Namespace) -> list[tuple[str, str]]:
    from audio_eval import prompts

    found = [prompts.find(name) for name in prompts.named()]
    return [(prompt.name, f"[{prompt.version.partition('@')[2]}] {prompt.about}") for prompt in found]


def _models(args: argparse.Namespace) -> list[tuple[str, str]]:
    return [(name, getattr(entry, "summary", str(entry))) for name, entry in _loaded("models", "model")]


def _methods(args: argparse.Namespace) -> list[tuple[str, str]]:
    return [(name, found if isinstance(found, str) else found.summary) for name, found in _loaded("methods", "method")]


def _loaded(group: str, what: str) -> list[tuple[str, Any]]:
    """What is registered, by name; a plug-in that does not load is replaced by a line that says why."""
    from audio_eval.errors import UserError
    from audio_eval.plugins import named, registered
    from audio_eval.registry import method_class

    rows: list[tuple[str, Any]] = []
    for name in registered(group):
        try:
            rows.append((name, method_class(name) if group == "methods" else named(group, what, name)))
        except UserError as error:
            rows.append((name, f"broken: {' '.join(str(error).split())}"))
    return rows
