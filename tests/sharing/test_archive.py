"""What an archive may be, and all that is refused in one line with nothing left behind."""

from __future__ import annotations

import os
import stat
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.sharing.export import export
from audio_eval.sharing.importing import import_run
from tests.sharing.archives import files_of, write

HERE: dict[str, str | None] = {}


def refused(path: Path, match: str) -> None:
    into = path.parent / "into"
    with pytest.raises(UserError, match=match) as caught:
        import_run(path, into, HERE)
    assert "\n" not in str(caught.value)
    assert list(into.iterdir()) == [] and not (path.parent / "evil").exists()


def test_equal_runs_give_equal_bytes(trained: Path, exported: Path, tmp_path: Path) -> None:
    export(trained, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == exported.read_bytes()
    assert not any(info.date_time[0] != 1980 for info in zipfile.ZipFile(exported).infolist())


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/evil", "C:\\evil", "..\\evil", "adapt/../../evil", "evil.py", "spec.json/", "Spec.json", "a\nb",
        "adapt/step-000001/adapter_model.bin", "adapt/step-000001/optimizer.pt", "\x1b[2J",
        "adapt/step-1/adapter_model.safetensors", "imported.json", ".lock",
    ],
)  # fmt: skip
def test_other_names_are_refused(name: str, exported: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {**files_of(exported), name: b"x"})
    refused(path, "is no file of a run's archive|is a link")


def test_a_name_with_a_null_byte_is_refused(exported: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", {**files_of(exported), "spec.jsonZ.py": b"x"})
    path.write_bytes(path.read_bytes().replace(b"spec.jsonZ.py", b"spec.json\x00.py"))
    refused(path, "is no file of a run's archive|cannot be read")


def test_links_and_odd_files_are_refused(exported: Path, tmp_path: Path) -> None:
    for number, kind in enumerate((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR)):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = files_of(exported)
        path = write(folder / "x.zip", {k: v for k, v in files.items() if k != "notes.json"}, files)
        info = zipfile.ZipInfo("notes.json")
        info.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, b"/etc/passwd")
        refused(path, "is a link or no plain file")


def test_a_name_twice_is_refused(exported: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "x.zip", files_of(exported))
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("spec.json", b"{}")
    refused(path, "'spec.json' is there twice")


def test_bombs_are_refused(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of(exported)
    path = write(tmp_path / "x.zip", {k: v for k, v in files.items() if k != "notes.json"}, files)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.json", b" " * (8 << 20))
    refused(path, "unpacks to more than 100 times")
    monkeypatch.setattr("audio_eval.sharing.archive.LARGEST_TEXT", 1000)
    refused(exported_copy(exported, tmp_path), "is too large")


def exported_copy(exported: Path, tmp_path: Path) -> Path:
    path = tmp_path / "copy.zip"
    path.write_bytes(exported.read_bytes())
    return path


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"version": 2}, "archive of version 2; this audio-eval reads version 1"),
        ({"run_log": 1}, "run log of version 1"),
        ({"format": "other"}, "archive of version"),
        ({"files": {}}, "is not listed"),
        ({"extra": 1}, "manifest.json is damaged"),
    ],
)
def test_other_manifests_are_refused(changes: dict[str, Any], match: str, exported: Path, tmp_path: Path) -> None:
    refused(write(tmp_path / "x.zip", files_of(exported), **changes), match)


def test_a_changed_or_missing_file_is_named(exported: Path, tmp_path: Path) -> None:
    files = files_of(exported)
    changed = {**files, "scores.jsonl": files["scores.jsonl"].replace(b"wrong", b"wrung")}
    refused(write(tmp_path / "x.zip", changed, files), "'scores.jsonl' is not the file that the manifest lists")
    missing = {k: v for k, v in files.items() if k != "scores.jsonl"}
    refused(write(tmp_path / "y.zip", missing, files), "'scores.jsonl' is not there")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + b"\x00" * 18])
def test_what_is_no_archive_is_said_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    refused(tmp_path / "x.zip", "cannot be read as a zip archive|has no manifest.json")


@settings(max_examples=40)
@given(at=st.floats(0, 1), value=st.integers(0, 255))
def test_a_damaged_byte_never_gives_a_traceback(at: float, value: int, exported: Path, tmp_path_factory: Any) -> None:
    """The weights, most of the archive, are left out so that the damage hits something else."""
    folder = tmp_path_factory.mktemp("damaged")
    files = {k: v for k, v in files_of(exported).items() if not k.startswith("adapt/step")}
    data = bytearray(write(folder / "x.zip", files).read_bytes())
    data[min(int(at * len(data)), len(data) - 1)] = value
    (folder / "x.zip").write_bytes(data)
    try:
        import_run(folder / "x.zip", folder / "into", {"include_path": "/nowhere"})  # the scores are not recomputed
        said = ""
    except UserError as error:
        said = str(error)
    assert "\n" not in said


def test_what_is_no_file_of_an_archive_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "zero.zip").symlink_to("/dev/zero")
    (tmp_path / "folder.zip").mkdir()
    with (tmp_path / "sparse.zip").open("wb") as stream:
        stream.truncate(5 * 2**30)
    for name in ("pipe", "zero", "folder", "sparse"):
        with pytest.raises(UserError, match=f"{name}.zip' cannot be read as a zip archive"):
            import_run(tmp_path / f"{name}.zip", tmp_path / "runs", {})
    assert not list((tmp_path / "runs").iterdir())
