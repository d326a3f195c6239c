from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.ownership import lock_dir
from audio_eval.regular import check_writable
from audio_eval.rl.session import to_ask
from audio_eval.store import (
    JsonLines,
    read_json,
    write_atomic,
    write_folder_atomic,
    write_json,
    write_output,
)
from tests.bad_input.limits import within

RECORDS = [{"id": "a", "text": "gr\u00fcn\n"}, {"id": "b", "n": 1.5}, {"id": "c", "list": [1, None]}]


def test_json_and_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", RECORDS)
    assert read_json(tmp_path / "x.json") == RECORDS
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_lone_surrogate_survives(tmp_path: Path) -> None:
    said = {"said": "\ud800 and \U0001f600"}
    write_json(tmp_path / "x.json", said)
    JsonLines(tmp_path / "x.jsonl").append([said])
    assert read_json(tmp_path / "x.json") == said and JsonLines(tmp_path / "x.jsonl").read() == [said]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": 1, "not JSON": object()})
    assert read_json(path) == {"old": 1}


def test_lines_and_back(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "new" / "x.jsonl")
    assert file.read() == []
    file.append(RECORDS[:1])
    file.append(iter(RECORDS[1:]))
    assert file.read() == RECORDS
    assert len(file.path.read_text().splitlines()) == 3


@pytest.mark.parametrize("torn", ['{"id": "d', "{", '{"id": "d"}', '{"id": "\u00fc'])
def test_a_torn_last_line_is_dropped(torn: str, tmp_path: Path) -> None:
    """Without its newline a line may be a part of a longer one: it does not count, whole as it may look."""
    file = JsonLines(tmp_path / "x.jsonl")
    file.append(RECORDS)
    with file.path.open("ab") as stream:
        stream.write(torn.encode()[:-1] if "\u00fc" in torn else torn.encode())
    assert file.read() == RECORDS
    file.append([{"id": "e"}])
    assert file.read() == [*RECORDS, {"id": "e"}], "a new record must not be glued to the torn one"
    assert [json.loads(line)["id"] for line in file.path.read_text().splitlines()] == ["a", "b", "c", "e"]


def test_a_file_that_is_one_torn_line(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "x.jsonl")
    file.path.write_text('{"id": ')
    assert file.read() == []
    file.append(RECORDS)
    assert file.read() == RECORDS


def test_keep_replaces_and_is_not_misled_by_what_a_kill_left(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "x.jsonl")
    file.append(RECORDS)
    file.path.with_name(".x.jsonl.1.tmp").write_text('{"id": "from the killed run"}\n{"id": "to')
    file.keep(RECORDS[1:])
    assert file.read() == RECORDS[1:]
    file.keep([])
    assert file.read() == []


@pytest.mark.parametrize(
    ("written", "chunk", "total", "kept"),
    [(0, 4, 10, 0), (3, 4, 10, 0), (4, 4, 10, 4), (7, 4, 10, 4), (9, 4, 10, 8), (10, 4, 10, 10), (5, 1, 10, 5)],
)
def test_resume_keeps_whole_chunks_and_a_short_last_one(
    written: int, chunk: int, total: int, kept: int, tmp_path: Path
) -> None:
    file = JsonLines(tmp_path / "x.jsonl")
    ids = [str(i) for i in range(total)]
    file.append({"id": id_} for id_ in ids[:written])
    assert [record["id"] for record in file.resume(chunk, ids)] == ids[:kept]
    assert len(file.read()) == kept


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "step-1"
    (tmp_path / "step-1.tmp").mkdir()
    (tmp_path / "step-1.tmp" / "left by a kill").touch()
    write_folder_atomic(folder, lambda new: (new / "a").write_text("1"))
    with pytest.raises(OSError, match="full"):
        write_folder_atomic(folder, _fails)
    assert [path.name for path in folder.iterdir()] == ["a"], "the old one stays where the new one fails"
    write_folder_atomic(folder, lambda new: (new / "b").write_text("2"))
    assert [path.name for path in folder.iterdir()] == ["b"]


def _fails(new: Path) -> None:
    (new / "half").touch()
    raise OSError("the disk is full")


def test_a_file_that_a_function_writes(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "x", lambda path: path.write_bytes(b"1"))
    assert (tmp_path / "new" / "x").read_bytes() == b"1"
    with pytest.raises(OSError, match="full"):
        write_atomic(tmp_path / "new" / "x", lambda path: _fails(path.parent))
    assert (tmp_path / "new" / "x").read_bytes() == b"1"


