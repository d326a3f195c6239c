"""What the README shows is what is there, and it runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from audio_eval.cli.flags import given
from audio_eval.cli.main import main
from audio_eval.cli.parser import parser
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.runs.plan import plan
from tests.rl.fake_policy import FakeGenerator, make_question, tagged

IMPORTS = """
from audio_eval import Method
from audio_eval.models.policy import Sampling
from audio_eval.rl.votes import majority_vote
"""


def clear_majority(question: Question, sampling: Sampling) -> Mapping[str, int]:
    return {tagged("dog"): 1} if sampling.n == 1 else {tagged("cat"): 13, tagged("dog"): 3}


ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 100


@pytest.mark.slow
def test_the_example_method_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = ROOT / "examples" / "cautious_vote.py"
    args = ["--model", "tiny-omni", "--method", f"direct,{example}:CautiousVote", "--tasks", "synth_aqa:validation"]
    args += ["--limit", "8", "--method-args", "votes=4", "--output", str(tmp_path), "--json"]
    assert main(args) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["method"] for row in rows] == ["direct", "cautious_vote"]
    assert [row["samples"] for row in rows] == [8, 8 + 4 * 8]


def test_the_snippet_is_a_method_that_works() -> None:
    """The README shows the heart of the example; as the body of a class it answers like the file."""
    body = re.search(r"^    def predict.*?return responses$", README, re.M | re.S)
    assert body is not None
    names: dict[str, object] = {}
    exec(f"{IMPORTS}\nclass Snippet(Method):\n    name = 'snippet'\n\n{body[0]}", names)
    questions = [make_question("a"), make_question("b")]
    said = names["Snippet"]().predict(FakeGenerator(clear_majority), questions)  # type: ignore[operator]
    assert [text if isinstance(text, str) else text.text for text in said] == ["<answer>cat</answer>"] * 2


@pytest.mark.parametrize("command", re.findall(r"^    audio-eval (--model .*)$", README, re.M))
def test_its_commands_are_understood(command: str) -> None:
    arguments = ["run", *command.split()]
    plan(given(parser().parse_args(arguments)))


def test_the_commands_of_the_readme_are_in_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^ *make (\w+)", README, re.M)) <= targets
    assert {"demo", "test"} <= targets


def test_paths_that_the_docs_link_to_exist():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tests_that_known_defects_names_exist() -> None:
    page = (ROOT / "docs" / "known-defects.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 30
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"
