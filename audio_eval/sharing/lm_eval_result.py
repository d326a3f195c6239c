"""A run's result in the layout of lm-eval's results files, for tools that read those."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.damage import check


def lm_eval_result(log: RunLog) -> dict[str, Any]:
    """The keys of lm-eval 0.4's ``results_*.json`` that a run has values for; shares are 0 to 1 as there.

    ``UserError`` where the run is damaged.
    """
    check(log)
    spec, result, environment = log.spec(), log.result(), log.environment()
    told, row = result.model_dump(by_alias=True, exclude={"audio_eval", "version"}), result.audio_eval
    began = datetime.fromtimestamp(0, timezone.utc)
    with suppress(ValueError):  # a stranger's env.json may hold any text
        began = datetime.fromisoformat(environment.started) if environment else began
    packages = environment.packages if environment else {}
    tokens = {"max_gen_toks": spec.max_tokens} if isinstance(spec, RunSpec) else {}
    return {
        **told,
        "group_subtasks": {row.task: []},
        "configs": {
            row.task: {
                "task": row.task, "output_type": "generate_until", "num_fewshot": 0, "repeats": 1,
                "generation_kwargs": tokens, "metadata": {"version": result.versions.get(row.task)},
            }
        },
        "config": {
            **told["config"], "model_revision": row.model_revision, "method": row.method,
            "limit": spec.limit if isinstance(spec, RunSpec) else None, "numpy_seed": row.seed, "torch_seed": row.seed,
        },
        "git_hash": environment.commit if environment else None,
        "date": began.timestamp(),
        "pretty_env_info": f"{environment.platform}, {environment.device}" if environment else "not recorded",
        "transformers_version": packages.get("transformers"),
        "lm_eval_version": packages.get("lm-eval"),
        "task_hashes": {row.task: row.data_revision},
        "model_source": spec.backend or "hf" if isinstance(spec, RunSpec) else "responses",
        "model_name": row.model,
        "model_name_sanitized": "".join(c if c.isalnum() or c in "-._" else "_" for c in row.model),
        "total_evaluation_time_seconds": str(row.wall_s),
    }  # fmt: skip