def test_what_a_kill_left_beside_an_output_goes(tmp_path: Path) -> None:
    """And nothing else there: the folder is the user's."""
    others = [".b.json.999999999.tmp", f".[ab].json.{os.getppid()}.tmp", ".[ab].json.x.tmp", ".[ab].json.9.bak"]
    for name in (".[ab].json.999999999.tmp", *others):
        (tmp_path / name).touch()
    write_output(tmp_path / "[ab].json", b"{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["[ab].json", *others])


def test_damage_is_cut_back_to_what_is_before_it(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "x.jsonl")
    assert file.mend(dict) is None and not file.path.exists()
    file.append(RECORDS)
    whole = file.path.read_bytes()
    assert file.mend(dict) is None and file.path.read_bytes() == whole
    file.path.write_bytes(whole + b'{"torn": ')
    assert file.mend(dict) is None, "what a kill leaves is no damage"
    for damage in (b"\n{\n", b"\x00\n", b"\xff\xfe\n", b'"text"\n', b"[" * 100_000 + b"\n", b"1" * 5000 + b"\n"):
        file.path.write_bytes(whole + damage + b'{"id": "after"}\n')
        said = file.mend(dict)
        assert said and "x.jsonl' was damaged in line " in said and "\n" not in said and len(said) < 400
        assert file.read() == RECORDS


def test_checksums_show_what_is_whole_and_not_what_was_written(tmp_path: Path) -> None:
    file, sums = JsonLines(tmp_path / "x.jsonl", summed=True), tmp_path / ".x.jsonl.crc"
    file.append(RECORDS[:1])
    file.append(RECORDS[1:])
    whole, checked = file.path.read_bytes(), sums.read_bytes()
    assert len(checked.split()) == len(RECORDS) and file.mend(dict) is None
    file.keep(RECORDS)
    assert (file.path.read_bytes(), sums.read_bytes()) == (whole, checked), "whatever wrote them"
    file.path.write_bytes(whole.replace(b"1.5", b"2.5"))
    said = file.mend(dict)
    assert said and "line 2 (it is not what was written)" in said
    assert file.read() == RECORDS[:1] and sums.read_bytes() == checked[:9]
    for left in (b"", checked[:9], checked[:13], b"\xff"):  # a kill between the two writes, or within the second
        file.keep(RECORDS)
        sums.write_bytes(left)
        assert file.mend(dict) is None and file.read() == RECORDS and sums.read_bytes() == checked
    for kept in (0, 2):  # cut between two lines
        file.keep(RECORDS)
        file.path.write_bytes(b"".join(whole.splitlines(keepends=True)[:kept]))
        assert file.mend(dict) is None and file.read() == RECORDS[:kept]
        file.append(RECORDS[kept:])
        assert (file.path.read_bytes(), sums.read_bytes()) == (whole, checked)
    sums.write_bytes(checked[:9] + b"\xff\n" + checked[18:])
    assert file.mend(dict) and file.read() == RECORDS[:1], "the sums themselves"


@pytest.mark.parametrize(
    ("done", "failed", "expected"),
    [(0, [], [[0, 1, 2], [3, 4, 5], [6]]), (6, [], [[6]]), (6, [1, 4, 5], [[1], [4, 5], [6]]), (7, [], []),
     (7, [6], [[6]])],
)  # fmt: skip
def test_what_is_still_to_be_asked(done: int, failed: list[int], expected: list[list[int]]) -> None:
    assert list(to_ask(done, failed, 7, 3)) == expected


def test_a_name_that_is_no_utf_8_is_written_and_read_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"r\xff.wav")
    write_json(tmp_path / "x.json", {"audio": name})
    JsonLines(tmp_path / "x.jsonl").append([{"audio": name}])
    assert read_json(tmp_path / "x.json")["audio"] == JsonLines(tmp_path / "x.jsonl").read()[0]["audio"] == name
    assert "\\udcff" in (tmp_path / "x.jsonl").read_bytes().decode(), "the file itself is UTF-8"


def test_errors_of_the_system_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    write_json(tmp_path / "x.json", 1)
    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: write_json(tmp_path / "x.json", 2), lambda: JsonLines(tmp_path / "x.jsonl").append([{}]),
        lambda: write_folder_atomic(tmp_path / "x", lambda new: (new / "a").write_text("1")),
    ):  # fmt: skip
        with pytest.raises(OSError, match=r"No space left on device: '.*/x"):
            write()
    assert read_json(tmp_path / "x.json") == 1, "the old file stays"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.jsonl"], "and nothing half written"


def test_a_new_name_is_on_the_disk_before_its_content_is_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def seen(handle: int) -> None:
        synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{handle}"), tmp_path.resolve()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    JsonLines(tmp_path / "run" / "adapt" / "x.jsonl").append([{}])
    assert synced == ["run", ".", "run/adapt/x.jsonl", "run/adapt"]
    synced.clear()
    JsonLines(tmp_path / "run" / "adapt" / "x.jsonl").append([{}])
    assert synced == ["run/adapt/x.jsonl"]


@pytest.mark.parametrize("read", [lambda path: JsonLines(path).read(), lambda path: JsonLines(path).resume(2, ["a"])])
def test_a_damaged_line_is_named_and_the_file_is_left_as_it_is(read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(UserError, match=r"x\.jsonl' is damaged: line 2 is no JSON"):
        read(path)
    assert path.read_text() == '{"a": 1}\n{"a": \n{"a": 3}\n'


def test_a_damaged_json_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"step": ')
    with pytest.raises(UserError, match=r"state\.json' is damaged"):
        read_json(tmp_path / "state.json")


def test_nothing_is_written_over_or_into_what_is_no_file(tmp_path: Path) -> None:
    """A rename put a page in the place of /dev/null, and to open a pipe waits for its reader."""
    os.mkfifo(pipe := tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(OSError, match="no regular file can be written there"):
            write_atomic(path, b"x")
    for path in map(Path, ("/dev/null", "/dev/stdout", "/dev/nosuch", "/")):  # nothing is tried on these
        with pytest.raises(OSError, match="no regular file can be written there"):
            check_writable(path)
    with within(), pytest.raises(OSError, match="no regular file"):
        JsonLines(pipe).append([{}])
    os.mkfifo(tmp_path / ".owner")
    with within(), lock_dir(tmp_path):  # a pipe in the place of the owner's name is put away
        assert (tmp_path / ".owner").read_text().startswith("process ")
    assert pipe.is_fifo()
