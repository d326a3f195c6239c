"""What this source must not do with files of other people: unpickle, evaluate, or run what comes with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("audio_eval", "methods", "tasks", "scripts", "bench", "examples")
    for path in (ROOT / folder).rglob("*.py")
]
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "sqlitedict"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    "torch.load", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen",
    "np.load", "numpy.load", "shutil.unpack_archive",
}  # fmt: skip
FALSE = {"trust_remote_code", "allow_pickle", "shell"}
# Classes whose from_pretrained reads weights, and those that would import the code beside a checkpoint.
WEIGHTS, AUTO = ("ForConditionalGeneration", "ForCausalLM", "Thinker", "MultimodalLM", "model_class()"), "Auto"


def found(source: str) -> Iterator[str]:
    """What is forbidden in a source, in words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {name}" for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            called, given = ast.unparse(node.func), {one.arg: one.value for one in node.keywords}
            if called in CALLS or called in METHODS:
                yield f"calls {called}"
            for name in FALSE & given.keys():
                if not (isinstance(given[name], ast.Constant) and given[name].value is False):  # type: ignore[attr-defined]
                    yield f"{called}({name}={ast.unparse(given[name])})"
            if called.endswith(".from_pretrained"):
                whose = called.removesuffix(".from_pretrained")
                if whose.split(".")[-1].startswith(AUTO) and "trust_remote_code" not in given:
                    yield f"{called} without trust_remote_code=False, which asks the user instead"
                if any(name in whose for name in WEIGHTS) and "use_safetensors" not in given:
                    yield f"{called} without use_safetensors=True, which may open a pickle"


def test_no_source_has_it() -> None:
    assert len(SOURCES) > 300
    assert not {f"{path.relative_to(ROOT)}: {what}" for path in SOURCES for what in found(path.read_text())}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from dill import loads", "import a, joblib", "eval(x)", "exec(x)", "torch.load(f)",
        "yaml.load(t, Loader=L)", "yaml.unsafe_load(t)", "A.from_pretrained(f, trust_remote_code=True)",
        "np.load(f, allow_pickle=True)", "x(trust_remote_code=config.remote)", "AutoConfig.from_pretrained(f)",
        "transformers.AutoProcessor.from_pretrained(f)", "Qwen2AudioForConditionalGeneration.from_pretrained(f)",
        "subprocess.run(c, shell=True)", "os.system(c)",
    ],
)  # fmt: skip
def test_the_test_sees_it(source: str) -> None:
    assert list(found(source))


def test_what_is_allowed() -> None:
    assert not list(found("model.eval(); re.compile(x); AutoConfig.from_pretrained(f, trust_remote_code=False)"))


def test_only_terminal_prints() -> None:
    """Every text that may be of other people goes through its filter."""
    printing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "audio_eval").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")
    }
    assert printing == {"audio_eval/terminal.py"}
