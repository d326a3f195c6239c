"""Texts that are no JSON or no YAML, and values that stand where others belong."""

from __future__ import annotations

import json
from typing import Any

# Written as it stands where JSON of Python's own would not have it.
RAW = {"BIG": "9" * 5_000, "NEGATIVE": "-" + "9" * 5_000, "DEEP": "[" * 990 + "]" * 990, "EXPONENT": "1e999"}
# In place of any value of a row, a record or a result.
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "number": 5,
    "65 bits": 2**64,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "empty": "",
    "blank": " \n",
    "surrogate": "a\ud800b",
    "NUL": "a\0b",
    "escape": "\x1b]0;title\x07\x1b[2J",
    "million": "x" * 1_000_000,
    "list": [],
    "in a list": ["a", "b"],
    "lists": [[["a"]], "b"],
    "numbers": [1, 2, 3, 4],
    "object": {},
    "path": {"path": "/etc/passwd", "sha256": ""},
    "key": {"\udfff": "\0"},
    "60000": ["a", "b"] * 30_000,
    "date": "2026-11-28",
    **{name.lower(): f"<{name}>" for name in RAW},
}
SMALL = [value for name, value in VALUES.items() if name not in ("million", "60000")]
ROW = {
    "id": "r1",
    "audio_path": "./audio/r1.wav",
    "question": "What is heard?",
    "choices": ["a dog", "a cat"],
    "answer": "a dog",
    "modality": "sound",
    "category": "Signal Layer",
    "sub-category": "Pitch",
}


def dumped(value: Any) -> str:
    """The value as JSON, with what Python would not write."""
    text = json.dumps(value)
    for name, raw in RAW.items():
        text = text.replace(f'"<{name}>"', raw)
    return text


def line(row: Any) -> bytes:
    return dumped(row).encode() + b"\n"


