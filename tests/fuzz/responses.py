"""Responses: a text, and behind NUL characters its options; without any, one of ``OPTIONS``."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.target import Target

OPTIONS: tuple[tuple[str, ...], ...] = (
    ("a dog", "a cat", "rain", "No music"),
    ("Man", "Woman"),
    ("C", "C#", "G", "D"),
    ("1", "2", "3", "10"),
    ("\u72d7\u53eb", "\u732b\u53eb", "\u4e0b\u96e8"),
    ("It is a dog, because it barks.", "The answer is B", "<answer>x</answer>", ""),
    tuple(f"option {i}" for i in range(30)),
)


def _response(data: bytes) -> tuple[str, tuple[str, ...]]:
    response, *options = data.decode("utf-8", "surrogateescape").split("\0")
    return response[1:], tuple(options) or OPTIONS[ord(response[:1] or "0") % len(OPTIONS)]


def extraction(data: bytes) -> None:
    """A scorer, an official rule, and all that reads what a judge or a model says, of a response.

    The first byte says which scorer and rule: all of them take twenty times as long.
    """
    from audio_eval.rl.consensus import judging
    from audio_eval.scoring import answer_text, grade, has_format, parse_choice
    from audio_eval.scoring.extraction import marked_at, stated
    from audio_eval.scoring.rules import RULES
    from audio_eval.scoring.scorer import ScoredItem
    from audio_eval.scoring.scorers.choice import Choice
    from audio_eval.scoring.scorers.none import Unscored
    from audio_eval.scoring.scorers.open import Open
    from audio_eval.scoring.thinking import spoken

    which, (response, options) = (data or b"0")[0], _response(data[1:])
    found = parse_choice(response, options)
    assert found is None or 0 <= found < len(options)
    name = tuple(RULES)[which % len(RULES)]
    verdict = RULES[name](response, options, options[-1] or "x")
    assert verdict.choice is None or 0 <= verdict.choice < max(len(options), 26), (name, verdict)
    assert name != "choice" or verdict.choice == found
    item = ScoredItem("i", "q", options[0], options, (*options, None), RULES[name], tagged=True)
    scorer = (Choice, Open, Unscored)[which // len(RULES) % 3]()
    score = scorer.score(item, response)
    assert score.outcome in ("correct", "wrong", "excluded")
    scorer.figures([score])
    if marked := marked_at(response):
        assert 0 <= marked[0] <= marked[1] <= len(response), marked
    for parsed in (grade.parse(response), judging.parse(response)):
        assert parsed is None or 0 <= parsed <= 10
    stated(spoken(response)), answer_text(response), has_format(response)


def normal(data: bytes) -> None:
    """The normal forms of a text, and a text as an option."""
    from audio_eval.scoring.normal import loose, normalise, plain
    from audio_eval.scoring.options import foldable, prepare

    text, options = _response(data)
    for form in (plain, normalise, loose, foldable):
        assert isinstance(form(text), str)
    prepared = prepare((text, *options))
    prepared.named(text), prepared.exact(text), prepared.mentions(text), prepared.begins(text)


WORDS = (
    "<answer>", "</answer>", "<think>", "</think>", "\\boxed{", "}", "Answer:", "the answer is ", "option B", "not ",
    "rather than", '{"answer": "', "'", "(A)", "B.", "because ", "**", "$", "\n", "<|im_end|>", "assistant\n", "or ",
    "<|channel|>final<|message|>", "\\text{", "#", "\u2014", "\u3002", "\u00e9", "isn't", "ruled out", "?", "Score: ",
)  # fmt: skip


def _responses() -> Iterator[bytes]:
    for place, options in enumerate(OPTIONS):
        first = str(place).encode()
        for option in options[:4]:
            for form in ("{}", "<answer>{}</answer>", "\\boxed{{{}}}", '{{"answer": "{}"}}', "Answer: {}", "not {}",
                         "<think>x</think>{}", "B. {}", "It is {}, but it isn't", "The answer is {}."):  # fmt: skip
                yield first + form.format(option).encode()
        yield "\0".join(["0the answer is (B)", *options]).encode()
    yield from (f"0{word}".encode() * 3 for word in WORDS)


def _answered() -> Iterator[bytes]:
    yield from (bytes([number % 256]) + data for number, data in enumerate(_responses()))


TARGETS = {
    "extraction": Target(extraction, _answered, WORDS, longest=2048),
    "normal": Target(normal, _responses, WORDS),
}
