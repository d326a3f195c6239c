"""No file outside of the data's folders is read, whatever a stranger's rows, links, archives and READMEs say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from audio_eval.audio import AudioError, resolve_under
from audio_eval.data import DataError, Files, HubRows, Record, SourceRow, record
from audio_eval.errors import UserError
from audio_eval.task import load_task
from tests.data.copies import clip, parquet, recording, serve, unplug

REPO, FILE = "owner/name", "data/test-00000-of-00001.parquet"


def convert(row: SourceRow) -> Record:
    return record(id=row.text("id"), question=row.text("question"), **row.audio("audio"))


def trusting(row: SourceRow) -> Record:
    """A converter that takes a path as it stands in the row."""
    value = row.values["audio"]
    more = [{"path": value, "sha256": ""}]
    return record(id=row.text("id"), question=row.text("question"), path=value, more=more)  # type: ignore[arg-type]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A recording that is nobody's business, and links to it from within the data."""
    outside, inside = tmp_path / "private" / "secret.wav", tmp_path / "data" / "set"
    outside.parent.mkdir()
    outside.write_bytes(recording())
    (inside / "audio").mkdir(parents=True)
    (inside / "audio" / "x.wav").write_bytes(recording())
    (inside / "audio" / "same.wav").symlink_to("x.wav")
    (inside / "audio" / "link.wav").symlink_to(outside)
    (inside / "audio" / "hops.wav").symlink_to("link.wav")
    (inside / "audio" / "circle.wav").symlink_to("circle.wav")
    (inside / "folder").symlink_to(outside.parent, target_is_directory=True)
    (inside / "top").symlink_to("/")
    return outside


def read(folder: Path, value: Any, converter: Any = convert) -> list[Record]:
    (folder / "data" / "set" / "a.jsonl").write_text(json.dumps({"id": "1", "question": "q", "audio": value}) + "\n")
    return Files("set", "a.jsonl", "audio", converter).read(str(folder / "data")).records