GOOD = json.dumps(ROW)
# Whole files in place of one of JSON, or of JSON lines.
DOCUMENTS: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\n",
    "null": b"null\n",
    "number": b"5\n",
    "text": b'"text"\n',
    "list": b"[]\n",
    "object": b"{}\n",
    "cut": GOOD.encode()[:40],
    "cut-line": GOOD.encode() + b"\n" + GOOD.encode()[:40] + b"\n",
    "several": GOOD.encode() * 2 + b"\n",
    "comma": b"[" + GOOD.encode() + b",]\n",
    "single-quotes": str(ROW).encode() + b"\n",
    "comment": b"// comment\n" + GOOD.encode() + b"\n",
    "yaml": b"id: r1\nquestion: what\n",
    "csv": b"id,question\nr1,what\n",
    "html": b"<!DOCTYPE html>\n<html></html>\n",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    "utf16": GOOD.encode("utf-16"),
    "utf16-be": GOOD.encode("utf-16-be"),
    "utf32": GOOD.encode("utf-32"),
    "latin1": '{"id": "caf\u00e9"}\n'.encode("latin-1"),
    "bom-alone": b"\xef\xbb\xbf",
    "boms": b"\xef\xbb\xbf" * 3 + GOOD.encode() + b"\n",
    "nuls": bytes(5_000),
    "nul-between": GOOD.encode() + b"\n\0\n",
    "surrogate-bytes": b'{"id": "\xed\xa0\x80"}\n',
    "returns": GOOD.encode() + b"\r" + GOOD.encode() + b"\r",
    "deep-990": b"[" * 990 + b"]" * 990 + b"\n",
    "deep-100000": b"[" * 100_000 + b"\n",
    "deep-objects": b'{"a":' * 100_000 + b"\n",
    "deep-row": b'{"id": ' + b"[" * 5_000 + b"]" * 5_000 + b"}\n",
    "5000-digits": b'{"id": ' + b"9" * 5_000 + b"}\n",
    "million-digits": b"9" * 1_000_000 + b"\n",
    "long-key": b'{"' + b"k" * 1_000_000 + b'": 1}\n',
    "same-keys": b'{"id": "a", "id": "b"}\n',
    "random": bytes(range(256)) * 20,
}
_START = b"model: tiny-omni\ntasks: synth_aqa\n"
# What a text of YAML may be, as a run file or as a task's file.
YAML: list[bytes] = [
    b"",
    b"- a\n- b\n",
    b"5\n",
    b"text\n",
    b"null\n",
    b"a: [\n",
    b"a: 'b\n",
    b"\ta: b\n",
    b"a: b: c\n",
    b"{{a}}: b\n",
    b"? [a]\n: b\n",
    b"1: 2\n",
    b"null: 2\n",
    b"true: 2\n",
    b"2026-11-28: 2\n",
    b"a: &a [*a]\n",
    b"a: *b\n",
    b"%YAML 9.9\n---\na: b\n",
    b"a: !!python/object/apply:os.system ['true']\n",
    b"a: !own b\n",
    b"a: !!binary 5\n",
    b"a: !!timestamp x\n",
    b"a: !!bool x\n",
    b"a: !!int x\n",
    b"a: 2026-13-45\n",
    b"a: " + b"9" * 5_000 + b"\n",
    b"a: " + b"[" * 990 + b"]" * 990 + b"\n",
    b"a: " + b"[" * 5_000 + b"\n",
    b'a: "\\ud800"\n',
    b"a: \0\n",
    "model: caf\u00e9\n".encode("latin-1"),
    "model: tiny-omni\n".encode("utf-16"),
    b"\xff\xfe\xfa",
    bytes(500),
    b"a: b\n---\na: c\n",
    b"<<: 5\n",
    b"<<: [5]\n",
    b"task: 5\n",
    b"task: [5]\n",
    b"task: {a: b}\n",
    b"task: x\nmetadata: [a]\n",
    b"task: x\nmetadata: {groups: 5}\n",
    b"task: x\nmetadata: {groups: [5]}\n",
    b"task: x\nmetadata: {version: 2026-11-28}\n",
    b"task: x\nmetadata: {5: 6}\n",
    b"task: x\ntag: 5\n",
    b"task: x\ntag: {a: b}\n",
    b"task: x\ntag: [[a]]\n",
    b"group: 5\ntask: [a]\n",
    b"group: [a]\ntask: [b]\n",
    b"include: missing\ntask: x\n",
    b"include: 5\ntask: x\n",
    b"task: x\nmetadata: {scoring: [a]}\n",
    b"task: x\nmetadata: {official: 5}\n",
    b"task: x\nmetadata: {hub: 5}\n",
]
RUN_FILES: list[bytes] = [
    *YAML,
    *(
        _START + f"{key}: {value}\n".encode()
        for key in (
            "method",
            "seed",
            "method_args",
            "model_args",
            "prompt",
            "include_path",
            "device",
            "limit",
            "holdout",
            "backend",
        )
        for value in (
            "null",
            "5",
            "[a]",
            "[[a]]",
            "{a: b}",
            "{5: 6}",
            "2026-11-28",
            ".inf",
            ".nan",
            "true",
            '"\\0"',
            "''",
            "'a, b'",
            "9" * 30,
        )
    ),
    *(
        _START + f"{key}\n".encode()
        for key in (
            "method: ','",
            "method: []",
            "seed: []",
            "tasks: []",
            "tasks: ','",
            "tasks: [null]",
            "model: [a]",
            "model: null",
            "train_task: nosuch",
            "adapt_task: nosuch",
            "source: nosuch",
            "data_dir: 5",
            "expected: 5",
            "needs: []",
            "inferred: {5: 6}",
            "method: sft\ntrain_task: synth_aqa:train\nmethod_args: {lr: .inf}",
            "method: ttrl\nmethod_args: {temperature: 1.0e-300}",
            "method: ttrl\nmethod_args: {ttrl: {5: 6}}",
            "method: ttrl\nmethod_args: {votes: 2026-11-28}",
            "model_args: {cache_gb: .inf}",
        )
    ),
]
