from __future__ import annotations

import os
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.ownership import lock_dir, owner_of, tidy

GONE = 999_999_999  # more than any system numbers its processes


def left(folder: Path) -> list[str]:
    """Every file but the lock."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def kill_leaves(folder: Path) -> None:
    (folder / "adapt").mkdir()
    (folder / ".owner").write_text(f"process {GONE} on elsewhere")
    for number in (GONE, os.getpid(), os.getppid()):
        (folder / "adapt" / f".labels.jsonl.{number}.tmp").touch()


def test_a_locked_folder_names_its_owner_and_what_a_kill_left_goes(tmp_path: Path) -> None:
    """A file of this number was left by a process of another container; that of one that lives is being written."""
    kill_leaves(tmp_path)
    written = f".labels.jsonl.{os.getppid()}.tmp"
    with lock_dir(tmp_path):
        assert left(tmp_path) == [written, ".owner"]
        with pytest.raises(UserError, match=f"process {os.getpid()} on ") as caught, lock_dir(tmp_path):
            raise AssertionError("two owners")
        assert "\n" not in str(caught.value)
    assert left(tmp_path) == [written]


def test_a_folder_is_tidied_where_nobody_owns_it(tmp_path: Path) -> None:
    tidy(tmp_path)
    assert not list(tmp_path.iterdir()), "nothing to do, nothing written"
    kill_leaves(tmp_path)
    before = left(tmp_path)
    with lock_dir(tmp_path):
        (tmp_path / "adapt" / f".labels.jsonl.{GONE}.tmp").touch()
        (tmp_path / "adapt" / f".labels.jsonl.{os.getpid()}.tmp").touch()
        tidy(tmp_path)
        assert left(tmp_path) == before, "it is another's"
    (tmp_path / ".owner").touch()
    tidy(tmp_path)
    assert left(tmp_path) == [f".labels.jsonl.{os.getppid()}.tmp"]


def test_a_folder_that_cannot_be_written_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".owner").touch()
    (tmp_path / ".lock").mkdir()
    tidy(tmp_path)
    assert (tmp_path / ".owner").exists()


def test_a_link_says_nothing_of_the_owner(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("text of a file elsewhere")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".owner").symlink_to(tmp_path / "private")
    assert owner_of(tmp_path / "run") is None
