"""One item of each benchmark in its official form, and how tests lay such items out and load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import audio_eval.tasks

TASKS = Path(audio_eval.tasks.__file__).parent

MMAU = {
    "id": "m1", "audio_id": "./test-mini-audios/m1.wav", "question": "Which {sound}?", "choices": ["dog", "cat"],
    "answer": "cat", "dataset": "x", "task": "sound", "split": "test-mini", "category": "Reasoning",
    "sub-category": "Counting", "difficulty": "easy",
}  # fmt: skip
MMAR = {
    "id": "r1", "audio_path": "./audio/r1.wav", "question": "Which?", "choices": ["['a', 'b']", "['b', 'a']", ""],
    "answer": "['a', 'b']", "modality": "mix-sound-speech", "category": "Signal Layer", "sub-category": "Imagination",
    "language": None, "source": "youtube", "url": "", "timestamp": "0,1", "thinking": "gold", "cue": [], "rubric": [],
}  # fmt: skip
MMSU = {
    "id": "gender_1", "task_name": "gender", "audio_path": "/audio/g.wav", "question": "Who?", "choice_a": None,
    "choice_b": "male", "choice_c": None, "choice_d": "None", "answer_gt": "male", "category": "Perception",
    "sub-category": "Linguistics", "sub-sub-category": "s", "linguistics_sub_discipline": None,
}  # fmt: skip
DAILY = {
    "Question": "What is heard?", "Choice": ["A. A. Smith", "B. rain → wind", "C. ", "D. B"], "Answer": "B",
    "video_id": "-v_1", "Type": "Inference", "video_category": "Music", "video_duration": "30s",
}  # fmt: skip
ALPACA = {"dataset": "koala", "instruction": "Say {{ hi }}.", "output": "hi", "generator": "gpt4_1106_preview"}
ULTRA = {"source": "flan", "instruction": "Add 1 and 1.", "models": [], "completions": [{"response": "2"}]}
AVQA = {
    "id": 183, "video_name": "-HG3Omg_89c_000030", "video_id": 341, "question_text": "What happened in the video?",
    "multi_choice": ["motorboat", "Yacht consignment", "Sailboat set sail", "Consignment car"], "answer": 1,
    "question_relation": "View", "question_type": "Happening", "dataset_name": "AVQA", "audio_path": "wav/a.wav",
}  # fmt: skip
ULTRA_FILES = ("evol_instruct", "false_qa", "flan", "sharegpt", "truthful_qa", "ultrachat")


def write(data_dir: Path, relative: str, rows: list[Any]) -> None:
    """Write rows as the suffix says: .jsonl (a text is a line as it stands) or .json."""
    path = data_dir / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) if path.suffix == ".jsonl" else json.dumps(rows), encoding="utf-8")


def write_all(data_dir: Path) -> None:
    """One item of every benchmark in its official layout."""
    write(data_dir, "mmau/mmau-test-mini.json", [MMAU])
    write(data_dir, "mmau_original/mmau-test-mini.json", [MMAU])
    write(data_dir, "mmau/mmau-test.json", [dict(MMAU, answer="")])
    write(data_dir, "mmar/MMAR-meta.jsonl", [MMAR])
    write(data_dir, "mmsu/MMSU.jsonl", [MMSU])
    write(data_dir, "daily_omni/qa.json", [DAILY])
    write(data_dir, "avqa/train.jsonl", [AVQA])
    write(data_dir, "alpaca_eval/alpaca_eval_gpt4_baseline.json", [ALPACA])
    for name in ULTRA_FILES:
        write(data_dir, f"ultrafeedback/{name}.jsonl", [dict(ULTRA, source=name)])


def manager(data_dir: Path | None, **metadata: Any) -> Any:
    """lm-eval's TaskManager on this package's tasks."""
    from lm_eval.tasks import TaskManager

    metadata["data_dir"] = str(data_dir) if data_dir else None
    return TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)


def load(name: str, data_dir: Path | None, **metadata: Any) -> Any:
    """A task as lm-eval builds it."""
    return manager(data_dir, **metadata).load([name])["tasks"][name]
