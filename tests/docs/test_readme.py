"""What the README shows is what is there, and it runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from audio_eval.cli.main import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_example_method_in_the_readme_is_the_file_and_runs(tmp_path, capsys):
    example = ROOT / "examples" / "cautious_vote.py"
    assert example.read_text() in README
    args = ["--model", "tiny-omni", "--method", f"direct,{example}:CautiousVote", "--tasks", "synth_aqa:validation"]
    args += ["--limit", "8", "--method-args", "votes=4", "--output", str(tmp_path), "--json"]
    assert main(args) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["method"] for row in rows] == ["direct", "cautious_vote"]
    assert [row["samples"] for row in rows] == [8, 8 + 4 * 8]


def test_the_commands_of_the_readme_are_in_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^ *make (\w+)", README, re.M)) <= targets
    assert {"demo", "test"} <= targets


def test_paths_that_the_docs_link_to_exist():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
