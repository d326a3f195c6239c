"""``python -m audio_eval.lm_eval``: lm-eval's own command line, which knows our models and tasks.

Its flags are lm-eval's. ``--data-dir`` and ``--source`` are ours: shorter than ``--metadata data_dir=...``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from audio_eval.cache import cache_root
from audio_eval.errors import as_user_error, unknown
from audio_eval.openai_client import refuse_secrets
from audio_eval.task_index import TASKS_DIR, listing
from audio_eval.terminal import filter_logs, say, say_error
from audio_eval.threads import settle_threads

# A ValueError, TypeError or FileNotFoundError that is raised right here says what is wrong with the flags.
_OF_THE_USER = ("lm_eval.config.evaluate_config", "lm_eval.evaluator")


def main(argv: Sequence[str] | None = None) -> int:
    """Run lm-eval's command line: 0 when done, 1 for a mistake of the user, 130 on Ctrl-C."""
    settle_threads()
    try:
        # not in the installed package, where lm-eval would put it; read when lm-eval is imported
        os.environ.setdefault("LM_HARNESS_CACHE_PATH", str(cache_root() / "lm-eval-requests"))
        _run(sys.argv[1:] if argv is None else list(argv))
    except Exception as error:
        flags = isinstance(error, (ValueError, TypeError, FileNotFoundError)) and _raised_in(error) in _OF_THE_USER
        mistake = error if flags else as_user_error(error)
        if mistake is None:
            raise
        say_error("audio_eval.lm_eval", str(mistake))
        return 1
    except KeyboardInterrupt:
        say("", "audio_eval.lm_eval: interrupted.", err=True)
        return 130
    return 0


def _run(argv: list[str]) -> None:
    from lm_eval._cli import HarnessCLI
    from lm_eval.api.registry import model_registry
    from lm_eval.config.evaluate_config import EvaluatorConfig
    from lm_eval.utils import setup_logging

    from audio_eval.lm_eval.models import register

    setup_logging()
    filter_logs()
    register()
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    own.add_argument("--data-dir", "--data_dir")
    own.add_argument("--source")
    data, rest = own.parse_known_args(argv)
    sys.argv = ["lm-eval", *rest]  # lm-eval's parser takes no arguments
    cli = HarnessCLI()
    args = cli.parse_args()
    file = EvaluatorConfig.load_yaml_config(args.config) if getattr(args, "config", None) else {}
    if "include_path" in args:
        folder = args.include_path or file.get("include_path")
        args.include_path = [str(TASKS_DIR), *([folder] if folder else [])]
    if args.command == "run":
        model = args.model or file.get("model")
        if model and model not in model_registry:
            raise unknown("model", model, model_registry)
        for given in (args.model_args, file.get("model_args")):  # which lm-eval prints before the model sees them
            refuse_secrets({"--model_args": given})
        args.metadata = {**_needed(args), **(file.get("metadata") or {}), **(args.metadata or {}), **vars(data)}
    cli.execute(args)


def _needed(args: argparse.Namespace) -> dict[str, Any]:
    """Which items our own tasks need to make: lm-eval looks into every split, and synth_aqa renders what is there."""
    ours = listing()
    if args.num_fewshot or not {*(args.tasks or ["?"])} <= {*ours.tasks, *ours.groups}:
        return {}
    return {"splits": ["test"], **({"limit": int(args.limit)} if args.limit and args.limit >= 1 else {})}


def _raised_in(error: BaseException) -> str:
    """The module whose code raised the error itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__")) if trace else ""


if __name__ == "__main__":
    sys.exit(main())
