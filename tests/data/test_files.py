"""Official files: how they are read, and what is said of broken ones."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from audio_eval.data import DataError, Files, Provenance, Record, SourceRow, Sources, read_rows, record
from audio_eval.errors import UserError
from tests.data.copies import provenance


def convert(row: SourceRow) -> Record:
    return record(id=row.text("id"), question=row.text("question"))


def test_a_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    for name, text in (("a.jsonl", '{"id": "1"}\r\n\r\n{"id": "2"}\r\n'), ("a.json", '[{"id": "1"},\r\n{"id": "2"}]')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert [row["id"] for _, row in read_rows(tmp_path / name)] == ["1", "2"]


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    rows = [{"id": "a\u2028b"}, {"id": "c\x0bd\x85e"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert list(read_rows(tmp_path / "a.jsonl")) == [("line 1", rows[0]), ("line 2", rows[1])]


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "1"}\n\xff\xfe')
    with pytest.raises(UserError, match=r"a.jsonl cannot be read: line 2: it is not UTF-8"):
        list(read_rows(tmp_path / "a.jsonl"))
    with pytest.raises(UserError, match="cannot be read"):
        list(read_rows(tmp_path))


def test_provenance_names_the_bytes_that_were_read(tmp_path: Path) -> None:
    data = b'{"id": "1", "question": "q"}\n'
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.jsonl").write_bytes(data)
    found = provenance(Sources({"official": Files("set", "a.jsonl", "", convert)}), data_dir=str(tmp_path))
    assert found == Provenance("official", files={"set/a.jsonl": sha256(data).hexdigest()})
    assert found.as_json() == {"source": "official", "files": found.files}


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"id": "1", "question": "q"}')
    with pytest.raises(DataError, match=r"b.jsonl line 1: has the id of a.jsonl line 1 \('1'\)"):
        Files("", ("a.jsonl", "b.jsonl"), "", convert).read(str(tmp_path))


def test_all_problems_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(['{"id": "1"}'] * 80))
    with pytest.raises(DataError) as caught:
        Files("", "a.jsonl", "", convert).read(str(tmp_path))
    assert len(caught.value.problems) == 80
    assert "80 problems" in str(caught.value) and "and 30 more" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sources_are_chosen(tmp_path: Path) -> None:
    sources = Sources({name: Files(name, "a.jsonl", "", convert) for name in ("official", "x/one", "x/two")})
    for name in ("x/one", "x/two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.jsonl").write_text(json.dumps({"id": name, "question": "q"}))

    def chosen(**kwargs: str) -> str:
        return sources(data_dir=str(tmp_path), **kwargs)["test"][0]["id"]

    assert chosen() == "x/one", "what the folder holds, where it holds no official files"
    assert chosen(source="x/two") == "x/two"
    assert chosen(source="y/other, x/two") == "x/two", "of another task"
    with pytest.raises(UserError, match=r"unknown source 'x/tow'.*Did you mean 'x/two'"):
        chosen(source="x/tow")
    with pytest.raises(UserError, match="no file"):
        sources(data_dir=str(tmp_path / "x"))
