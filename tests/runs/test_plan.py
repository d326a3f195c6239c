from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.methods.aqa_ttrl import AqaTtrl
from audio_eval.models import backends
from audio_eval.models.catalog import ModelEntry
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.spec import same_run
from audio_eval.runs.inputs import Loader
from audio_eval.runs.plan import listed, parse_args, plan, run_folder

ENTRY = ModelEntry(source="x", summary="x", preset="small")
BASE = {"model": "tiny-omni", "tasks": "synth_aqa"}


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiny-omni's own settings, whatever they are tuned to at the moment."""
    monkeypatch.setattr(backends, "find_model", lambda model: ENTRY)
    monkeypatch.setattr(AqaTtrl, "presets", {"small": {"votes": 16, "steps": 20, "lr": 1e-4}})


def one(method: str = "aqa_ttrl", config: str | None = None, **flags: Any) -> RunSpec:
    (spec,) = plan({**BASE, "method": method, **flags}, config)
    return spec


def run_file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return str(path)


def test_flag_beats_run_file_beats_model_beats_method(tmp_path: Path) -> None:
    config = run_file(tmp_path, "model: x/y\nseed: 3\nlimit: 7\nmethod_args: {votes: 8, steps: 10}")
    args = one(config=config, method_args="votes=4").method_args
    assert (args["votes"], args["steps"], args["lr"], args["clip"]) == (4, 10, 1e-4, 0.2)
    assert one().method_args["votes"] == 16, "the model's own"
    assert one("majority_vote").method_args["votes"] == 64, "the method's default: the model's are for aqa_ttrl"
    spec = one(config=config, limit=9)
    assert (spec.model, spec.limit, spec.seed) == ("tiny-omni", 9, 3)


def test_dtype_is_short_for_a_setting_of_the_backend(tmp_path: Path) -> None:
    config = run_file(tmp_path, "model: x/y\ndtype: float32\nmodel_args: {cache_gb: 1}")
    assert one(config=config).model_args == {"dtype": "float32", "cache_gb": 1}
    assert one(config=config, dtype="bfloat16").model_args == {"dtype": "bfloat16", "cache_gb": 1}
    assert one(dtype="bfloat16") == one(model_args="dtype=bfloat16"), "it is the same run"
    with pytest.raises(UserError, match="contradict each other"):
        one(dtype="bfloat16", model_args="dtype=float32")
    with pytest.raises(UserError, match="dtype: input should be 'auto'"):
        one(dtype="int8")


def test_a_setting_of_one_method_beats_the_bare_one(tmp_path: Path) -> None:
    specs = plan({**BASE, "method": "majority_vote,aqa_ttrl", "method_args": "aqa_ttrl.votes=32,votes=2"})
    assert {spec.method: spec.method_args["votes"] for spec in specs} == {"majority_vote": 2, "aqa_ttrl": 32}
    config = run_file(tmp_path, "method_args: {votes: 3, majority_vote: {votes: 5}}")
    specs = plan({**BASE, "method": "majority_vote,aqa_ttrl"}, config)
    assert {spec.method: spec.method_args["votes"] for spec in specs} == {"majority_vote": 5, "aqa_ttrl": 3}


def test_a_bare_setting_goes_to_those_that_know_it() -> None:
    specs = plan({**BASE, "method": "direct,majority_vote,aqa_ttrl", "method_args": "steps=5,votes=2"})
    args = {spec.method: spec.method_args for spec in specs}
    assert args["direct"] == {}
    assert "steps" not in args["majority_vote"] and args["majority_vote"]["votes"] == 2
    assert (args["aqa_ttrl"]["steps"], args["aqa_ttrl"]["votes"]) == (5, 2)


def test_every_setting_is_resolved_in_the_spec() -> None:
    args = one().method_args
    assert {"votes", "steps", "criterion", "conf_weight", "tune", "lr", "beta"} <= set(args)
    assert RunSpec(**one().model_dump()) == one()


def test_one_spec_a_task_method_and_seed() -> None:
    specs = plan({**BASE, "tasks": "synth_aqa,mmar", "method": "direct,majority_vote", "seed": "0,1,2"})
    assert [(spec.task, spec.method, spec.seed) for spec in specs] == [
        (task, method, seed)
        for task in ("synth_aqa", "mmar")
        for method in ("direct", "majority_vote")
        for seed in range(3)
    ]


