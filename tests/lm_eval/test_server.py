"""audio-api: lm-eval asks a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from tests.lm_eval.conftest import answers, evaluate, model
from tests.openai_server import Answer, OpenAIServer, completions, failure, prompt, sound
from tests.runs.layout import BROKEN, ITEMS


def served(url: str) -> Any:
    return model("api", pretrained="served", batch_size=4, base_url=url, max_wait=0.02, retries=0)


def test_a_task_of_ours_and_a_failed_request(mmar: Path, tmp_path: Path) -> None:
    bad = {"tempo": True}

    def reply(request: dict, _: int) -> Answer:
        assert sound(request) is not None
        refused = bad["tempo"] and "tempo" in prompt(request)
        return failure(400, "not today") if refused else completions(["<answer>organ</answer>"])

    with OpenAIServer(reply) as server:
        lm = served(server.url)
        found = evaluate(lm, ["mmar"], None, mmar, use_cache=str(tmp_path / "said"))
        assert found["results"]["mmar"]["acc,none"] == 1 / ITEMS  # organ is right once
        assert set(found["config"]["failed_items"]) == {f"mmar/{i}/0" for i in ("r0", BROKEN, "r3")}
        bad["tempo"], before = False, len(server.requests)
        again = evaluate(lm, ["mmar"], None, mmar, use_cache=str(tmp_path / "said"))
    assert len(server.requests) == before + 2, "what the server refused is asked again"
    assert answers(again, "mmar").count("<answer>organ</answer>") == ITEMS - 1


def test_text(text_tasks: Path) -> None:
    with OpenAIServer(lambda request, _: completions([" là 2 ici"])) as server:
        lm = served(server.url)
        for how in ({}, {"apply_chat_template": True}):
            found = evaluate(lm, ["words_until"], text_tasks, **how)
            assert {*answers(found, "words_until")} == {" là 2 ici"}, "the server stops, and is told where"
        assert server.requests[0]["stop"] == ["2", "5", " the"] and server.requests[0]["max_tokens"] == 12
        asked = [[request["messages"] for request in part] for part in (server.requests[:4], server.requests[4:])]
        assert sorted(map(json.dumps, asked[0])) == sorted(map(json.dumps, asked[1]))
        with pytest.raises(UserError, match="one user turn"):
            evaluate(lm, ["words_until"], text_tasks, apply_chat_template=True, num_fewshot=1)
        evaluate(lm, ["words_until"], text_tasks, num_fewshot=1)
        with pytest.raises(UserError, match="audio-api can only generate"):
            evaluate(lm, ["words_choice"], text_tasks)


def test_a_server_needs_the_models_name() -> None:
    with pytest.raises(UserError, match="--model_args pretrained=NAME"):
        model("api", base_url="http://localhost:1/v1")
