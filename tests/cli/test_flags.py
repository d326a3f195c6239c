"""Flags: one for each field of RunSpec, and the names that people know from lm-eval."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import pytest
from pydantic import Field

from audio_eval.cli import flags
from audio_eval.cli.parser import parser
from audio_eval.errors import UserError
from audio_eval.runlog.spec import RunSpec

NEEDS_MODEL_ARGS = pytest.mark.skipif("model_args" not in RunSpec.model_fields, reason="RunSpec has no model_args")


def parsed(command: str) -> dict[str, Any]:
    """What ``plan`` is given."""
    return flags.given(parser().parse_args(flags.dashed(["run", *shlex.split(command)])))


def actions() -> dict[str, list[Any]]:
    """The options of ``run`` by where their value goes."""
    run = parser()._subparsers._group_actions[0].choices["run"]
    found: dict[str, list[Any]] = {}
    for action in run._actions:
        found.setdefault(action.dest, []).append(action)
    return found


def test_each_field_has_exactly_one_flag_that_says_what_it_is() -> None:
    found = actions()
    for name in RunSpec.model_fields:
        dest = {"task": "tasks"}.get(name, name)
        assert len(found.get(dest, [])) == (name not in flags.NO_FLAG), name
        for action in found.get(dest, []):
            assert f"--{dest.replace('_', '-')}" in action.option_strings and action.help, name
            assert action.default is None, "what is not given comes from the run file"


def test_defaults_and_choices_are_said() -> None:
    found = {dest: options[0] for dest, options in actions().items()}
    assert found["batch_size"].help.endswith("(default: 32)") and found["train_limit"].help.endswith("(default: 1000)")
    assert found["audio"].choices == ("silence", "shuffled", "none")


def test_dtype_is_a_flag_too() -> None:
    assert parsed("--dtype bfloat16") == {"dtype": "bfloat16"}


def test_a_new_field_is_a_flag_without_a_further_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wider(RunSpec):
        colour: Literal["red", "blue"] | None = Field(None, description="of the bars")
        share_of: float = Field(0.5, description="of something")
        more_args: dict[str, Any] = Field({}, description="settings of something")

    monkeypatch.setattr(flags, "RunSpec", Wider)
    assert parsed("--colour red --share-of 0.25 --more-args a=1 b=2") == {
        "colour": "red", "share_of": 0.25, "more_args": "a=1,b=2",
    }  # fmt: skip
    with pytest.raises(UserError, match="invalid choice: 'green'"):
        parsed("--colour green")


def test_a_flag_without_a_value_overrides_the_run_file_both_ways() -> None:
    assert parsed("--deterministic") == {"deterministic": True}
    assert parsed("--no-deterministic") == {"deterministic": False} and parsed("") == {}


def test_underscores_are_as_good_as_dashes() -> None:
    for name in RunSpec.model_fields.keys() - flags.NO_FLAG:
        dest = {"task": "tasks"}.get(name, name)
        value = {"audio": "none", "train_audio": "none", "long_audio": "skip"}.get(
            name, "a=1" if name.endswith("_args") else "1"
        )
        value = "" if RunSpec.model_fields[name].annotation is bool else value
        spelled = {parsed(f"--{flag} {value}")[dest] for flag in (dest, dest.replace("_", "-"))}
        assert len(spelled) == 1, name
    assert parsed("--data_dir=my_data --prompt a_b") == {"data_dir": "my_data", "prompt": "a_b"}, "values stay"


LM_EVAL = {
    # the examples of lm-eval 0.4.12's own help and README, with our tasks
    "--model hf --model_args pretrained=someone/x dtype=float32 --tasks mmau":
        {"backend": "hf", "model": "someone/x", "model_args": "dtype=float32", "tasks": "mmau"},
    "--model vllm --model_args pretrained=someone/x --tasks mmau mmar --num_fewshot 0":
        {"backend": "vllm", "model": "someone/x", "model_args": "", "tasks": "mmau,mmar"},
    "--model hf --model_args pretrained=someone/x --tasks mmau --gen_kwargs max_gen_toks=128":
        {"backend": "hf", "model": "someone/x", "model_args": "", "tasks": "mmau", "max_tokens": 128},
}  # fmt: skip


@NEEDS_MODEL_ARGS
@pytest.mark.parametrize("command", LM_EVAL)
def test_command_lines_of_lm_eval_with_model_args(command: str) -> None:
    assert parsed(command) == LM_EVAL[command]


def test_command_lines_of_lm_eval() -> None:
    line = "--model tiny-omni --tasks mmau,mmar --device cuda:0 --batch_size 8 --output_path out --log_samples"
    line += " --apply_chat_template --limit 10 --seed 42 --include_path mine --gen_kwargs max_gen_toks=16"
    assert parsed(line) == {
        "model": "tiny-omni", "tasks": "mmau,mmar", "device": "cuda:0", "batch_size": 8, "limit": 10, "seed": "42",
        "include_path": "mine", "max_tokens": 16,
    }  # fmt: skip
    assert parser().parse_args(["run", "--output-path", "out"]).output == "out"
    assert parser().parse_args(["run"]).output == "runs"
    assert parsed("-M tiny-omni -t mmau -b 4 -L 2 -f 0 -s") == {
        "model": "tiny-omni", "tasks": "mmau", "batch_size": 4, "limit": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--num_fewshot 5", r"--num-fewshot must be 0 \(given: 5\)"),
        ("--gen_kwargs temperature=0.7,top_p=0.9", "'temperature' is a matter of the method.*--method-args"),
        ("--gen_kwargs nonsense", "--gen-kwargs takes key=value"),
        ("--apply_chat_template chatml", "takes no name here"),
        ("--limit 0.1", r"a whole number is wanted, as 1000, and no share \(given: 0.1\)"),
        ("--batch_size auto", r"a whole number is wanted.*given: auto"),
        ("--audio loud", "invalid choice: 'loud'"),
        ("--log_sample_s", "Did you mean '--log-samples'"),
        ("--metod direct", "Did you mean '--method'"),
    ],
)
def test_what_a_run_cannot_do_is_said(command: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parsed(command)
