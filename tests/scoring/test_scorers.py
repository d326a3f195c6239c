"""Scorers: what each makes of a response, what scores add up to, and scorers and rules of a user's own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from audio_eval.errors import UserError
from audio_eval.scoring import RULES
from audio_eval.scoring.figures import Metric, Official
from audio_eval.scoring.graders import Graders
from audio_eval.scoring.judge import Judge
from audio_eval.scoring.rules import find_rule
from audio_eval.scoring.scorer import ScoredItem, Scorer
from audio_eval.scoring.scorers import find_scorer
from audio_eval.scoring.scores import Score
from tests.cli.test_mistakes import mistake
from tests.openai_server import Answer, OpenAIServer, completion, prompt
from tests.runs.layout import write_mmar

PETS = ("dog", "cat")


def item(id_: str = "q", answer: str = "cat", **more: Any) -> ScoredItem:
    return ScoredItem(id_, "Which?", answer, **{"choices": PETS, "slots": PETS, "groups": {"kind": id_}} | more)


def scored(scorer: Scorer, *said: tuple[ScoredItem, str]) -> list[Score]:
    return [scorer.score(one, response) for one, response in said]


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    def script(request: dict, number: int) -> Answer:
        if request.get("logprobs"):
            return completion("m", {"m": 0.9, "M": 0.1}) if "good" in prompt(request) else completion("what")
        return completion("8" if "good" in prompt(request) else "hard to say")

    with OpenAIServer(script) as server:
        yield Judge(server.url, "judge", cache=tmp_path / "judge")


@pytest.mark.parametrize(
    ("response", "asked", "otherwise"),
    [
        ("<answer>cat</answer>", None, None),
        ("cat", None, None),
        ("<answer>owl</answer>", "not an option", "not an option"),
        ("<answer>cat or dog</answer>", "not an option", "not an option"),
        ("<answer></answer>", "not an option", "not an option"),
        ("an owl", "no tags", "not an option"),
        ("<answer>owl", "no tags", "not an option"),
        ("", "no tags", "empty"),
    ],
)
def test_why_no_option_was_read(response: str, asked: str | None, otherwise: str | None) -> None:
    """Missing tags are a reason only where the prompt asks for tags."""
    choice = find_scorer("choice")
    for answer in ("cat", ""):  # hidden answers too
        assert choice.score(item(answer=answer, tagged=True), response).unread == asked
        assert choice.score(item(answer=answer), response).unread == otherwise


def test_an_open_answer_is_unread_where_nothing_is_said() -> None:
    scores = [find_scorer("open").score(item(), text) for text in ("a cat", "", "<answer> </answer>")]
    assert [score.unread for score in scores] == [None, "empty", "empty"]


@pytest.mark.parametrize(
    ("name", "label", "scores", "asks"),
    [
        ("choice", "choice@4", True, False),
        ("open", "contains_em@2", True, True),
        ("win_rate", "preferred@1", True, True),
        ("none", "none", False, False),
    ],
)
def test_the_registered_scorers(name: str, label: str, scores: bool, asks: bool) -> None:
    scorer = find_scorer(name)
    assert (scorer.label, scorer.scores, scorer.asks_judge) == (label, scores, asks)
    gold = scorer.gold(item())
    assert (gold is None) == (name in ("win_rate", "none"))
    if gold is not None:
        assert scorer.score(item(), gold).outcome == "correct"
    assert scorer.grade([item()], ["cat"], [scorer.score(item(), "cat")], Graders()) == {}


def test_choice() -> None:
    scorer, rule = find_scorer("choice"), RULES["mmsu_official"]
    slots = (None, "dog", "cat")
    scores = scored(
        scorer,
        (item("a", slots=slots, official=rule), "<answer>C</answer>"),  # no option has this letter: none is null here
        (item("b", slots=slots, official=rule), "cat"),
        (item("c", slots=slots, official=rule), "dog or cat"),
        (item("d", slots=slots, official=rule, answer=""), "cat"),
    )
    assert [s.outcome for s in scores] == ["wrong", "correct", "wrong", "excluded"]
    assert [(s.choice, s.answered) for s in scores] == [(None, False), (1, True), (None, False), (1, True)]
    assert [s.official for s in scores] == ["correct", "excluded", "excluded", "excluded"]
    assert [s.answer for s in scores] == ["cat", "cat", "cat", ""] and scores[0].groups == {"kind": "a"}
    figures = scorer.figures(scores, groups=["kind", "more"], rule="mmsu_official")
    assert (figures.accuracy, figures.n, figures.unparsable, figures.unparsable_n) == (33.3333, 3, 66.6667, 2)
    assert figures.official == Official(rule="mmsu_official", accuracy=100.0, n=1), "it dropped two"
    assert [(name, one.accuracy, one.n) for name, one in figures.groups["kind"].items()] == [
        ("a", 0.0, 1), ("b", 100.0, 1), ("c", 0.0, 1),
    ]  # fmt: skip
    assert figures.groups["more"]["?"].n == 3 and figures.metrics == {}
    assert figures.groups["kind"]["b"].official == Official(rule="mmsu_official", accuracy=0.0, n=0)


def test_hidden_answers_have_no_accuracy() -> None:
    scorer = find_scorer("choice")
    scores = scored(scorer, (item(answer=""), "cat"), (item(answer=""), "?"))
    figures = scorer.figures(scores, groups=["kind"], rule="x")
    assert (figures.accuracy, figures.n, figures.unparsable) == (None, 2, 50.0)
    assert (figures.groups, figures.official) == ({}, None)
    assert "submission.json" in scorer.unscored
    assert scorer.figures([]).accuracy is None


def test_open(judge: Judge) -> None:
    scorer = find_scorer("open")
    items = [item("a", choices=(), slots=()), item("b", choices=(), slots=())]
    said = ["<answer>a good cat</answer>", "<think>a cat"]
    scores = scored(scorer, *zip(items, said, strict=True))
    assert [(s.outcome, s.answered) for s in scores] == [("correct", True), ("wrong", False)]
    assert scores[0].measures["exact"] == 0.0 and 0 < scores[0].measures["rouge_l"] < 1
    graded = scorer.grade(items, said, scores, Graders(judge))
    assert (graded["judge"]["graded"], graded["judge"]["n"]) == (2, 2)
    assert [s.measures["grade"] for s in scores] == [8.0, 0.0], "an empty answer is not sent to the judge"
    assert (scores[0].judge_reply, scores[0].judge_why, scores[1].judge_reply) == ("8", "graded", None)
    assert [s.outcome for s in scores] == ["correct", "wrong"], "a grade changes no outcome"
    figures = scorer.figures(scores, graded)
    assert figures.accuracy == 50.0 and figures.metrics["grade"] == Metric(value=40.0, n=2)


def test_a_reply_that_cannot_be_read_is_no_grade(judge: Judge) -> None:
    scorer = find_scorer("open")
    scores = scored(scorer, (item(), "bad"))
    scorer.grade([item()], ["bad"], scores, Graders(judge))
    assert "grade" not in scores[0].measures and scores[0].judge_why == "unparsable"
    assert "grade" not in scorer.figures(scores).metrics


def test_similarity() -> None:
    class Half:
        name, revision = "half", "r1"

        def score(self, responses: list[str], answers: list[str]) -> list[float]:
            assert (responses, answers) == (["dog"], ["cat"])
            return [0.51234567]

    scorer = find_scorer("open")
    scores = scored(scorer, (item(), "dog"))
    graders: Any = Graders(similarity=Half())  # type: ignore[arg-type]
    assert scorer.grade([item()], ["dog"], scores, graders) == {"similarity": {"model": "half", "revision": "r1"}}
    assert scores[0].measures["similarity"] == 0.512346
    assert scorer.metrics(scores)["similarity"] == Metric(value=51.2346, n=1)


def test_win_rate(judge: Judge) -> None:
    scorer = find_scorer("win_rate")
    # by the sha256 of its id an item's response is shown first or second
    items = [item(id_, answer="", meta={"baseline": "so so"}) for id_ in ("a", "b", "c")]
    said = ["good", "bad", ""]
    scores = scored(scorer, *zip(items, said, strict=True))
    assert {s.outcome for s in scores} == {"excluded"} and scorer.figures(scores).accuracy is None
    assert "--judge" in scorer.unscored
    graded = scorer.grade(items, said, scores, Graders(judge))
    assert [s.outcome for s in scores][1:] == ["excluded", "wrong"], "no letter; an empty response loses"
    assert scores[0].measures["preference"] == pytest.approx(0.9 if scores[0].outcome == "correct" else 0.1)
    assert scores[1].measures == {} and scores[2].measures == {"preference": 0.0}
    figures = scorer.figures(scores, graded)
    assert figures.n == 2 and figures.metrics["preference"].n == 2
    assert figures.metrics["length_adjusted_win_rate"] == Metric(value=None, n=2), "too few to fit"


def test_a_score_is_one_line_of_a_file() -> None:
    score = find_scorer("choice").score(item(), "cat")
    assert Score.model_validate_json(score.model_dump_json()) == score
    with pytest.raises(ValidationError):
        Score.model_validate({"id": "q", "outcome": "right", "answered": True, "why": ""})
    with pytest.raises(ValidationError):
        Score.model_validate({"id": "q", "outcome": "correct", "answered": True, "why": "", "choise": 1})


def test_rules_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        RULES["mine"] = RULES["choice"]  # type: ignore[index]
    assert find_rule("choice") is RULES["choice"]


def test_an_unknown_scoring_imports_no_scorer() -> None:
    code = """
