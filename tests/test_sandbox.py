"""Templates of strangers: what would hang or fill the machine ends at once; an honest template is not changed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from audio_eval import prompts, template_budget
from audio_eval.errors import UserError
from audio_eval.prompts import PromptTemplate
from audio_eval.sandbox import Sandbox, render
from audio_eval.template_budget import Exceeded, budget

GROWS = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
CHAIN = "".join(
    f"{{% set n{i} = namespace(x={f'n{i - 1}' if i else 'a'}, y={f'n{i - 1}' if i else 'a'}) %}}" for i in range(40)
)
BOMBS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "text in loops": "{% for a in 'x' * 1000000 %}{{ 'y' * 1000 }}{% endfor %}",
    "recursive loop": "{% for i in range(9999) recursive %}{{ loop(range(9999)) if loop.depth < 3 }}{% endfor %}",
    "long range": "{{ range(10 ** 9) | list }}",
    "repetition": "{{ 'a' * 10 ** 10 }}",
    "list repetition": "{{ [0] * 10 ** 9 }}",
    "power": "{{ 10 ** (10 ** 9) }}",
    "growing ~": GROWS,
    "growing +": GROWS.replace("~", "+"),
    "growing capture": GROWS.replace("ns.x = ns.x ~ ns.x %}", "ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}"),
    "list of lists": GROWS.replace("'aaaaaaaa'", "['a']").replace("ns.x ~ ns.x", "[ns.x, ns.x]") + "{{ ns.x }}",
    "namespace of namespaces": "{% set a = namespace(x=1) %}" + CHAIN + "{{ n39 }}",
    "macro without end": "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "macro tree": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "center": "{{ 'a' | center(10 ** 9) }}",
    "ljust": "{{ 'a'.ljust(10 ** 9) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (10 ** 9, 1) }}",
    "format filter": "{{ '%1000000000d' | format(1) }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "format width": "{{ '{:{}}'.format(1, 10 ** 9) }}",
    "format often": "{{ ('{0}' * 10000).format('a' * 1000000) }}",
    "replace": "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "replace filter": "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
    "join": "{{ ''.join(['a' * 1000000] * 1000) }}",
    "join filter": "{{ (['a' * 1000000] * 1000) | join }}",
    "join of what is mapped": "{{ (['a' * 1000] * 1000) | map('replace', 'a', 'b' * 1000) | join }}",
    "expandtabs": "{{ ('\\t' * 100000).expandtabs(99999) }}",
    "indent": "{{ ('a\\n' * 100000) | indent(99999) }}",
    "translate": "{{ 'x'.translate({120: 'a' * 1000000}) }}",
}


# What one operation may make, gone through in every round: for minutes, if rounds and calls alone were paid for.
LARGE = "{% set x = range(19999) | list %}{% set y = 'a-' * 999999 %}{% for i in range(60000) %}{{ "
AGAIN = (
    "x | length", "x[1:] | sort", "-1 in x", "x == x[:]", "x.count(-1)", "x is in(x)", "loop.changed(x)",
    "range(99999) | sum", "'a' in range(99999)", "'a' in (range(99999) | map('string'))", "y | upper", "y.count('b')",
    "y[1:]", "'b' in y", "y | title | length", "y | wordcount", "y | replace('b', '')",
    "x | map('string') | join | length",
)  # fmt: skip


def sandbox() -> Sandbox:
    return Sandbox(undefined=StrictUndefined, keep_trailing_newline=True)


PLAIN = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)


def rendered(source: str, **variables: object) -> str:
    with budget():
        template = sandbox().from_string(source)
    return render(template, variables)


@pytest.mark.parametrize("operation", AGAIN)
def test_what_goes_through_large_values_pays_for_them(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an eighth of the budget; without what they pay it would be thousands of times."""
    monkeypatch.setattr(template_budget, "BUDGET", template_budget.BUDGET // 8)
    with budget():
        template = sandbox().from_string(LARGE + operation + " }}{{ count(i) }}{% endfor %}")
    done: list[int] = []
    with pytest.raises(Exceeded, match="more than a prompt can need"):
        render(template, {"count": done.append})
    assert len(done) < 30


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_at_once(bomb: str) -> None:
    began = time.process_time()
    with pytest.raises(Exceeded):
        rendered(BOMBS[bomb])
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ().__class__.__bases__[0].__subclasses__() }}", "{{ cycler.__init__.__globals__ }}", "{{ self.__init__ }}",
        "{{ lipsum }}", "{{ x.append(1) }}", "{{ '{0.__class__}'.format(x) }}", "{{ 'a' | urlize }}",
        "{% include '/etc/passwd' %}", "{% import 'os' as os %}",
    ],
)  # fmt: skip
def test_no_way_out(escape: str) -> None:
    with pytest.raises((TemplateError, TypeError)):
        rendered(escape, x=[1])


HONEST = (
    "{{ question }} {{ choices }} {{ choices | join(' or ') }} {{ question ~ ' ' ~ choices | length }}",
    "{% for c in lettered %}{{ loop.index }}/{{ loop.length }} {{ c }}{{ ', ' if not loop.last }}{% endfor %}",
    "{% for a, b in {'k': 1}.items() %}{{ a }}{{ b }}{% endfor %}{% set x = [1, 2] + [3] %}{{ x }}{{ 'q' in ['q'] }}",
    "{% macro m(t) %}<{{ t | upper }}>{% endmacro %}{{ m(question) }}{{ '%s-%03d' % ('a', 7) }}{{ '{:>5}'.format(3) }}",
    "{% set ns = namespace(n=0) %}{% for c in choices if c %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n * 2 }}",
)


with budget():
    COMPILED = [(sandbox().from_string(source), PLAIN.from_string(source)) for source in HONEST]


@settings(max_examples=25)
@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=30))
def test_an_honest_template_says_the_same(question: str, choices: list[str]) -> None:
    variables = {"question": question, "choices": choices, "lettered": [f"A. {c}" for c in choices]}
    for ours, plain in COMPILED:
        assert render(ours, variables) == plain.render(variables)


def test_named_prompts_take_the_largest_question() -> None:
    """100 000 characters of a question, and more options than have letters."""
    for name in prompts.named():
        said = prompts.find(name).render("why? " * 20_000, [f"option {i}" for i in range(700)])
        assert len(said) >= 100_000


@pytest.mark.parametrize("bomb", ["loops", "power", "macro tree", "deep"])
def test_a_prompt_that_takes_too_much_is_one_line(bomb: str) -> None:
    with pytest.raises(UserError, match=r"^prompt 'mine': (Exceeded: )?it"):
        _ = PromptTemplate("mine", BOMBS[bomb]).render("q", [])


@pytest.mark.parametrize("source", ["x" * 300_000, "{{ " + "9" * 5000 + " }}"])
def test_a_source_out_of_bounds_is_one_line(source: str) -> None:
    with pytest.raises(UserError, match=r"^prompt 'mine': "):
        _ = PromptTemplate("mine", source).variables