OUT = [
    "../../private/secret.wav", "audio/../../../private/secret.wav", "audio/link.wav", "audio/hops.wav",
    "folder/secret.wav", "top/etc/passwd", "audio/a\0b", "..", "audio/\ud800.wav",
]  # fmt: skip


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("several", [False, True])
def test_a_path_that_leads_out_is_a_bad_row(path: str, several: bool, secret: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 problem; mend or remove: line 1: "):
        read(tmp_path, ["audio/x.wav", path] if several else path)


@pytest.mark.parametrize("absolute", ["{secret}", "/etc/passwd", "/proc/self/environ", "~/.ssh/id", "file://{secret}"])
def test_what_is_no_path_below_the_folder_names_none_outside(absolute: str, secret: Path, tmp_path: Path) -> None:
    """A leading slash means the benchmark's folder, as in MMSU."""
    (found,) = read(tmp_path, absolute.format(secret=secret))
    assert found["audio"]["path"].startswith(f"{tmp_path}/data/set/") and not Path(found["audio"]["path"]).exists()


@pytest.mark.parametrize(
    "value",
    [{"path": "{secret}"}, {"path": "{secret}", "sha256": ""}, [{"path": "{secret}", "sha256": ""}], {"bytes": "x"},
     [["{secret}", ""]], 7, True],
)  # fmt: skip
def test_an_object_is_no_path(value: Any, secret: Path, tmp_path: Path) -> None:
    filled = json.loads(json.dumps(value).replace("{secret}", str(secret)))
    with pytest.raises(DataError, match=r"line 1: 'audio' is "):
        read(tmp_path, filled)


@pytest.mark.parametrize("path", ["{secret}", "audio/link.wav", "../x.wav"])
def test_a_converter_need_not_check(path: str, secret: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leads out of"):
        read(tmp_path, path.format(secret=secret), trusting)
    inside = str(tmp_path / "data" / "set" / "audio" / "x.wav")
    assert read(tmp_path, inside, trusting)[0]["audio"]["path"] == inside


def test_links_within_the_folder_and_the_users_own(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / "set"
    assert read(tmp_path, "audio/same.wav")[0]["audio"]["path"] == str(data / "audio" / "same.wav")
    (tmp_path / "linked").symlink_to(data)
    assert resolve_under(tmp_path / "linked", "audio/x.wav") == tmp_path / "linked" / "audio" / "x.wav"
    with pytest.raises(AudioError, match=rf"by a link, to {secret}: .*AUDIO_EVAL_AUDIO_DIRS={secret.parent}\.$"):
        resolve_under(data, "folder/secret.wav")
    monkeypatch.setenv("AUDIO_EVAL_AUDIO_DIRS", f"/nowhere{os.pathsep}{secret.parent}")
    assert resolve_under(data, "folder/secret.wav") == data / "folder" / "secret.wav"
    with pytest.raises(AudioError, match="leads out"):
        resolve_under(data, "top/etc/passwd")


def test_a_row_of_a_hub_data_set_names_no_file(secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording is in the column; an object in another one, which a converter might take, is none."""
    unplug(monkeypatch)
    row = {"id": "1", "question": "q", "audio": clip(recording(), str(secret)), "audio_id": {"path": str(secret)}}
    parquet(tmp_path, REPO, FILE, [row])
    cached = HubRows(REPO, "test", convert).read(str(tmp_path)).records[0]["audio"]["path"]
    assert Path(cached).is_relative_to(os.environ["AUDIO_EVAL_CACHE"])

    def other(row: SourceRow) -> Record:
        return record(id=row.text("id"), question=row.text("question"), **row.audio("audio_id"))

    with pytest.raises(DataError, match="'audio_id' is "):
        HubRows(REPO, "test", other).read(str(tmp_path))


@pytest.mark.parametrize("named", ["{outside}", "../../private/*.parquet"])
@pytest.mark.parametrize("copy", [True, False])
def test_a_readme_names_no_other_file(named: str, copy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "hub"
    outside = parquet(tmp_path, "private", "x.parquet", [{"id": "1", "question": "q", "audio": clip(recording())}])
    parquet(home, REPO, FILE, [{"id": "2", "question": "q", "audio": clip(recording())}])
    files = named.format(outside=outside)
    readme = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: {files}\n---\n"
    (home / REPO / "README.md").write_text(readme)
    serve(monkeypatch, home)
    with pytest.raises(UserError, match=r"names a file that is none of its own|cannot be read as a hub data set"):
        HubRows(REPO, "test", convert).read(str(home) if copy else None)


TASK = """
include: {base}
task: plain
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
metadata: {{version: "1"}}
"""


def test_records_in_a_file_of_a_yaml_stay_in_its_folders(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a task has no converter: its rows are the records, and their paths are absolute."""
    import audio_eval.tasks

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    base, rows, tasks = Path(audio_eval.tasks.__file__).parent / "_audio_qa", tmp_path / "rows", tmp_path / "tasks"
    rows.mkdir()
    tasks.mkdir()
    (rows / "x.wav").write_bytes(recording())
    (tasks / "plain.yaml").write_text(TASK.format(base=base, rows=rows / "rows.jsonl"))

    def write(path: Path) -> None:
        item = record(id="1", question="q", choices=["a", "b"], answer="a", groups={"k": "v"}, meta={"m": "v"})
        (rows / "rows.jsonl").write_text(json.dumps({**item, "audio": {"path": str(path), "sha256": ""}}) + "\n")

    write(rows / "x.wav")
    (question,) = load_task("plain", include_path=str(tasks)).questions
    assert question.audio is not None and question.audio.path == str(rows / "x.wav")
    write(secret)
    with pytest.raises(UserError, match=rf"item '1' of task 'plain' names a recording .* {secret}: put it below"):
        load_task("plain", include_path=str(tasks), data_dir=str(tmp_path / "data"))
    assert load_task("plain", include_path=str(tasks), data_dir=str(tmp_path)).questions, "the user gives this folder"
    monkeypatch.setenv("AUDIO_EVAL_AUDIO_DIRS", str(secret.parent))
    assert load_task("plain", include_path=str(tasks)).questions