def test_a_run_file_can_say_everything(tmp_path: Path) -> None:
    config = run_file(
        tmp_path,
        "model: tiny-omni\ntasks: [synth_aqa, mmar]\nmethod: [direct, grpo]\nseed: [4, 5]\nholdout: 0.25\n"
        "train_task: synth_aqa:train\nmethod_args: {grpo: {lr: 1.0e-5}}\n",
    )
    specs = plan({}, config)
    assert len(specs) == 8 and {spec.seed for spec in specs} == {4, 5} and {spec.holdout for spec in specs} == {0.25}
    assert {spec.method_args["lr"] for spec in specs if spec.method == "grpo"} == {1e-5}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"method": "aqa_tttrl"}, r"unknown method 'aqa_tttrl'\. Did you mean 'aqa_ttrl'\?"),
        ({"method_args": "vots=3"}, r"unknown setting 'vots' of method aqa_ttrl\. Did you mean 'votes'\?"),
        ({"method_args": "aqa_ttrl.vots=3"}, r"unknown setting 'vots' of method aqa_ttrl\. Did you mean 'votes'\?"),
        ({"method_args": "aqa_trl.votes=3"}, r"unknown method 'aqa_trl' in setting .*Did you mean 'aqa_ttrl'\?"),
        ({"method_args": "grpo.beta=3"}, r"unknown method 'grpo' in setting 'grpo\.beta'"),
        ({"method_args": "votes"}, r"'votes' has no '='"),
        ({"method_args": "votes=[1"}, r"value of 'votes' cannot be read"),
        ({"method_args": "votes=many"}, r"method 'aqa_ttrl': votes: .*integer.*given: many"),
        ({"method_args": "votes=0"}, r"votes: .*greater than or equal to 1"),
        ({"method_args": "criterion=same"}, r"criterion: .*identical_outputs"),
        ({"model": ""}, r"--model is missing"),
        ({"tasks": None}, r"--tasks is missing"),
        ({"seed": "x"}, r"seed: .*integer.*given: x"),
        ({"holdout": 1.5}, r"holdout: .*less than 1"),
        ({"limit": -5}, r"limit: .*greater than"),
        ({"limit": 0}, r"limit: .*greater than"),
        ({"batch_size": 0}, r"batch_size: .*greater than"),
        ({"max_tokens": 0}, r"max_tokens: .*greater than"),
        ({"train_limit": -1}, r"train_limit: .*greater than"),
        ({"curve_every": -1}, r"curve_every: .*greater than"),
    ],
)
def test_mistakes(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        one(**flags)
    assert "\n" not in str(caught.value)


def test_a_setting_no_chosen_method_knows_is_an_error_for_all_of_them() -> None:
    with pytest.raises(UserError, match="unknown setting 'steps' of method direct, majority_vote"):
        plan({**BASE, "method": "direct,majority_vote", "method_args": "steps=5"})


def test_an_unknown_model_names_the_near_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"unknown model 'tiny-omi'\. Did you mean 'tiny-omni'\?"):
        plan({"model": "tiny-omi", "tasks": "synth_aqa"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modle: tiny-omni", r"unknown key 'modle' in run file .*Did you mean 'model'\?"),
        ("task: synth_aqa", r"unknown key 'task' .*Did you mean 'tasks'\?"),
        ("method_args: {vots: 3}", r"unknown setting 'vots'.*Did you mean 'votes'\?"),
        ("[1, 2]", r"must map names to values"),
        ("a: [", r"is no YAML"),
        ("", r"must map names to values"),
        ("model: !!python/object/apply:os.system ['true']", r"is no YAML"),
    ],
)
def test_mistakes_in_a_run_file(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        one(config=run_file(tmp_path, text))


def test_a_run_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"no run file 'nowhere\.yaml'"):
        one(config="nowhere.yaml")


def test_small_parsers() -> None:
    assert listed(" a, b,,c ") == ["a", "b", "c"] and listed(["x"]) == ["x"] and listed(3) == [3]
    parsed = parse_args("a=1, b = 2.5,c=true,d=text,e=null,f=x=y")
    assert parsed == {"a": 1, "b": 2.5, "c": True, "d": "text", "e": None, "f": "x=y"}
    assert parse_args("") == {}


def test_an_equal_spec_finds_its_folder_and_a_different_one_gets_another(tmp_path: Path) -> None:
    spec = one()
    folder = run_folder(spec, tmp_path)
    assert folder == tmp_path / "tiny-omni-aqa_ttrl-synth_aqa-seed0" and not folder.exists()
    folder.mkdir()
    RunLog(folder).write_spec(spec)
    assert run_folder(spec, tmp_path) == folder
    other = one(method_args="votes=4")
    second = run_folder(other, tmp_path)
    assert second == folder.with_name(folder.name + "-2")
    second.mkdir()
    RunLog(second).write_spec(other)
    assert [run_folder(s, tmp_path) for s in (spec, other)] == [folder, second]
    assert run_folder(one(method_args="votes=5"), tmp_path).name == folder.name + "-3"


def test_how_often_checkpoints_are_written_makes_no_other_run(tmp_path: Path) -> None:
    """Nor does a spec.json from before it was chosen by size."""
    folder = run_folder(one(), tmp_path)
    RunLog(folder).write_spec(one(save_every=1))
    assert run_folder(one(), tmp_path) == run_folder(one(save_every=5), tmp_path) == folder
    assert run_folder(one(seed=1), tmp_path) != folder


def test_folder_names_are_safe_and_do_not_collide(tmp_path: Path) -> None:
    def name(**changes: Any) -> str:
        return run_folder(one().model_copy(update=changes), tmp_path).name

    assert name(model="Qwen/Qwen2.5-Omni-3B", task="synth_aqa:validation", seed=7) == (
        "Qwen2.5-Omni-3B-aqa_ttrl-synth_aqa-validation-seed7"
    )
    assert name(method="some where/my method.py:Mine").startswith("tiny-omni-my_method_")
    assert name(model="a b") != name(model="a_b") != name(model="a/../b c")


def test_deterministic_kernels_are_another_run() -> None:
    assert one(deterministic=True).deterministic and not same_run(one(), one(deterministic=True))
    with pytest.raises(UserError, match="backend 'api' computes in another program"):
        one("direct", backend="api", deterministic=True)


def test_settings_of_a_spec_that_no_method_has_are_named() -> None:
    """A spec.json of somebody else's, or of another version."""
    for args in ({"steps": "many"}, {"__proto__": 1}):
        with pytest.raises(UserError, match=f"method 'aqa_ttrl': {next(iter(args))}: "):
            Loader().method(RunSpec(model="tiny-omni", method="aqa_ttrl", method_args=args, task="synth_aqa"))
