"""Hub data sets in parquet: copies, the cache, interruptions, and a hub that is away."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audio_eval.audio import AudioError, AudioRef
from audio_eval.data import DataError, HubRows, Record, SourceRow, Sources, hub, record
from audio_eval.errors import UserError
from tests.data.copies import COMMIT, clip, parquet, provenance, recording, serve, unplug

REPO, FILE = "owner/name", "data/test-00000-of-00001.parquet"


def convert(row: SourceRow) -> Record:
    return record(id=row.text("id"), question=row.text("question"), **row.audio("audio"))


SOURCE = HubRows(REPO, "test", convert)
SOURCES = Sources({REPO: SOURCE})


def rows(count: int = 3) -> list[dict[str, Any]]:
    return [{"id": str(n), "question": f"q{n}", "audio": clip(recording(200 + n), "x.wav")} for n in range(count)]


def read(data_dir: Path | None) -> list[Record]:
    return SOURCE.read(str(data_dir) if data_dir else None).records


def manifests(cache: Path) -> list[Path]:
    return list(cache.rglob("manifest.json"))


def test_a_copy_is_read_without_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unplug(monkeypatch)
    path = parquet(tmp_path, REPO, FILE, rows())
    records = read(tmp_path)
    assert [item["id"] for item in records] == ["0", "1", "2"]
    for item, row in zip(records, rows(), strict=True):
        data = Path(item["audio"]["path"]).read_bytes()
        assert data == row["audio"]["bytes"], "not decoded"
        assert item["audio"]["sha256"] == sha256(data).hexdigest()
        assert AudioRef(**item["audio"]).load().shape == (3200,)
    digest = sha256(path.read_bytes()).hexdigest()
    found = provenance(SOURCES, data_dir=str(tmp_path))
    assert found.files == {FILE: digest} and len(found.revision) == 64


def test_the_next_load_reads_no_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path, REPO, FILE, rows())
    first = read(tmp_path)
    monkeypatch.setattr(HubRows, "_stream", lambda *_: pytest.fail("it is in the cache"))
    assert read(tmp_path) == first


def test_a_changed_copy_is_another_revision(tmp_path: Path) -> None:
    parquet(tmp_path, REPO, FILE, rows())
    before = SOURCE.read(str(tmp_path)).revision
    parquet(tmp_path, REPO, FILE, rows(2))
    after = SOURCE.read(str(tmp_path))
    assert after.revision != before and len(after.records) == 2


def test_shards_and_other_splits(tmp_path: Path) -> None:
    first, second = rows(2)
    parquet(tmp_path, REPO, "data/test-00000-of-00002.parquet", [first])
    parquet(tmp_path, REPO, "data/test-00001-of-00002.parquet", [second])
    parquet(tmp_path, REPO, "data/test_mini-00000-of-00001.parquet", rows(1))
    loaded = SOURCE.read(str(tmp_path))
    assert [item["id"] for item in loaded.records] == ["0", "1"]
    assert len(loaded.files) == 2
    with pytest.raises(UserError, match=r"has no split 'v1' \(there is: .*test_mini"):
        HubRows(REPO, "v1", convert).read(str(tmp_path))


def test_one_recording_of_two_items_is_kept_once(tmp_path: Path, cache: Path) -> None:
    parquet(tmp_path, REPO, FILE, [dict(row, audio=clip(recording())) for row in rows()])
    assert len({item["audio"]["path"] for item in read(tmp_path)}) == 1
    assert len([path for path in (cache / "clips").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_a_killed_read_is_not_taken_for_complete(
    stop: type[BaseException], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet(tmp_path, REPO, FILE, rows())
    keep, calls = hub.keep_clip, []

    def keep_two(data: bytes) -> str:
        calls.append(data)
        if len(calls) == 3:
            raise stop("stopped")
        return keep(data)

    with monkeypatch.context() as patch:
        patch.setattr(hub, "keep_clip", keep_two)
        with pytest.raises(KeyboardInterrupt if stop is KeyboardInterrupt else UserError):
            read(tmp_path)
    assert manifests(cache) == []
    assert not list(cache.rglob("*.tmp"))
    assert len(read(tmp_path)) == 3
    assert len(manifests(cache)) == 1


def test_what_is_missing_from_the_cache_is_read_again(tmp_path: Path, cache: Path) -> None:
    parquet(tmp_path, REPO, FILE, rows())
    first = read(tmp_path)
    Path(first[1]["audio"]["path"]).unlink()
    assert read(tmp_path) == first
    assert Path(first[1]["audio"]["path"]).is_file()
    (kept,) = cache.rglob("rows.jsonl")
    kept.write_bytes(kept.read_bytes()[:-20])
    assert read(tmp_path) == first


def test_the_hub_is_read_once_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    parquet(tmp_path, REPO, FILE, rows())
    asked = serve(monkeypatch, tmp_path)
    found = provenance(SOURCES)
    assert (found.source, found.revision) == (REPO, COMMIT)
    assert list(found.files) == [f"{REPO}/test"]
    assert f"reading {REPO} (test) once" in capsys.readouterr().err
    assert len(SOURCES()["test"]) == 3
    asked.rows.assert_called_once_with(REPO, COMMIT)
    asked = serve(monkeypatch, tmp_path, "f" * 40)
    assert provenance(SOURCES).revision == "f" * 40
    assert asked.rows.call_count == 1


def test_without_the_hub_the_last_complete_read_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    unplug(monkeypatch)
    with pytest.raises(UserError, match=r"cannot be reached \(ConnectionError: no network\); pass --data-dir D with"):
        SOURCES()
    parquet(tmp_path, REPO, FILE, rows())
    serve(monkeypatch, tmp_path)
    SOURCES()
    unplug(monkeypatch)
    assert provenance(SOURCES).revision == COMMIT
    assert f"taking commit {COMMIT[:12]}" in capsys.readouterr().err


def test_offline_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"OfflineModeIsEnabled") as caught:
        SOURCES()
    assert "\n" not in str(caught.value)


def test_recordings_that_are_not_there_are_data(tmp_path: Path) -> None:
    first, second, third = rows()
    second["audio"], third["audio"] = None, clip(b"")
    parquet(tmp_path, REPO, FILE, [first, second, third])
    records = read(tmp_path)
    assert len(records) == 3, "they are counted as unreadable later"
    for item in records[1:]:
        assert Path(item["audio"]["path"]).read_bytes() == b""
        with pytest.raises(AudioError, match="the file is empty"):
            AudioRef(**item["audio"]).load()


def test_copies_without_audio_are_refused(tmp_path: Path, cache: Path) -> None:
    parquet(tmp_path, REPO, FILE, [dict(row, audio=clip(None, "x.wav")) for row in rows()])
    with pytest.raises(UserError, match="column 'audio' holds no recordings"):
        read(tmp_path)
    parquet(tmp_path, REPO, FILE, [{"id": "1", "sound": "x"}])
    with pytest.raises(UserError, match="audio"):
        read(tmp_path)
    (tmp_path / REPO / FILE).write_bytes(b"PAR1 no parquet at all PAR1")
    with pytest.raises(UserError, match=r"cannot be read") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    assert manifests(cache) == []


def test_broken_rows_are_reported_together_and_again(tmp_path: Path) -> None:
    first, second, third = rows()
    parquet(tmp_path, REPO, FILE, [dict(first, question=None), second, dict(third, id="1")])
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            read(tmp_path)
        assert caught.value.problems == ["row 1: 'question' is missing", "row 3: has the id of row 2 ('1')"]


def test_the_readme_of_a_copy_may_name_its_files(tmp_path: Path) -> None:
    parquet(tmp_path, REPO, "odd/part.parquet", rows())
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: test\n    path: odd/*.parquet\n---\n"
    (tmp_path / REPO / "README.md").write_text(card)
    assert len(read(tmp_path)) == 3


def test_rows_are_kept_as_json(tmp_path: Path, cache: Path) -> None:
    parquet(tmp_path, REPO, FILE, [dict(row, choices=["a\u2028", None]) for row in rows()])
    read(tmp_path)
    (kept,) = cache.rglob("rows.jsonl")
    lines = [json.loads(line) for line in kept.read_text(encoding="utf-8").split("\n") if line]
    assert lines[0]["choices"] == ["a\u2028", None]
    assert set(lines[0]["audio"]) == {"sha256"}, "no path: the cache may move"
