"""A run leaves as an archive and arrives as a run directory, its scores computed anew; what is not true is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate, load_runs
from audio_eval.models.hf.files import adapter_folder
from audio_eval.runlog import RunLog
from audio_eval.sharing.export import export
from audio_eval.sharing.importing import import_run
from tests.sharing.archives import edited, files_of, write

ELSEWHERE = {"include_path": "/nowhere"}  # no task can be loaded


def test_it_arrives_whole_and_verified(trained: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / ".import-x.999999999.tmp" / "adapt").mkdir(parents=True)  # what was killed has left it
    folder, imported = import_run(exported, tmp_path, {})
    before, after = RunLog(trained), RunLog(folder)
    assert imported.verified and after.imported() == imported
    for name in ("questions", "responses", "scores", "steps", "labels"):
        assert getattr(before, name).read() == getattr(after, name).read()
    identity = before.identity().model_copy(update={"settings": {}})  # spec.json has them, without places
    assert (before.environment().packages, identity) == (after.environment().packages, after.identity())
    rows = aggregate(load_runs([trained, folder])[0])
    assert [row.tags[-1] for row in rows] in (
        ["transductive", "imported, verified"], ["pseudo labels", "imported, verified"],
    )  # fmt: skip
    assert (adapter_folder(str(folder)) / "adapter_model.safetensors").read_bytes() == (
        adapter_folder(str(trained)) / "adapter_model.safetensors"
    ).read_bytes()
    with pytest.raises(UserError, match="was imported before"):
        import_run(exported, tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_without_responses_or_data_it_is_not_recomputed(trained: Path, exported: Path, tmp_path: Path) -> None:
    assert export(trained, tmp_path / "x.zip", responses=False) == [
        "the responses, so that nobody can recompute the scores"
    ]
    folder, imported = import_run(tmp_path / "x.zip", tmp_path / "a", {})
    assert (imported.verified, imported.reason) == (False, "it came without its responses")
    assert "imported, not recomputed" in load_runs([folder])[0][0].tags
    assert "no folder '/nowhere'" in import_run(exported, tmp_path / "b", ELSEWHERE).imported.reason


def flipped(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two outcomes exchanged: the accuracy stays."""
    outcomes = [record["outcome"] for record in records]
    a, b = outcomes.index("correct"), outcomes.index("wrong")
    records[a]["outcome"], records[b]["outcome"] = "wrong", "correct"
    return records


@pytest.mark.parametrize(
    ("name", "edit", "match"),
    [
        ("scores.jsonl", flipped, r"item '\S+': outcome is stated as"),
        ("responses.jsonl", lambda records: [{**record, "response": ""} for record in records], r"item '\S+': \w+ is"),
        ("responses.jsonl", lambda records: records[1:], r"item '\S+' has no score or no response"),
        ("responses.jsonl", lambda records: [*records, {"id": "x", "response": ""}], "have item 'x'"),
        ("responses.jsonl", lambda records: [*records, records[0]], "has an item twice"),
        ("responses.jsonl", lambda records: [{**records[0], "unknown": 1}], "damaged: record 1: unknown"),
        ("spec.json", lambda told: {**told, "task": "synth_aqa:train"}, "its spec is of task"),
        ("spec.json", lambda told: {**told, "command": "rm"}, "'spec.json' is damaged: command"),
        ("spec.json", lambda told: {**told, "version": 1}, "run log of version 1"),
        ("metrics.jsonl", lambda records: [{"step": 1, "reward": "much"}], "'metrics.jsonl' is damaged"),
        ("oracle.jsonl", lambda records: [{"step": "<script>"}], "damaged: record 1: step"),
        ("adapt/step-000001/adapter_config.json", lambda told: {**told, "auto_mapping": {"parent_library": "os"}},
         "not of a plain LoRA adapter"),
    ],
)  # fmt: skip
def test_what_is_not_true_is_refused_and_named(
    name: str, edit: Callable[[Any], Any], match: str, exported: Path, tmp_path: Path
) -> None:
    path = edited(exported, tmp_path / "x.zip", name, edit)
    with pytest.raises(UserError, match=match) as caught:
        import_run(path, tmp_path / "into", {})
    assert "\n" not in str(caught.value) and ".import-" not in str(caught.value)
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("accuracy", 99.0, "two accuracies"),
        ("unparsable", 0.123, "unparsable is stated as 0.123"),
        ("groups", {}, "groups is stated as"),
        ("adapter_sha256", "0" * 64, "of other weights than the adapter in it"),
        ("tags", ["imported, verified"], None),
    ],
)
def test_figures_must_follow_from_the_items(
    key: str, value: Any, match: str | None, exported: Path, tmp_path: Path
) -> None:
    def edit(told: dict[str, Any]) -> dict[str, Any]:
        return {**told, "audio_eval": {**told["audio_eval"], key: value}}

    path = edited(exported, tmp_path / "x.zip", "result.json", edit)
    if match:
        with pytest.raises(UserError, match=match):
            import_run(path, tmp_path / "into", {})
    else:  # what an archive says of its own check counts for nothing
        folder, _ = import_run(path, tmp_path / "into", ELSEWHERE)
        assert RunLog(folder).result().audio_eval.tags == ["imported, not recomputed"]


