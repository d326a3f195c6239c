"""Hub data sets of official files, with and without an archive of recordings."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from audio_eval.data import Files, HubFiles, Record, SourceRow, Sources, record
from audio_eval.errors import UserError
from tests.data.copies import COMMIT, provenance, recording, serve, unplug

REPO = "owner/files"


def convert(row: SourceRow) -> Record:
    return record(id=row.text("id"), question=row.text("question"), **row.audio("audio_path"))


SOURCE = HubFiles(REPO, ("meta.json",), Files("", "meta.json", "audio", convert), "audio.tar.gz", ".wav")
SOURCES = Sources({REPO: SOURCE})
ITEM = {"id": "1", "question": "q", "audio_path": "./audio/1.wav"}


def hold(folder: Path, members: dict[str, bytes] | None = None) -> Path:
    """A copy of the data set."""
    home = folder / REPO
    home.mkdir(parents=True, exist_ok=True)
    (home / "meta.json").write_text(json.dumps([ITEM]))
    with tarfile.open(home / "audio.tar.gz", "w:gz") as tar:
        for name, data in (members or {"audio/1.wav": recording(), "audio/1.mp4": b"video"}).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return home


def only(sources: Sources, data_dir: Path | None = None) -> dict[str, Any]:
    (doc,) = sources(data_dir=str(data_dir) if data_dir else None)["test"]
    return doc


def test_the_hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(tmp_path)
    asked = serve(monkeypatch, tmp_path)
    doc = only(SOURCES)
    assert Path(doc["audio"]["path"]).read_bytes() == recording()
    assert Path(doc["audio"]["path"]).is_relative_to(cache)
    assert not list(cache.rglob("*.mp4")), "only what is heard is unpacked"
    assert not list(cache.rglob("*.tar.gz")), "an archive that is unpacked is not kept"
    assert provenance(SOURCES).revision == COMMIT
    assert [call.args[1] for call in asked.file.call_args_list] == ["meta.json", "audio.tar.gz"], "fetched once"
    unplug(monkeypatch)
    assert only(SOURCES) == doc


def test_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unplug(monkeypatch)
    home = hold(tmp_path)
    doc = only(SOURCES, tmp_path)
    assert Path(doc["audio"]["path"]).read_bytes() == recording()
    assert (home / "audio.tar.gz").is_file() and not (home / "audio").exists(), "a user's folder stays as it is"
    monkeypatch.setattr(HubFiles, "_unpack", lambda *_: pytest.fail("it is in the cache"))
    assert only(SOURCES, tmp_path) == doc


def test_a_copy_that_is_unpacked_already(tmp_path: Path) -> None:
    home = hold(tmp_path)
    (home / "audio.tar.gz").unlink()
    with pytest.raises(UserError, match=r"has neither audio.tar.gz nor audio/"):
        only(SOURCES, tmp_path)
    (home / "audio").mkdir()
    (home / "audio/1.wav").write_bytes(recording())
    assert only(SOURCES, tmp_path)["audio"]["path"] == str(home / "audio/1.wav")


def test_archives_that_lead_out_are_refused(tmp_path: Path, cache: Path) -> None:
    hold(tmp_path, {"../../outside.wav": b"x"})
    with pytest.raises(UserError, match=r"audio.tar.gz cannot be unpacked: .*outside"):
        only(SOURCES, tmp_path)
    assert not list(tmp_path.rglob("*outside.wav"))


def test_absolute_names_in_an_archive_stay_in_the_folder(tmp_path: Path, cache: Path) -> None:
    hold(tmp_path, {str(tmp_path / "outside.wav"): b"x"})
    only(SOURCES, tmp_path)
    (found,) = tmp_path.rglob("outside.wav")
    assert found.is_relative_to(cache)


def test_a_truncated_archive(tmp_path: Path, cache: Path) -> None:
    home = hold(tmp_path)
    whole = (home / "audio.tar.gz").read_bytes()
    (home / "audio.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"audio.tar.gz cannot be unpacked.*fetch it again"):
        only(SOURCES, tmp_path)
    assert not list(cache.rglob("manifest.json"))
    (home / "audio.tar.gz").write_bytes(whole)
    assert only(SOURCES, tmp_path)["id"] == "1"


def test_a_fetch_that_stops_is_taken_up_again(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = hold(tmp_path)
    archive = (home / "audio.tar.gz").read_bytes()
    (home / "audio.tar.gz").unlink()
    serve(monkeypatch, tmp_path)
    with pytest.raises(
        UserError, match=r"audio.tar.gz of the hub's owner/files cannot be fetched .*; pass --data-dir D"
    ):
        only(SOURCES)
    assert not list(cache.rglob("manifest.json"))
    (home / "audio.tar.gz").write_bytes(archive)
    assert only(SOURCES)["id"] == "1"
