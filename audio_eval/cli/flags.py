"""Command-line flags made from RunSpec's fields; and the names under which people know them from lm-eval.

A field of RunSpec is a flag in every command that asks for it: its name with dashes, its type, its description, its
default. ``OPTIONS`` has what a type cannot say. Underscores are as good as dashes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from audio_eval.errors import UserError
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.plain_numbers import decimal, whole
from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.plan import parse_args

# Fields without a flag: they follow from others.
NO_FLAG = {"prompt_source"}
# Of these a command line may list several, with commas or blanks between; each makes runs of its own.
LISTS = {"task", "method", "seed"}
# What differs from the rule: short flags, the name of the flag, how the help calls the value, its text.
OPTIONS: dict[str, dict[str, Any]] = {
    "model": {"short": ["-M"], "metavar": "NAME"},
    "model_args": {"short": ["-a"]},
    "adapter": {"metavar": "DIR"},
    "method": {"help": "registered methods, or path/to/file.py:Class (default: direct)"},
    "method_args": {"help": "settings of the methods: see audio-eval ls METHOD; METHOD.KEY=VALUE sets one of several"},
    "task": {"short": ["-t"], "dest": "tasks", "help": "tasks, task:split, or groups of tasks: see audio-eval ls"},
    "seed": {"help": "seeds, each a run of its own (default: 0)"},
    "limit": {"short": ["-L"]},
    "batch_size": {"short": ["-b"]},
    "data_dir": {"metavar": "DIR"},
    "train_data_dir": {"metavar": "DIR"},
    "include_path": {"metavar": "DIR"},
    "train_task": {"metavar": "TASK"},
    "adapt_task": {"metavar": "TASK"},
    "permute_choices": {"metavar": "SEED"},
    "holdout": {"metavar": "SHARE"},
    "judge": {"metavar": "URL"},
    "max_errors": {"metavar": "N|SHARE"},
}
DATA = ("data_dir", "source", "include_path")
GRADERS = ("judge", "judge_model", "similarity")
GROUPS: dict[str, Sequence[str]] = {
    "what to run": ("model", "backend", "model_args", "adapter", "method", "method_args", "task", "seed", "limit"),
    "where items come from": DATA,
    "how items are shown": ("prompt", "permute_choices", "audio"),
    "what is learned from": (
        "adapt_task", "holdout", "train_task", "train_data_dir", "train_audio", "train_limit",
    ),
    "grading of open answers": GRADERS,
}  # fmt: skip


def add_fields(parser: argparse._ActionsContainer, *names: str, **changed: str) -> None:
    """One flag for each of these fields of RunSpec; ``changed`` has the help of those that mean another thing here."""
    for name in names:
        if field := RunSpec.model_fields.get(name):
            options = {"help": _help(field), **OPTIONS.get(name, {})}
            options |= {"help": changed[name]} if name in changed else {}
            dest = options.pop("dest", name)
            spelled = [f"--{dest.replace('_', '-')}", *options.pop("short", [])]
            kind = _kind(field)
            if kind is bool:
                parser.add_argument(*spelled, dest=dest, action=argparse.BooleanOptionalAction, **options)
                continue
            if get_origin(kind) is Literal:
                options["choices"] = get_args(kind)
            elif kind in (int, float) and name not in LISTS:
                options["type"] = whole if kind is int else decimal
                options.setdefault("metavar", "N")
            elif name in LISTS or get_origin(kind) is dict:
                value = name.upper() if name in LISTS else "KEY=VALUE"
                options |= {"metavar": f"{value}[,...]", "nargs": "+", "action": _Joined}
            options.setdefault("metavar", None if "choices" in options else name.rpartition("_")[2].upper())
            parser.add_argument(*spelled, dest=dest, **options)


def add_run_fields(parser: argparse.ArgumentParser) -> None:
    """Every field of RunSpec, in groups; one that no group names stands in the last.

    And ``--dtype``, short for a setting of the backend.
    """
    grouped = {*NO_FLAG, *(name for names in GROUPS.values() for name in names)}
    others = [name for name in RunSpec.model_fields if name not in grouped]
    for title, names in {**GROUPS, "how it is computed": others}.items():
        add_fields(group := parser.add_argument_group(title), *names)
    dtype = EngineSettings.model_fields["dtype"]
    group.add_argument("--dtype", choices=get_args(dtype.annotation), help=f"{dtype.description} (default: auto)")


def add_lm_eval_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of lm-eval that mean what one of ours means, or what is always so here."""
    group = parser.add_argument_group("names known from lm-eval")
    group.add_argument(
        "--output-path", dest="output", metavar="DIR", default=argparse.SUPPRESS, help="same as --output"
    )
    group.add_argument(
        "--gen-kwargs", nargs="+", action=_Joined, metavar="KEY=VALUE[,...]",
        help="max_tokens alone; how answers are sampled is set by --method-args",
    )  # fmt: skip
    group.add_argument("--num-fewshot", "-f", type=whole, metavar="0", help="0: items are shown without examples")
    group.add_argument("--apply-chat-template", nargs="?", const=True, metavar="NAME", help="always so")
    group.add_argument("--log-samples", "-s", action="store_true", help="always so: responses.jsonl, scores.jsonl")


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given, by RunSpec's names as ``plan`` takes them, those known from lm-eval translated.

    Raises UserError for what lm-eval can do and a run here cannot.
    """
    dests = {"dtype", *(OPTIONS.get(name, {}).get("dest", name) for name in RunSpec.model_fields)}
    found = {key: value for key, value in vars(args).items() if key in dests and value is not None}
    for key, value in parse_args(args.gen_kwargs or "", "--gen-kwargs").items():
        if key not in ("max_tokens", "max_gen_toks", "max_new_tokens"):
            raise UserError(
                f"--gen-kwargs takes max_tokens alone: '{key}' is a matter of the method. See audio-eval ls METHOD "
                "for its settings, and set them with --method-args."
            )
        found.setdefault("max_tokens", value)
    if args.num_fewshot:
        raise UserError(f"--num-fewshot must be 0 (given: {args.num_fewshot}): items are shown without examples.")
    if args.apply_chat_template not in (None, True):
        raise UserError("--apply-chat-template takes no name here: the model's own template is always applied.")
    arguments = parse_args(found.get("model_args", ""), "--model-args")
    if "pretrained" in arguments:  # --model hf --model_args pretrained=NAME
        rest = [f"{key}={value}" for key, value in arguments.items() if key != "pretrained"]
        found |= {"backend": found.get("model", "hf"), "model": arguments["pretrained"], "model_args": ",".join(rest)}
    return found


def dashed(arguments: Sequence[str]) -> list[str]:
    """Flags with dashes, where they were typed with underscores."""
    found = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        found.append((flag.replace("_", "-") if flag.startswith("--") else flag) + equals + value)
    return found


class _Joined(argparse.Action):
    """Values given with blanks between them are as good as with commas."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, ",".join(values))


def _kind(field: FieldInfo) -> Any:
    """The type without None."""
    if get_origin(field.annotation) in (Union, UnionType):
        return next(kind for kind in get_args(field.annotation) if kind is not type(None))
    return field.annotation


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    return f"{text} (default: {field.default})" if isinstance(field.default, (int, float)) else text