import sys
from audio_eval.errors import UserError
from audio_eval.scoring.scorers import find_scorer
try:
    find_scorer("opne")
except UserError as error:
    print(error)
print([name for name in sys.modules if name.startswith("audio_eval.scoring.scorers.")])
"""
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "Did you mean 'open'? Available: choice, none, open, win_rate." in out and out.endswith("[]\n")


# --- a user's own, by way of --include-path --------------------------------------------------------------------------

CONVERT = """
from audio_eval.data import OFFICIAL, Files, Sources, record
from audio_eval.scoring import Verdict
from audio_eval.scoring.scores import Score
from audio_eval.scoring.scorer import Scorer

def convert(row):
    return record(id=row.text("id"), **row.audio("audio_path"), question=row.text("question"), choices=row.choices(),
                  answer=row.text("answer"), groups={"modality": row.text("modality")})

TEST = Sources({OFFICIAL: Files("mmar", "MMAR-meta.jsonl", "audio", convert)})
"""
RULE = "def rule(response, choices, answer):\n    return "
SCORER = """
class Mine(Scorer):
    name, version = {}
    measures = {{"words": 1.0}}

    def score(self, item, response):
        return {}

    def gold(self, item):
        return item.answer
"""
GOOD = """Score(id=item.id, outcome="correct" if item.answer in response else "wrong", answered=True, why="",
                     measures={"words": len(response.split())}, groups=item.groups)"""
BASE = Path(__file__).parents[2] / "tasks" / "_audio_qa"


def write(folder: Path, metadata: str, code: str) -> list[str]:
    """A task of the user's; the flags that name it."""
    write_mmar(folder, broken=False)
    (folder / "more").mkdir()
    (folder / "more" / "mine.yaml").write_text(
        f"include: {BASE}\ntask: mine\ncustom_dataset: !function data.TEST\n"
        f"metadata: {{version: '1', groups: [modality], {metadata}}}\n"
    )
    (folder / "more" / "data.py").write_text(CONVERT + code)
    return ["mine", "--include-path", str(folder / "more"), "--data-dir", str(folder)]


