"""``audio-eval ls``: what there is, what a method needs and which settings it has, and plug-ins that do not work."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint, version
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from audio_eval import plugins, registry
from audio_eval.cli.main import main
from audio_eval.cli.method_info import type_name
from audio_eval.errors import UserError
from audio_eval.method import Cost, Method, MethodConfig
from audio_eval.models.backends import Chosen, Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.backend import HF
from audio_eval.models.policy import Training
from tests.cli.conftest import RUN
from tests.cli.test_mistakes import mistake

METHODS = "audio_eval.methods"


class Config(MethodConfig, Training):
    share: float = Field(0.5, gt=0, le=1, description="share of something")
    kind: Literal["a", "b"] | None = Field(None, description="which of them")
    lr: float = Field(0.125, gt=0, description="of this method")


class Plugin(Method):
    name = "plugin"
    summary = "a method from elsewhere"
    paper = "arXiv 0000.00000"
    Config = Config
    trains = True
    needs_choices = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {"gentle": {"share": 0.25, "kind": "a"}}
    needs_labels = needs_judge = transductive = True

    def cost(self, adapted: int, scored: int, labelled: int) -> Cost:
        return Cost(votes=64 * adapted, answers=scored)


class Nameless(Method):
    pass


class Misnamed(Method):
    name = "another"


class PlainConfig(Method):
    name, Config = "plain_config", dict


class Needy(Method):
    name = "needy"

    class Config(MethodConfig):
        steps: int


class Moody(Method):
    name = "moody"

    def __init__(self, config: MethodConfig | None = None) -> None:
        raise RuntimeError("not\ntoday")


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers entry points beside the real ones: name -> what it points to, or a list of such pairs."""
    module = ModuleType("elsewhere")
    module.__dict__.update({cls.__name__: cls for cls in (Plugin, Nameless, Misnamed, PlainConfig, Needy, Moody)})
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    real = plugins.entry_points

    def add(*points: tuple[str, str]) -> None:
        added = [EntryPoint(name, value, METHODS) for name, value in points]
        monkeypatch.setattr(
            plugins, "entry_points", lambda group: [*real(group=group), *(added if group == METHODS else [])]
        )

    return add


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["ls", *arguments]) == 0
    return capsys.readouterr().out


# --- what there is ---------------------------------------------------------------------------------------------------


def test_everything(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys)
    names = "synth_aqa mmau_test_mini mmau_test mmar mmsu tiny-omni qwen2.5-omni-3b aqa_ttrl"
    for name in names.split():
        assert re.search(rf"^  {re.escape(name)}  +\S", out, re.MULTILINE), name
    assert "broken" not in out


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    """Every model has a line of all columns; what is not recorded is said to be so, and nothing is made up."""
    title, header, *lines = printed(capsys, "models").splitlines()
    assert title == "models" and re.split(r"\s{2,}", header.strip()) == [
        "name", "hub id", "revision", "parameters", "window", "licence", "backend", "transformers",
    ]  # fmt: skip
    cells = {row[0]: row[1:] for row in (re.split(r"\s{2,}", line.strip()) for line in lines)}
    assert set(cells) == set(plugins.registered("models"))
    audio, oldest = cells["qwen2-audio-7b-instruct"], ">= 5.16.1"
    assert audio == ["Qwen/Qwen2-Audio-7B-Instruct", "latest", "7 B", "30 s", "not recorded", "hf", oldest]
    assert cells["tiny-omni"] == ["in the package", "that of the package", "1.6 M", "300 s", "Apache-2.0", "hf", oldest]
    assert cells["mellow"][-1] == "not needed"


def test_a_model_that_needs_a_newer_transformers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said by the list, and in one line when the model is loaded; nothing is downloaded before."""
    entry = ModelEntry(source="someone/new", summary="", since="99.1", name="new")
    monkeypatch.setattr("audio_eval.cli.ls._loaded", lambda group, what: [("new", entry)])
    now = version("transformers")
    assert printed(capsys, "models").splitlines()[-1].endswith(f"  >= 99.1, {now} is installed")
    with pytest.raises(UserError, match=rf"^model 'new' needs transformers 99\.1, and {now} is installed: .*upgrade"):
        Chosen(entry, HF(), HF.Config()).load(Limits())


def test_methods(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "methods")
    assert out.startswith("methods\n") and "synth_aqa:" not in out and "tiny-omni" not in out
    assert re.findall(r"^  (\w+)  \S", out, re.MULTILINE) == sorted(plugins.registered("methods"))
    ttrl = re.search(r"^  aqa_ttrl  .*\n((?:    .*\n)+)", out, re.MULTILINE)[1]
    for word in ("trains", "transductive", "arXiv 2510.05478", "votes=64", "steps=100", "lr=1e-05", "tune=lora"):
        assert word in ttrl
    assert "weight_decay" not in ttrl, "what all methods that train have is told by ls METHOD"
    grpo = re.search(r"^  grpo  .*\n((?:    .*\n)+)", out, re.MULTILINE)[1]
    assert "needs labels (--train-task)" in grpo and "beta=0.04" in grpo, "a shared setting with another default"


def test_methods_keep_to_the_width_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert all(len(line) <= 80 for line in printed(capsys, "methods").splitlines() if line.startswith("    "))
    assert all(len(line) <= 80 for line in printed(capsys, "aqa_ttrl").splitlines() if "  [" in line)


@pytest.mark.parametrize("name", ["direct", "majority_vote", "aqa_ttrl", "sft", "grpo"])
def test_a_method_with_every_setting(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, name)
    cls = registry.method_class(name)
    assert out.startswith(f"{name}\n  {cls.summary}\n")
    listed = out[out.index("  settings") :] if "  settings" in out else ""  # not the presets above
    assert sorted(re.findall(r"^    (\w+)=\S", listed, re.MULTILINE)) == sorted(cls.Config.model_fields)
    for field in cls.Config.model_fields.values():
        assert field.description.split()[0] in out
    assert ("with tiny-omni: preset=small" in out) == cls.trains


def test_what_a_plugin_can_say(register: Any, capsys: pytest.CaptureFixture[str]) -> None:
    register(("plugin", "elsewhere:Plugin"))
    out = printed(capsys, "methods")
    assert """
  plugin  a method from elsewhere
    trains, transductive; needs labels (--train-task), a judge, multiple choice; arXiv 0000.00000
    tune=lora lr=0.125 share=0.5 kind=null
    presets: gentle