def test_weights_are_safetensors_or_nothing(exported: Path, tmp_path: Path) -> None:
    files = files_of(exported)
    name = next(name for name in files if name.endswith("model.safetensors"))
    with pytest.raises(UserError, match="no safetensors file"):
        import_run(write(tmp_path / "x.zip", {**files, name: b"\x80\x04pickle"}), tmp_path / "into", {})
    other = save({"a": np.zeros(2)})
    with pytest.raises(UserError, match="of other weights"):
        import_run(write(tmp_path / "y.zip", {**files, name: other}), tmp_path / "into", {})


def test_a_template_of_the_archive_is_not_rendered(exported: Path, tmp_path: Path) -> None:
    path = edited(
        exported, tmp_path / "x.zip", "spec.json", lambda told: {**told, "prompt": "p", "prompt_source": "{{"}
    )
    assert "none that comes with a file is rendered" in import_run(path, tmp_path / "into", {}).imported.reason


def test_a_strangers_page_is_left_in_the_archive(run: Path, tmp_path: Path) -> None:
    (run / "report.html").write_text(f"<p>{run}/x</p>")
    export(run, tmp_path / "x.zip")
    assert b"report.html" in files_of(tmp_path / "x.zip")["manifest.json"]
    assert str(tmp_path).encode() not in files_of(tmp_path / "x.zip")["report.html"]
    assert not (import_run(tmp_path / "x.zip", tmp_path / "into", {}).folder / "report.html").exists()


def test_of_a_benchmark_without_such_a_licence_nothing_leaves(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "report.html").write_text("all of it")
    options = {choice for question in RunLog(run).questions.read() for choice in question.choices}
    answers = {score.answer for score in RunLog(run).scores.read()}
    monkeypatch.setattr("audio_eval.sharing.export.FREE", frozenset())
    left_out = export(run, tmp_path / "x.zip")
    assert any("questions, options and gold answers" in what for what in left_out)
    files = files_of(tmp_path / "x.zip")
    assert "report.html" not in files
    for name, content in files.items():
        if name.endswith((".json", ".jsonl")) and name not in ("responses.jsonl", "lm_eval_results.json"):
            found = {text for text in strings(name, content) if text in options | answers}
            assert not found, f"{name} holds {found}"
    digests = [item["answer"] for task in json.loads(files["identity.json"])["tasks"] for item in task["items"]]
    assert set(digests) == {""}  # whoever tries the options on a digest would have the answer
    export(run, tmp_path / "silent.zip", responses=False)
    assert b'"choice"' not in files_of(tmp_path / "silent.zip")["scores.jsonl"]
    folder, imported = import_run(tmp_path / "x.zip", tmp_path / "into", {})
    assert imported.verified  # and whole again, from the receiver's own copy of the benchmark
    assert RunLog(folder).questions.read() == RunLog(run).questions.read()
    assert RunLog(folder).scores.read() == RunLog(run).scores.read()


def strings(name: str, content: bytes) -> set[str]:
    values = [json.loads(line) for line in content.splitlines()] if name.endswith("l") else [json.loads(content)]
    found: set[str] = set()
    while values:
        value = values.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict):
            values += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            values += value
    return found


def test_an_unfinished_or_damaged_run_is_no_run_to_export(run: Path, tmp_path: Path) -> None:
    scores = (run / "scores.jsonl").read_text()
    (run / "scores.jsonl").write_text(scores[: scores.index("\n") + 1])
    with pytest.raises(UserError, match=r"scores\.jsonl' is damaged: line 2 .* Run audio-eval resume "):
        export(run, tmp_path / "x.zip")
    (run / "result.json").unlink()
    with pytest.raises(UserError, match=r"has no result\.json"):
        export(run, tmp_path / "x.zip")
    shutil.rmtree(run)
    with pytest.raises(UserError, match=r"has no result\.json"):
        export(run, tmp_path / "x.zip")


def test_the_weights_can_be_loaded(exported: Path, tmp_path: Path) -> None:
    folder, _ = import_run(exported, tmp_path, {})
    assert load_file(adapter_folder(str(folder)) / "adapter_model.safetensors")


def test_the_commands(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(trained), "-o", str(tmp_path / "x.zip"), "--no-responses"]) == 0
    assert capsys.readouterr().err == "    left out: the responses, so that nobody can recompute the scores\n"
    assert main(["import", str(tmp_path / "x.zip"), "--into", str(tmp_path / "runs")]) == 0
    out, err = capsys.readouterr()
    assert RunLog(out.strip()).finished and "imported, not recomputed: it came without its responses" in err
    assert main(["resume", out.strip()]) == 1  # its spec may name a file to run as the method
    assert "was imported from an archive" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.zip")]) == 1
    assert "no archive" in capsys.readouterr().err
