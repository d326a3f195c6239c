"""JSON: rows of a benchmark, responses made elsewhere, records of a run directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

from tests.bad_input import texts
from tests.fuzz.target import Target, folder, read


def rows(data: bytes) -> None:
    """A file of rows: each is a record or a problem with its place, and what is read can be written."""
    from audio_eval.data import OFFICIAL, Place, read_rows
    from audio_eval.data.sources import convert_rows
    from audio_eval.json_text import BadJson, parse, parse_list
    from audio_eval.runs.external import read_responses
    from audio_eval.tasks.mmar.data import TEST

    with suppress(BadJson):
        json.dumps(parse(data), ensure_ascii=False, allow_nan=True).encode()
    with suppress(BadJson):
        parse_list(data)
    path = folder() / "rows.jsonl"
    path.write_bytes(data)
    found = read(lambda: list(read_rows(path))) or []
    placed = [(Place("line", number), row) for number, (_, row) in enumerate(found, 1)]
    for record in read(lambda: convert_rows(placed, folder(), TEST.named[OFFICIAL].convert, "x")) or ():
        json.dumps(record, ensure_ascii=False).encode()
    asked = SimpleNamespace(name="t", metadata={"row_id": "id"}, questions=[SimpleNamespace(id="r1")])
    read(lambda: read_responses(path, asked))


def run_directory(data: bytes) -> None:
    """Files of a run directory: each is read, or refused in one line; damage is cut off, and what is left is whole."""
    from audio_eval.runlog import RunLog

    name, _, content = data.partition(b"\n")
    logs = folder() / "run"
    (logs / "adapt").mkdir(parents=True, exist_ok=True)
    log = RunLog(logs)
    readers = {
        "spec.json": log.spec, "result.json": log.result, "identity.json": log.identity, "env.json": log.environment,
        "notes.json": log.notes, "responses.jsonl": log.responses.read, "scores.jsonl": log.scores.read,
        "questions.jsonl": log.questions.read, "metrics.jsonl": log.steps.read, "curve.jsonl": log.curve.read,
        "adapt/labels.jsonl": log.labels.read,
    }  # fmt: skip
    known = list(readers)
    name = known[sum(name) % len(known)]
    (logs / name).write_bytes(content)
    try:
        read(readers[name])
        if name == "responses.jsonl":
            log.responses.mend()
            log.responses.read()
    finally:
        (logs / name).unlink()
        (logs / ".responses.jsonl.crc").unlink(missing_ok=True)


def _documents() -> Iterator[bytes]:
    yield from (content for content in texts.DOCUMENTS.values() if len(content) < 8192)
    for key in texts.ROW:
        yield from (texts.line({**texts.ROW, key: value}) for value in texts.SMALL)
    yield texts.line({"id": "r1", "response": "a dog"}) * 2


def _run_directories() -> Iterator[bytes]:
    from audio_eval.runlog.records import LabelRecord, Notes, ResponseRecord, StepRecord
    from audio_eval.runs.plan import plan

    (spec,) = plan({"model": "tiny-omni", "tasks": "synth_aqa", "method": "direct"})
    records = [
        spec.model_dump(mode="json"), ResponseRecord(id="i", response="x", groups=((("x", 2),),)).model_dump(),
        Notes().model_dump(), StepRecord(step=1).model_dump(), list(LabelRecord.model_fields), {"version": 1},
        {"results": {}, "audio_eval": {"accuracy": 5.0, "n": 3, "groups": {"a": {"b": {}}}}}, [], 5,
    ]  # fmt: skip
    for record in records:
        for place in range(11):
            yield bytes([place]) + b"\n" + json.dumps(record).encode() + b"\n"


TARGETS = {
    "rows": Target(rows, _documents, ('"id"', '"response"', '"choices"', "\\ud800", "NaN", "1e999", "[[", "\n")),
    "run_directory": Target(run_directory, _run_directories),
}
