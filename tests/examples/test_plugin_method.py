"""examples/plugin-method, installed as a user would; and plug-ins that do not work beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from tests.examples.fresh import PLUGIN, Fresh, write_distribution

TINY = ["--model", "tiny-omni", "--tasks", "synth_aqa:validation", "--limit", "8"]
FEW = "confident_sft.preset=small,votes=4,epochs=1,confidence=0.25"

pytestmark = pytest.mark.slow

METHOD = """
from audio_eval import Method
from audio_eval.method import MethodConfig


class Twin(Method):
    name = "twin"


class Vote(Method):
    name = "majority_vote"


class Sound(Method):
    name = "sound"


class Required(Method):
    name = "required"

    class Config(MethodConfig):
        steps: int


class NoMethod:
    name = "no_method"
"""
BROKEN = {
    "raises": ("broken_raises:Anything", r"cannot be loaded: ZeroDivisionError: division by zero"),
    "missing": ("broken_methods:Missing", r"cannot be loaded: AttributeError: .*'Missing'"),
    "no_method": ("broken_methods:NoMethod", r"is not a subclass of audio_eval\.Method"),
    "required": ("broken_methods:Required", r"its Config has no default for steps"),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    fresh = Fresh(tmp_path_factory.mktemp("installed"))
    fresh.install(PLUGIN)
    return fresh


@pytest.fixture(scope="module")
def beside_broken(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """An environment with the example, a distribution of which little works, and one that claims the same names."""
    folder = tmp_path_factory.mktemp("broken")
    methods = {name: value for name, (value, _) in BROKEN.items()} | {
        "sound": "broken_methods:Sound",
        "twin": "broken_methods:Twin",
        "majority_vote": "broken_methods:Vote",
    }
    modules = {"broken_methods": METHOD, "broken_raises": "1 / 0\n"}
    fresh = Fresh(folder)
    fresh.install(
        PLUGIN,
        write_distribution(folder / "made", "broken-plugin", methods, modules),
        write_distribution(folder / "made", "other-plugin", {"twin": "other_twin:Twin"}, {"other_twin": METHOD}),
    )
    return fresh


# --- the example -----------------------------------------------------------------------------------------------------


def test_it_is_installed_and_listed(installed: Fresh) -> None:
    where = installed.run("-c", "import confident_sft; print(confident_sft.__file__)").stdout
    assert where.startswith(str(installed.folder / "venv")), "not from the checkout"
    assert re.search(r"^  confident_sft  fine-tuning on .*\n    trains, transductive; needs multiple choice",
                     installed.audio_eval("ls", "methods"), re.MULTILINE)  # fmt: skip
    out = installed.audio_eval("ls", "confident_sft")
    assert "from: confident_sft.method:ConfidentSft (audio-eval-confident-sft 0.1.0)" in out
    assert "preset=strict: votes=64 confidence=0.9 epochs=4" in out and "cost of 1,000 questions" in out


def test_its_own_tests_pass(installed: Fresh) -> None:
    tests = installed.folder / "sources" / PLUGIN.name / "tests"
    done = installed.run("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tests}", str(tests))
    assert done.returncode == 0 and re.search(r"^5 passed", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_it_runs_by_name_and_from_its_file(
    installed: Fresh, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name where it is installed; from the file where it is not; to the same result."""
    flags = [*TINY, "--method-args", FEW]
    out = installed.audio_eval(*flags, "--method", "direct,confident_sft", "--output", "runs")
    assert re.search(r"confident_sft .* transductive", out) and re.search(r"direct .* baseline", out)
    installed.audio_eval("leaderboard", "runs", "-o", "tables")
    assert "confident_sft" in (installed.folder / "tables" / "all.md").read_text()
    folder = installed.folder / "runs" / "tiny-omni-confident_sft-synth_aqa-validation-seed0"
    row = json.loads((folder / "result.json").read_text())["audio_eval"]
    assert row["n"] == 8 and 0 < row["notes"]["kept"] <= 8 and row["samples"] == 4 * 8 + 8

    file = PLUGIN / "src" / "confident_sft" / "method.py"
    assert main([*flags, "--method", f"{file}:ConfidentSft", "--output", str(tmp_path), "--json"]) == 0
    (again,) = json.loads(capsys.readouterr().out)["rows"]
    assert again["method"] == "confident_sft"
    same = ("accuracy", "samples", "unparsable", "adapter_sha256")
    assert {key: again[key] for key in same} == {key: row[key] for key in same}


# --- beside what does not work ---------------------------------------------------------------------------------------


def test_ls_says_what_is_broken_and_goes_on(beside_broken: Fresh) -> None:
    for arguments in (["ls"], ["ls", "methods"]):
        out = beside_broken.audio_eval(*arguments)
        for name, (_, reason) in BROKEN.items():
            assert re.search(rf"^  {name} +broken: .*{reason}", out, re.MULTILINE), name
        claims = r"method 'twin' is claimed by broken_methods:Twin \(broken-plugin 0\.1\) and " \
            r"other_twin:Twin \(other-plugin 0\.1\): uninstall all but one"  # fmt: skip
        assert re.search(rf"^  twin +broken: {claims}", out, re.MULTILINE)
        built_in = r"audio_eval\.methods\.majority_vote:MajorityVote \(audio-eval \S+\)"
        assert re.search(rf"^  majority_vote +broken: .*{built_in} and broken_methods:Vote", out, re.MULTILINE)
        assert re.search(r"^  confident_sft  +fine-tuning", out, re.MULTILINE)
        assert re.search(r"^  direct  +greedy", out, re.MULTILINE)


def test_what_works_runs_beside_what_does_not(beside_broken: Fresh) -> None:
    out = beside_broken.audio_eval(*TINY, "--method", "direct,sound", "--output", "runs", "--json")
    first, second = json.loads(out)["rows"]
    assert (first["method"], second["method"]) == ("direct", "sound") and first["accuracy"] == second["accuracy"]


@pytest.mark.parametrize("name", [*BROKEN, "twin", "majority_vote"])
def test_asking_for_what_is_broken_is_a_mistake(name: str, beside_broken: Fresh) -> None:
    done = beside_broken.run("-m", "audio_eval", *TINY, "--method", f"direct,{name}", "--output", "none")
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"audio-eval: error: method '{name}'"), line
    assert re.search(BROKEN[name][1] if name in BROKEN else "is claimed by .* and .*", line)
    assert not (beside_broken.folder / "none").exists()
