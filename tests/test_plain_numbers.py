"""What is a number on the command line: one rule for all flags and settings."""

from __future__ import annotations

import pytest

from audio_eval.cli.main import main
from audio_eval.plain_numbers import odd

RUN = ["--model", "tiny-omni", "--tasks", "synth_aqa", "--dry-run"]
NO_NUMBERS = (
    "1_000",
    "\u0663",
    " 3",
    "+3",
    "0x10",
    "0b1",
    "nan",
    "inf",
    "-inf",
    ".inf",
    ".nan",
    "1e400",
    "\uff11",
    "3 ",
)
FLAGS = (
    "--limit={}", "--batch-size={}", "--seed={}", "--holdout={}", "--permute-choices={}", "--max-errors={}",
    "--num-fewshot={}", "--method-args=votes={}", "--model-args=max_length={}", "--gen-kwargs=max_tokens={}",
)  # fmt: skip


@pytest.mark.parametrize("flag", FLAGS)
def test_what_python_or_yaml_alone_takes_for_a_number_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    lists = flag.startswith(("--seed", "--method", "--model", "--gen", "--max"))  # blanks around their parts are none
    for text in NO_NUMBERS:
        if lists and text != text.strip():
            continue
        assert main([*RUN, "--method", "majority_vote", flag.format(text)]) == 1, text
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("flag", ["--items", "--embed"])
def test_flags_of_other_commands(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    for text in NO_NUMBERS:
        assert main(["compare", "a", "b", f"{flag}={text}"]) == 1
        assert "number is wanted" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1000", "0", "-3", "0.5", ".5", "1e-6", "2E5", "1.", "direct", "", "true", "3abc"])
def test_plain_numbers_and_what_is_none_are_not_odd(text: str) -> None:
    assert not odd(text)


@pytest.mark.parametrize("text", [*(text for text in NO_NUMBERS if text == text.strip()), "1:30", "010_0"])
def test_odd_numbers(text: str) -> None:
    assert odd(text)
