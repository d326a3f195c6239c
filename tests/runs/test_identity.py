"""A run is the same only if everything that it was made of is: changed between Ctrl-C and resume, and after the end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from safetensors.torch import load_file, save_file

from audio_eval.cli.main import main
from audio_eval.methods.direct import Direct
from audio_eval.models.catalog import TINY_OMNI
from audio_eval.store import read_json
from audio_eval.task_index import TASKS_DIR
from tests.runs.layout import ITEMS, write_mmar

METHOD = """
from audio_eval import Method
from {helper} import loudly

class Shout(Method):
    name = "shout"

    def predict(self, policy, questions):
        return [loudly(question.choices[0]) for question in questions]
"""
TASK = """
include: {tasks}/_audio_qa
task: mine
custom_dataset: !function audio_eval.tasks.mmar.data.TEST
metadata:
  version: "1"
  scoring: scorer:Mine
  groups: [modality]
"""
SCORER = """
from audio_eval.scoring.scorers.choice import Choice

class Mine(Choice):
    name = "mine"
"""


class Place:
    """A folder with everything that a run is made of, all of it the user's own and easy to change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = write_mmar(root / "data", broken=False)
        self.meta = self.data / "mmar" / "MMAR-meta.jsonl"
        self.model = Path(shutil.copytree(TINY_OMNI.source, root / "final"))
        self.tasks, self.method, self.helper = root / "tasks", root / "shout.py", root / f"helper_{root.parent.name}.py"
        self.tasks.mkdir()
        (self.tasks / "mine.yaml").write_text(TASK.format(tasks=TASKS_DIR))
        (self.tasks / "scorer.py").write_text(SCORER)
        self.method.write_text(METHOD.format(helper=self.helper.stem))
        self.helper.write_text("def loudly(text):\n    return f'<answer>{text}</answer>'\n")

    def command(self, method: str = "direct", *more: str) -> list[str]:
        return [
            "--model", str(self.model), "--tasks", "mine", "--include-path", str(self.tasks), "--method", method,
            "--data-dir", str(self.data), "--batch-size", "2", "--output", str(self.root / "runs"), *more,
        ]  # fmt: skip

    @property
    def runs(self) -> list[Path]:
        return sorted((self.root / "runs").iterdir())

    def rows(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        rows = [json.loads(line) for line in self.meta.read_text().splitlines()]
        change(rows)
        self.meta.write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path / "place"))
    (tmp_path / "place").mkdir()
    return Place(tmp_path / "place")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def interrupted(command: list[str], batches: int = 1) -> None:
    """Ctrl-C after so many batches of answers."""
    whole, asked = Direct.predict, iter(range(batches))

    def predict(self: Direct, *arguments: Any) -> Any:
        if next(asked, None) is None:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Direct, "predict", predict)
        assert main(command) == 130


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(command) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("audio-eval: error: ")]
    return line


# --- what may change, and how it is named ----------------------------------------------------------------------------


def _rename(rows: list[dict[str, Any]]) -> None:
    rows[5]["id"] = "x5"


def _options(rows: list[dict[str, Any]]) -> None:
    rows[3]["choices"] = ["slow", "fast", "none"]


def _golds(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["answer"] = next(choice for choice in row["choices"] if choice != row["answer"])


def _recording(place: Place) -> None:
    samples, rate = soundfile.read(place.data / "mmar/audio/r2.wav")
    soundfile.write(place.data / "mmar/audio/r2.wav", samples[::-1], rate)


def _weights(place: Place) -> None:
    """Of the same size: only the contents tell."""
    file = place.model / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if "lm_head" in name or "embed_tokens" in name)
    save_file({**tensors, name: tensors[name] * 1.5}, file, {"format": "pt"})


def _edited(name: str, old: str, new: str) -> Callable[[Place], None]:
    def change(place: Place) -> None:
        file = place.root / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


