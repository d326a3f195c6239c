"""Adapt and evaluate: every (task, method, seed) given, then a leaderboard of them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from audio_eval.errors import UserError
from audio_eval.runs.plan import plan, run_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``audio-eval run``."""
    parser.add_argument("--config", metavar="FILE.yaml", help="a run file; flags given beside it win")
    parser.add_argument("--model", "-M", metavar="NAME", help="named model, hub id or checkpoint folder")
    parser.add_argument("--backend", metavar="NAME", help="what runs the model (default: the model's own, hf)")
    parser.add_argument("--model-args", metavar="K=V,...", help="settings of the backend, as dtype=bfloat16")
    parser.add_argument("--method", metavar="X[,Y]", help="methods, or path/to/file.py:Class (default: direct)")
    parser.add_argument("--tasks", "-t", metavar="T[,U]", help="tasks, or task:split")
    parser.add_argument(
        "--method-args", metavar="K=V,...", help="settings of the methods; method.key=value for one of them"
    )
    parser.add_argument("--train-task", metavar="T", help="labelled task for methods that need one, as synth_aqa:train")
    parser.add_argument("--train-data-dir", metavar="D", help="--data-dir of the training task (default: --data-dir)")
    parser.add_argument("--train-audio", metavar="ARM", help="the same as --audio for the training task")
    parser.add_argument(
        "--train-limit", type=int, metavar="N", help="first N items of the training task (default: 1000)"
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--audio", metavar="ARM", help="a control arm: silence, shuffled (another item's recording) or none (text only)"
    )
    parser.add_argument("--adapt-task", metavar="T", help="adapt on this task's questions instead of the scored ones")
    parser.add_argument("--seed", metavar="S[,S]", help="seeds, each a run of its own (default: 0)")
    parser.add_argument("--limit", "-L", type=int, metavar="N", help="first N items of each task")
    parser.add_argument("--holdout", type=float, metavar="FRACTION", help="score only this share, adapt on the rest")
    parser.add_argument("--prompt", metavar="NAME", help="prompt by name, or a Jinja file (default: the task's)")
    parser.add_argument("--permute-choices", type=int, metavar="SEED", help="show each item's options in another order")
    parser.add_argument("--batch-size", type=int, metavar="N", help="questions sampled together (default: 32)")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="longest completion (default: 64)")
    parser.add_argument("--device", metavar="DEV", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--save-every", type=int, metavar="N", help="steps from checkpoint to checkpoint (default: 1)")
    parser.add_argument(
        "--curve-every", type=int, metavar="N", help="also score every N steps: an oracle's view, not used"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what the runs will take, and run nothing")
    add_grader_arguments(parser)
    add_output_arguments(parser)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that say where items come from; the same for every command that reads a benchmark."""
    parser.add_argument("--data-dir", metavar="D", help="folder with one folder a benchmark, in its official layout")
    parser.add_argument("--source", metavar="NAME", help="official, or a hub data set (default: official)")
    parser.add_argument("--include-path", "--include_path", metavar="DIR", help="folder with tasks of your own")


def add_grader_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of what open answers are graded by."""
    parser.add_argument("--judge", metavar="URL", help="OpenAI-compatible server that judges open answers")
    parser.add_argument("--judge-model", metavar="NAME", help="the judge's model; its key is read from OPENAI_API_KEY")
    parser.add_argument("--similarity", metavar="MODEL", help="sentence-transformers model, hub id or folder")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of where results go."""
    parser.add_argument("--output", "-o", metavar="DIR", default="runs", help="run directories are made below it")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout instead of the table")


def execute(args: argparse.Namespace) -> int:
    """Check everything that can be checked first, then run."""
    given = {
        key: value
        for key, value in vars(args).items()
        if value is not None and key not in ("command", "execute", "config", "output", "json", "dry_run")
    }
    specs = plan(given, args.config)
    from audio_eval.cli.bars import terminal_progress
    from audio_eval.runs.execute import Executor

    quiet_libraries()
    if args.dry_run:
        from audio_eval.cli.dry_run import dry_run

        return dry_run(specs, as_json=args.json)
    executor, folders = Executor(terminal_progress()), []
    for i, spec in enumerate(specs):
        folder = run_folder(spec, Path(args.output))
        state = "done before" if (folder / "result.json").is_file() else "resuming" if folder.exists() else "new"
        print(f"[{i + 1}/{len(specs)}] {spec.model} {spec.method} {spec.task} seed {spec.seed}: {folder} ({state})",
              file=sys.stderr)  # fmt: skip
        try:
            report(executor.run(spec, folder))
        except KeyboardInterrupt:
            begun = (folder / "spec.json").is_file()
            hint = f"go on with: audio-eval resume {folder}" if begun else "nothing was begun."
            print(f"\ninterrupted; {hint}", file=sys.stderr)
            return 130
        folders.append(folder)
    show(folders, as_json=args.json)
    return 0


def report(result: dict) -> None:
    """One line on stderr for a finished run, and what was wrong with its items."""
    row = result["audio_eval"]
    figure = row["note"] if row["accuracy"] is None else f"{row['accuracy']:.1f} %"
    time = "" if row["wall_s"] is None else f", {row['wall_s']:.0f} s"
    print(f"    {figure}, n {row['n']}, unparsable {row['unparsable']:.1f} %{time}", file=sys.stderr)
    for id_, why in row["notes"].get("unreadable", {}).items():
        print(f"    unreadable, counted as wrong: {id_}: {' '.join(why.split())}", file=sys.stderr)
    if cut := row["notes"].get("truncated"):
        print(f"    longer than the model's window and cut: {len(cut)} items, {cut[0]} first", file=sys.stderr)


def show(folders: list[Path], as_json: bool) -> None:
    """Results on stdout: the rows as JSON, or a table a task."""
    if as_json:
        rows = [json.loads((folder / "result.json").read_text())["audio_eval"] for folder in folders]
        print(json.dumps({"rows": rows}, ensure_ascii=False))
        return
    from audio_eval.leaderboard import aggregate, load_runs, terminal_table

    runs, skipped = load_runs(folders)
    if skipped:
        raise UserError("; ".join(skipped))
    print(terminal_table(aggregate(runs)))


def quiet_libraries() -> None:
    """Keep the libraries' own progress bars and advice off the user's terminal."""
    import logging
    import warnings

    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
