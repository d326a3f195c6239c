"""No secret and no place on the disk leaves with a run, whatever the words around it; plain text stays what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.redact import SECRET
from audio_eval.sharing.export import export
from audio_eval.sharing.strip import Stripper
from tests.sharing.archives import files_of

WORD = st.text("abcdefgh XYZ.-_é", min_size=1, max_size=12).map(str.strip).filter(lambda word: word.strip("."))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/ann/data", ".../data"),
        ("/data", ".../data"),
        ("~/models/mine", ".../mine"),
        (r"C:\Users\ann\runs", ".../runs"),
        ("--data-dir=/mnt/big/mmau", "--data-dir=.../mmau"),
        ("no file '/mnt/big/a.wav' there", "no file '.../a.wav' there"),
        ("/home/ann/my method.py:Mine", ".../my method.py:Mine"),
        ("file:///home/ann/x.json", ".../x.json"),
        ("https://user:pw1@host/v1", "https://host/v1"),
        ("http://host:8000/v1?key=abc&x=1", "http://host:8000/v1"),
        ("api_key=abcdefgh", f"api_key={SECRET}"),
        ("HF_TOKEN: hf_abcdefghijklmnopqrst", f"HF_TOKEN: {SECRET}"),
        ("Authorization: Bearer abc.def", f"Authorization: {SECRET}"),
        ("sk-abcdefghijklmnopqrstu", SECRET),
    ],
)
def test_what_goes(text: str, left: str) -> None:
    assert Stripper().text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=64", "votes=8,steps=3", "Qwen/Qwen2.5-Omni-3B", "examples/mine.py:Mine", "https://host/v1/models",
        "and/or", "1/2", "runs/a/b", "</answer>", "monkey: brown", "a / b / c", "keys and tokens",
    ],
)  # fmt: skip
def test_what_stays(text: str) -> None:
    assert Stripper().text(text) == text


@given(st.lists(WORD, min_size=2, max_size=5), WORD, WORD)
def test_a_path_leaves_only_its_last_name(names: list[str], before: str, after: str) -> None:
    folder = "/" + "/".join(names[:-1])
    said = Stripper([folder]).text(f"{before} '{folder}/{names[-1]}' {after}")
    assert f"{folder}/" not in said


def test_values_of_the_environment_go_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "swordfish99")
    assert Stripper().value({"a": ["x swordfish99 y", 3, None], "password": "p"}) == {
        "a": [f"x {SECRET} y", 3, None],
        "password": SECRET,
    }


def test_nothing_of_this_machine_is_in_an_archive(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "swordfish99")
    for name in ("env.json", "notes.json", "spec.json"):
        text = (run / name).read_text()
        told = f'"{tmp_path}/deep/er swordfish99"'
        text = text.replace('"method": "aqa_ttrl"', f'"method": {told}').replace(
            '"commit": ', f'"device": {told},\n"commit": '
        )
        text = re.sub(r',\s*"checksum": \d+', "", text).replace('"adapt_samples"', f'"why": {told},\n"adapt_samples"')
        (run / name).write_text(text)
    export(run, tmp_path / "x.zip")
    for name, content in files_of(tmp_path / "x.zip").items():
        for word in (str(tmp_path), str(Path.home()) + "/", str(Path.cwd()), "swordfish99"):
            assert word.encode() not in content, f"{name} holds {word}"