CHANGES: dict[str, tuple[Callable[[Place], object], str]] = {
    "an id": (lambda p: p.rows(_rename), r"1 item has another id: r5 is now x5"),
    "a row removed": (lambda p: p.rows(lambda rows: rows.pop(1)), r"1 item is gone: r1"),
    "a row added": (lambda p: p.rows(lambda rows: rows.append({**rows[0], "id": "r6", "question": "Why?"})),
                    r"1 item is new: r6"),
    "all answers": (lambda p: p.rows(_golds), rf"{ITEMS} items have changed \(answer\): r0, r1, r2 and 3 more"),
    "options": (lambda p: p.rows(_options), r"1 item has changed \(choices(, prompt)?\): r3"),
    "a question": (lambda p: p.rows(lambda rows: rows[0].update(question="How fast?")),
                   r"1 item has changed \((prompt, )?question\): r0"),
    "a group": (lambda p: p.rows(lambda rows: rows[4].update(modality="sound")), r"1 item has changed \(groups\): r4"),
    "a recording": (_recording, r"1 item has changed \(recording\): r2"),
    "a recording gone": (lambda p: (p.data / "mmar/audio/r0.wav").unlink(), r"1 item has changed \(recording\): r0"),
    "the task's YAML": (_edited("tasks/mine.yaml", "[modality]", "[category]"), r"definition .* of task 'mine'"),
    "the task's scorer": (_edited("tasks/scorer.py", "(Choice)", "(Choice, )"), r"definition .* of task 'mine'"),
    "the task's prompt": (_edited("tasks/mine.yaml", "metadata:", "metadata:\n  prompt: letter"),
                          r"definition .* changed"),
    "the weights": (_weights, r"the model changed \(model\.safetensors\)"),
    "the tokenizer": (_edited("final/tokenizer_config.json", "{", "{ "), r"model changed \(tokenizer_config\.json\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_nothing_is_lost(name: str, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    change, said = CHANGES[name]
    interrupted(place.command())
    (half,) = place.runs
    whole = place.command("direct", "--seed", "1")
    assert main(whole) == 0
    before = contents(place.root / "runs")
    assert len((half / "responses.jsonl").read_text().splitlines()) == 2
    change(place)
    for command in (["resume", str(half)], whole):
        line = refused(command, capsys)
        assert re.search(said, line), line
        assert "is not the same run: " in line and "--fresh" in line and "--output" in line
    assert contents(place.root / "runs") == before
    assert main([*whole, "--fresh", "--max-errors", "1"]) == 0  # a recording may be gone
    (fresh,) = [folder for folder in place.runs if folder.name.endswith("seed1-2")]
    assert {path: data for path, data in contents(place.root / "runs").items() if not path.startswith(fresh.name)} == (
        before
    )
    capsys.readouterr()
    assert main(whole) == 0 and f"{fresh} (done before)" in capsys.readouterr().err, "the last one of them is meant"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_edited("shout.py", "choices[0]", "choices[1]"), "the method changed (shout"),
        (lambda p: p.helper.write_text("def loudly(text):\n    return text.upper()\n"), "the method changed (helper_"),
    ],
)
def test_the_methods_file_and_its_helpers(
    change: Callable[[Place], object], said: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    command = place.command(f"{place.method}:Shout")
    assert main(command) == 0
    before = contents(place.root / "runs")
    change(place)
    assert said in refused(command, capsys)
    assert contents(place.root / "runs") == before


def test_what_does_not_matter_is_no_change(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    command = place.command()
    assert main(command) == 0
    before = contents(place.root / "runs")
    (place.model / "README.md").write_text("a note beside the weights")
    (place.model / "model.safetensors").touch()
    with (place.tasks / "mine.yaml").open("a") as file:
        file.write("# a comment\n")
    place.rows(list.reverse)
    assert main(command) == 0
    assert contents(place.root / "runs") == before


def test_another_order_of_the_metadata_changes_no_result(place: Place) -> None:
    """Kept answers go by id, and the rest is asked in the order that the run began with."""
    assert main(place.command("direct", "--seed", "1")) == 0
    interrupted(place.command())
    (half, whole) = place.runs
    place.rows(list.reverse)
    assert main(["resume", str(half)]) == 0
    found, expected = contents(half), contents(whole)
    for name in ("questions.jsonl", "responses.jsonl", "scores.jsonl"):
        assert found[name] == expected[name], name
    assert json.loads(found["identity.json"])["tasks"] == json.loads(expected["identity.json"])["tasks"]
    rows = [read_json(folder / "result.json")["audio_eval"] for folder in (half, whole)]
    assert rows[0]["n"] == ITEMS
    for key in ("accuracy", "data_revision", "audio_revision", "model_revision"):
        assert rows[0][key] == rows[1][key], key


def test_votes_go_by_id_too(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """aqa_ttrl, killed while it answers: renamed ids were a KeyError, another order other labels."""
    settings = "votes=4,steps=1,batch_size=4,tune=lora,lr=0.001"
    command = place.command("aqa_ttrl", "--method-args", settings)
    from audio_eval.methods.aqa_ttrl import AqaTtrl

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AqaTtrl, "predict", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(command) == 130
    (folder,) = place.runs
    before = contents(folder)
    place.rows(_rename)
    assert "r5 is now x5" in refused(["resume", str(folder)], capsys)
    assert contents(folder) == before
    place.rows(lambda rows: rows[5].update(id="r5"))
    place.rows(list.reverse)
    assert main(["resume", str(folder)]) == 0
    after = contents(folder)
    for name in ("adapt/votes.jsonl", "adapt/labels.jsonl", "adapt/rollouts.jsonl"):
        assert after[name] == before[name], name


def test_limit_takes_other_items_of_another_order(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    command = place.command("direct", "--limit", "2")
    assert main(command) == 0
    place.rows(list.reverse)
    assert "2 items are gone: r0, r1; 2 items are new: r5, r4" in refused(command, capsys)


def test_a_directory_from_before_identities_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(place.command()) == 0
    (folder,) = place.runs
    (folder / "identity.json").unlink()
    before = contents(folder)
    for command in (place.command(), ["resume", str(folder)]):
        assert "has no identity.json" in refused(command, capsys)
    assert contents(folder) == before


def test_the_labels_that_a_method_learned_from_count(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_mmar(place.root / "train", broken=False)
    args = "steps=1,batch_size=4,group_size=2,tune=lora"
    command = place.command("grpo", "--method-args", args, "--train-task", "mmar", "--train-data-dir", str(other))
    assert main(command) == 0
    file = other / "mmar" / "MMAR-meta.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["answer"] = rows[0]["choices"][1]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert "1 item has changed (answer): r0" in refused(command, capsys)


# --- names -----------------------------------------------------------------------------------------------------------


def test_two_folders_of_one_name(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert main(place.command()) == 0
    other = place.root / "elsewhere" / "final"
    shutil.copytree(place.model, other)
    first, place.model = place.model, other
    _weights(place)
    assert main(place.command()) == 0
    monkeypatch.chdir(first)
    place.model = Path(".")
    assert main(place.command()) == 0
    names = [folder.name for folder in place.runs]
    assert len({re.fullmatch(r"final_([0-9a-f]{6})-direct-mine-seed0(-2)?", name)[1] for name in names}) == 2  # type: ignore[index]
    rows = [read_json(folder / "result.json")["audio_eval"] for folder in place.runs]
    assert {row["model"] for row in rows} == {"final"} and len({row["model_revision"] for row in rows}) == 2
    out = tmp_path / "lb"
    assert main(["leaderboard", str(place.root / "runs"), "-o", str(out)]) == 0
    for page in ("mine.md", "all.md"):
        for row in rows:
            assert f"direct, model={row['model_revision']}" in (out / page).read_text(), page


# --- responses made elsewhere ----------------------------------------------------------------------------------------


@pytest.fixture
def responses(place: Place) -> list[str]:
    file = place.root / "theirs.jsonl"
    file.write_text("\n".join(json.dumps({"id": f"r{i}", "response": "slow"}) for i in range(ITEMS)))
    return [
        "score", "mine", "--responses", str(file), "--include-path", str(place.tasks), "--data-dir", str(place.data),
        "-o", str(place.root / "runs"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("the weights", "the tokenizer")])
def test_scored_responses_likewise(
    name: str, responses: list[str], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = CHANGES[name]
    assert main(responses) == 0
    before = contents(place.root / "runs")
    assert main(responses) == 0
    assert contents(place.root / "runs") == before, "what was scored before keeps its result"
    change(place)
    line = refused(responses, capsys)
    assert re.search(said, line), line
    assert contents(place.root / "runs") == before
    assert main([*responses, "--fresh"]) == 0
    assert len(place.runs) == 2
