"""docs/add-a-benchmark.md and its template, followed step by step from a folder outside the checkout."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audio_eval.tasks
from audio_eval.cli.main import main
from audio_eval.task import load_task

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-benchmark.md").read_text()
OWN = ["--include-path", "my_tasks", "--data-dir", "data"]
METADATA = re.compile(r"^metadata:\n(?:  .*\n)+", re.MULTILINE)
MIDDLE = re.compile(r"^custom_dataset:.*?(?=^metadata:)", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


COPY, COMMANDS = blocks("sh")
DATA, LM_EVAL, RULE, SCORER, SPLITS = blocks("python")
(NEW_METADATA,) = blocks("yaml")
(ITEM,) = map(json.loads, blocks("json"))


def run(commands: str) -> None:
    for line in commands.splitlines():
        command = shlex.split(line)
        if command[0] == "audio-eval":
            assert main(command[1:]) == 0, line
        else:
            subprocess.run(command, check=True)


def record_items(file: str, rows: list[dict]) -> None:
    """A file of rows, and a recording for each."""
    home = Path("data/my_benchmark")
    for row in rows:
        path = home / (row.get("wav") or row["audio_path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(8_000) * 2 * np.pi * 300 / 16_000), 16_000)
    (home / file).write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit(file: str, *changes: tuple[str | re.Pattern[str], str]) -> None:
    """Replace in a file of the copied template; each text to be replaced must be there."""
    path = Path("my_tasks/my_benchmark") / file
    text = path.read_text()
    for old, new in changes:
        pattern = re.compile(re.escape(old)) if isinstance(old, str) else old
        assert pattern.search(text), old
        text = pattern.sub(lambda _: new, text)
    path.write_text(text)


def append(file: str, text: str) -> None:
    with (Path("my_tasks/my_benchmark") / file).open("a") as opened:
        opened.write(text)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 1, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    Path("docs").symlink_to(ROOT / "docs")
    run(COPY)


@pytest.fixture
def mine(copied: None) -> None:
    """Step 2: the page's converter, metadata and items."""
    Path("my_tasks/my_benchmark/data.py").write_text(DATA)
    edit("my_benchmark.yaml", (METADATA, NEW_METADATA))
    record_items("questions.jsonl", [ITEM | {"uid": f"a{i}", "wav": f"clips/{i}.wav"} for i in range(6)])


def test_the_template_works_as_it_is(copied: None, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"question": "What is it?", "choices": ["dog", "car"], "answer": "car", "category": "sound"}
    rows = [row | {"id": f"t{i}", "audio_path": f"./audio/{i}.wav"} for i in range(4)]
    record_items("my_benchmark.jsonl", rows)
    assert main(["validate", "my_benchmark", *OWN]) == 0
    assert "my_benchmark: 4 items, official, data 1+" in capsys.readouterr().out