""" in out  # fmt: skip
    out = printed(capsys, "plugin")
    for line in (
        "  from: elsewhere:Plugin",
        "  cost of 1,000 questions, at most: votes 64,000, answers 1,000",
        "  preset=gentle: share=0.25 kind=a",
        "    lr=0.125   of this method [float > 0]",
        "    share=0.5  share of something [float > 0, <= 1]",
        "    kind=null  which of them [a | b | null]",
        "    weight_decay=0.01    AdamW weight decay [float >= 0]",
    ):
        assert " ".join(line.split()) in [" ".join(printed_.split()) for printed_ in out.splitlines()], line


def test_types() -> None:
    shown = {name: type_name(field) for name, field in Training.model_fields.items()}
    assert shown["tune"] == "lora | full" and shown["clip_high"] == "float > 0 | null"
    assert shown["checkpointing"] == "bool | null" and shown["lora_r"] == "int >= 1"


def test_a_method_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its annotations may be strings: they are looked up in a module that was imported by path."""
    path = tmp_path / "json.py"
    path.write_text("""
from __future__ import annotations
from typing import Literal
from audio_eval import Method
from audio_eval.method import MethodConfig

class Config(MethodConfig):
    mode: Literal["x", "y"] = "x"

class Mine(Method):
    name, Config = "mine", Config
""")
    out = printed(capsys, f"{path}:Mine")
    assert out.startswith("mine\n") and f"from: {path}:Mine" in out and "mode=x  [x | y]" in out
    assert "Did you mean 'Mine'?" in mistake(capsys, ["ls", f"{path}:Main"])
    assert sys.modules["json"].loads("1") == 1, "the library's module is still there"


def test_names_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'aqa_ttrl'?" in mistake(capsys, ["ls", "aqa_ttl"])
    assert "Did you mean 'synth_aqa'?" in mistake(capsys, ["ls", "synth_aq"])
    assert "'sft' is a method" in mistake(capsys, ["ls", "sft", "--counts"])


# --- plug-ins that do not work ---------------------------------------------------------------------------------------

BROKEN = {
    "gone": ("no_such_package.method:Gone", r"cannot be loaded: ModuleNotFoundError: .*no_such_package"),
    "attribute": ("elsewhere:Nobody", r"cannot be loaded: AttributeError: .*Nobody"),
    "no_class": ("math:pi", "is not a subclass of audio_eval.Method"),
    "nameless": ("elsewhere:Nameless", "has no name"),
    "misnamed": ("elsewhere:Misnamed", "its class says name = 'another'"),
    "plain_config": ("elsewhere:PlainConfig", "Config is not a subclass of audio_eval.method.MethodConfig"),
    "needy": ("elsewhere:Needy", "Config has no default for steps"),
    "moody": ("elsewhere:Moody", "cannot be made: RuntimeError: not today"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_listed_and_takes_nothing_down(
    name: str, register: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    value, reason = BROKEN[name]
    register((name, value), ("plugin", "elsewhere:Plugin"))
    for arguments in ((), ("methods",)):
        out = printed(capsys, *arguments)
        assert len(re.findall(rf"^  {name}  +broken: .*{reason}", out, re.MULTILINE)) == 1
        assert re.search("^  aqa_ttrl  ", out, re.MULTILINE) and re.search("^  plugin  ", out, re.MULTILINE)
    assert re.search(reason, mistake(capsys, [*RUN, "--method", name]))
    assert re.search(reason, mistake(capsys, ["ls", name]))


def test_a_plugin_that_exits_on_import(register: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (tmp_path / "quitter.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    register(("quitter", "quitter:Quitter"))
    assert "broken: method 'quitter' (quitter:Quitter) cannot be loaded: SystemExit: 3." in printed(capsys, "methods")


def test_a_name_that_two_claim_is_nobodys(register: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the order of installation nor being built in decides what a number was made by."""
    register(("direct", "elsewhere:Plugin"), ("plugin", "elsewhere:Plugin"), ("plugin", "elsewhere:Plugin"))
    claims = r"'direct' is claimed by audio_eval\.methods\.direct:Direct \(audio-eval \S+\) and elsewhere:Plugin"
    assert re.search(rf"^  direct  broken: method {claims}: uninstall all but one\.$", printed(capsys, "methods"), re.M)
    assert re.search(claims, mistake(capsys, [*RUN, "--method", "direct"]))
    assert printed(capsys, "plugin"), "the same claim twice is one claim"