def test_a_users_rule_and_scorer_in_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from audio_eval.cli.main import main
    from audio_eval.runs.execute import Executor
    from audio_eval.runs.plan import plan

    code = RULE + "Verdict('correct', 0, 'always')\n" + SCORER.format("'mine', '3'", GOOD)
    named = write(tmp_path, "scoring: 'data:Mine', official: 'data:rule'", code)
    assert main(["validate", "--no-audio", *named]) == 0
    assert main(["ls", *named, "--counts"]) == 0
    assert "100.00 % by data:rule" in capsys.readouterr().out
    flags = {"tasks": "mine", "include_path": named[2], "data_dir": named[4], "max_tokens": 16}
    (spec,) = plan({"model": "tiny-omni", "method": "direct", **flags})
    row = Executor().run(spec, tmp_path / "run").audio_eval.model_dump()
    assert (row["scorer"], row["official"]) == ("mine@3", None), "the scorer asks no official rule"
    assert row["metrics"]["words"]["n"] == row["n"] == 6 and row["groups"]["modality"]


@pytest.mark.parametrize(
    ("metadata", "code", "said"),
    [
        ("official: exact", "", r"unknown scoring rule 'exact' of task 'mine'"),
        ("official: 'dat:rule'", "", r"'dat:rule' of task 'mine': there is no file '.*dat\.py', and 'dat'"),
        ("official: 'data:rull'", RULE + "1", r"unknown scoring rule 'rull' in '.*data\.py'\. Did you mean 'rule'\?"),
        ("official: 'data:rule'", RULE + "True", r"'data:rule' of task 'mine' gives True, which is no Verdict"),
        ("official: 'data:rule'", RULE + "Verdict('right', None, '')", r"gives Verdict\(outcome='right'.*no Verdict"),
        ("official: 'data:rule'", RULE + "choices[answer]", r"fails on the response '.+': TypeError"),
        ("official: 'data:rule'", RULE + "Verdict('wrong', None, response[0])", r"on the response '': IndexError"),
        ("official: 'data:TEST'", "", r"'data:TEST' of task 'mine' fails on the response '.+'"),
        ("scoring: opne", "", r"unknown scoring 'opne' of task 'mine'\. Did you mean 'open'\?"),
        ("scoring: 'data:TEST'", "", r"scoring 'data:TEST' of task 'mine' is no subclass of"),
        ("scoring: 'data:Mine'", SCORER.format("'mine', '1'", "1"), r"item 'r0': TypeError: score\(\) gives 1"),
        ("scoring: 'data:Mine'", SCORER.format("'mine', 1", GOOD), r"needs a name and a version"),
        ("scoring: 'data:Mine'", SCORER.format("'choice', '2'", GOOD), r"has the name of the scorer 'choice'"),
        ("scoring: 'data:Mine'", SCORER.format("'m', '1'", "Score(id=1)"), r"cannot score item 'r0': ValidationError"),
    ],
)  # fmt: skip
def test_a_broken_one_is_one_line(
    metadata: str, code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(said, mistake(capsys, ["validate", "--no-audio", *write(tmp_path, metadata, code)]))


def test_a_rule_that_fails_later_is_told_with_the_response(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "from audio_eval.scoring import Verdict\n\n"
        "def rule(response, choices, answer):\n    return Verdict('wrong', None, '') if len(response) < 9 else None\n"
    )
    rule = find_rule("late:rule", tmp_path)
    assert rule("short", PETS, "dog").outcome == "wrong" and rule("a long one", PETS, "").outcome == "excluded"
    with pytest.raises(UserError, match="'late:rule' gives None"):
        rule("a long one", PETS, "dog")