def test_the_page_as_written(mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    run(COMMANDS)
    out = capsys.readouterr().out
    assert "items: 6, source official" in out and "kind (1): sound 6" in out
    assert "no errors" in out and "ok: 1 task, 0 errors, 0 notes" in out
    (result,) = Path("runs").glob("tiny-omni-direct-my_benchmark-*/result.json")
    row = json.loads(result.read_text())["audio_eval"]
    assert row["n"] == 4 and row["groups"]["kind"]["sound"]["n"] == 4


def test_plain_lm_eval_loads_the_task(mine: None) -> None:
    found: dict = {}
    exec(LM_EVAL, found)
    task = found["task"]
    doc = task.test_docs()[0]
    assert doc["answer"] == task.doc_to_target(doc) == "car"
    assert task.doc_to_audio(doc)[0]["path"].endswith("data/my_benchmark/clips/0.wav")
    assert task.process_results(doc, ["<answer>car</answer>"]) == {"acc": 1, "unparsable": 0}


def test_an_official_rule(mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    append("data.py", RULE)
    (line,) = re.findall(r"`(official: \S+)`", PAGE)
    edit("my_benchmark.yaml", ("metadata:\n", f"metadata:\n  {line}\n"))
    assert main(["ls", "my_benchmark", "--counts", *OWN]) == 0
    assert "50.00 % by data:my_rule" in capsys.readouterr().out
    assert main(["validate", "my_benchmark", *OWN]) == 0
    assert "0 notes" in capsys.readouterr().out


def test_a_scorer(mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    append("data.py", SCORER)
    (line,) = re.findall(r"`(scoring: data:\S+)`", PAGE)
    edit("my_benchmark.yaml", ("metadata:\n", f"metadata:\n  {line}\n"))
    assert main(["validate", "my_benchmark", *OWN]) == 0
    assert "0 notes" in capsys.readouterr().out
    responses = ["car", "house", "a red car", "", "cat", "cars"]
    lines = [json.dumps({"id": f"a{i}", "response": text}) for i, text in enumerate(responses)]
    Path("said.jsonl").write_text("\n".join(lines))
    assert main(["score", "my_benchmark", "--responses", "said.jsonl", "--json", *OWN]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["scorer"], row["accuracy"], row["unparsable_n"]) == ("within_two@1", 66.6667, 1)
    assert row["metrics"] == {"distance": {"value": 2.0, "n": 6}}


def test_splits(mine: None) -> None:
    append("data.py", SPLITS)
    train = "training_split: train\ntest_split: test"
    edit("my_benchmark.yaml", ("data.TEST", "data.splits"), ("test_split: test", train))
    record_items("train.jsonl", [ITEM | {"uid": f"b{i}", "wav": f"clips/b{i}.wav"} for i in range(3)])
    assert main(["validate", "my_benchmark:train,my_benchmark", *OWN]) == 0
    task = load_task("my_benchmark:train", data_dir="data", include_path="my_tasks")
    assert len(task.questions) == 3 and list(task.provenance.files) == ["my_benchmark/train.jsonl"]


def test_an_open_task(mine: None) -> None:
    append("data.py", "\nfrom audio_eval.data import opened\n\nOPEN = opened(TEST)\n")
    metrics = re.compile(r"^metric_list:\n(?:  .*\n)+", re.MULTILINE)
    names = re.findall("`(contains_em|bleu|rouge_l)`", PAGE)
    lines = "".join(f"  - {{metric: {name}, aggregation: mean, higher_is_better: true}}\n" for name in names)
    edit(
        "my_benchmark.yaml",
        ("data.TEST", "data.OPEN"),
        ("common.doc_to_text", "common.doc_to_open_text"),
        ("process_results\n", "process_results_open\n"),
        (metrics, f"metric_list:\n{lines}"),
        ("metadata:\n", "metadata:\n  scoring: open\n  prompt: op_ttrav_open\n"),
    )
    assert main(["validate", "my_benchmark", *OWN]) == 0
    assert main(["--model", "tiny-omni", "--tasks", "my_benchmark", "--limit", "2", *OWN]) == 0


def test_a_text_only_task(mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    edit("data.py", ('        **row.audio("wav"),\n', ""), ('"clips"', '""'))
    edit("my_benchmark.yaml", ("doc_to_audio: !function audio_eval.tasks.common.doc_to_audio\n", ""))
    shutil.rmtree("data/my_benchmark/clips")
    assert main(["validate", "my_benchmark", *OWN]) == 0
    assert "recordings" not in capsys.readouterr().out
    assert main(["--model", "tiny-omni", "--tasks", "my_benchmark", "--limit", "2", *OWN]) == 0


def test_a_group(mine: None, capsys: pytest.CaptureFixture[str]) -> None:
    group, task = re.search(r"`(group: my_suite)` and `(task: .*?)`", PAGE).groups()
    Path("my_tasks/my_suite.yaml").write_text(f"{group}\n{task.replace('mmar', 'synth_aqa')}\n")
    assert main(["validate", "my_suite", "--limit", "4", *OWN]) == 0
    assert "ok: 2 tasks" in capsys.readouterr().out


def test_a_contribution(mine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """tasks/ stands in for the checkout's: the YAML with the include, found as a package."""
    shutil.copytree("my_tasks", "tasks")
    shutil.copy(ROOT / "tasks" / "_audio_qa", "tasks/_audio_qa")
    shutil.rmtree("my_tasks")
    shutil.move("tasks", "my_tasks")
    Path("my_tasks/my_benchmark/__init__.py").write_text('"""My benchmark: recordings of mine."""\n')
    line = re.search(r"`(!function audio_eval\.tasks\.my_benchmark\.\S+)`", PAGE)[1]
    include = re.search(r"`(include: \S+)`", PAGE)[1]
    edit("my_benchmark.yaml", (MIDDLE, f"custom_dataset: {line}\n{include}\n"))
    monkeypatch.setattr(audio_eval.tasks, "__path__", [*audio_eval.tasks.__path__, str(Path("my_tasks").absolute())])
    assert main(["validate", "my_benchmark", *OWN]) == 0


def test_the_table_names_every_key_of_the_tasks() -> None:
    keys = {
        key for path in (ROOT / "tasks").glob("*/*.yaml") if "task: [" not in path.read_text()
        for key in re.findall(r"^  (\w+):", path.read_text().partition("\nmetadata:\n")[2], re.MULTILINE)
    }  # fmt: skip
    assert keys <= set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
