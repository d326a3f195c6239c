"""Templates of strangers: Jinja in its sandbox, with bounds on what a rendering may take.

Jinja's own sandbox keeps a template from reaching Python. It bounds neither time nor memory: loops within loops, macros
that call each other, a text that doubles itself and a width of a billion all hang or fill the machine. So every loop,
call, output and joined text is paid for out of one budget; so is each value that something passes through, by its size
(a filter, a test, a comparison, a slice); and what makes something large in a single step (``*``, ``**``, ``%``,
widths, replacements, lists of lists) is measured before it is done. The same template costs the same everywhere; no
clock is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sized
from functools import wraps
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from audio_eval.template_budget import (
    MAX_BITS,
    MAX_NUMBER,
    MAX_PARTS,
    MAX_TEXT,
    Exceeded,
    budget,
    check,
    counted,
    metered,
    spend,
    weighed,
)

MAX_SOURCE = 256 * 2**10  # characters of a template
_CALL, _ROUND = 50, 10  # what a call, and a round of a loop, cost by themselves
# Filters and methods that take no longer for a large value.
_AT_ONCE = ("length", "count", "default", "d", "first", "last")
_VIEWS = ("get", "items", "keys", "values")
# What takes long for some texts, or makes many of one.
_WITHOUT = ("urlize", "pprint", "xmlattr", "wordwrap", "striptags", "random")
# What a template may end with that is wrong in itself: of a filter or a method that is given what it cannot take.
FAILURES = (TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError)
_WIDTH = re.compile(r"\d{6}")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja for a stranger's template. Compile and render within ``budget``; ``Exceeded`` where it takes more."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=_output, **options)
        for name in _WITHOUT:
            del self.filters[name]
        self.filters = {name: measured_filter(name, function) for name, function in self.filters.items()}
        self.filters |= {"_counted": counted, "_concat": _concat, "_weighed": weighed}
        self.tests = {name: _measured_test(function) for name, function in self.tests.items()}  # type: ignore[arg-type]
        del self.globals["lipsum"]
        self._cost = 1

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        if len(source) > MAX_SOURCE:
            raise Exceeded(f"it is longer than {MAX_SOURCE} characters")
        tree = super()._parse(source, name, filename)
        self._cost = max(self._cost, _size(tree))
        tree = _Bounds().visit(tree)
        tree.set_environment(self)
        return tree

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Every call of a template."""
        spend(_CALL + (self._cost if isinstance(function, (Macro, LoopContext, BlockReference)) else 0))
        args = tuple(map(metered, args))
        given = [*args, *kwargs.values()]
        weighed(given)
        if isinstance(function, LoopContext):
            spend((self._cost + 5 * _ROUND) * sum(len(each) for each in given if hasattr(each, "__len__")))
        _check_arguments(given)
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)  # Jinja wraps str.format
        if not (isinstance(owner, Mapping) and function.__name__ in _VIEWS):
            weighed(owner)
        if isinstance(owner, (str, bytes)):
            _check_method(owner, function.__name__, given)
        return weighed(super().call(context, function, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The operators that make something large of something small."""
        weighed((left, right))
        texts, numbers = [x for x in (left, right) if hasattr(x, "__len__")], [x for x in (left, right) if _is_int(x)]
        if operator == "*" and texts and numbers:
            check(len(texts[0]) * max(numbers[0], 0), MAX_PARTS if isinstance(texts[0], (list, tuple)) else MAX_TEXT)
        elif operator in ("*", "**") and len(numbers) == 2:
            bits = left.bit_length()
            check(bits + right.bit_length() if operator == "*" else bits * abs(right), MAX_BITS)
        elif operator == "%" and isinstance(left, (str, bytes)):
            _check_format(str(left), right if isinstance(right, tuple) else [right])
        return weighed(super().call_binop(context, operator, left, right))


def render(template: Template, variables: Mapping[str, Any]) -> str:
    """The text that a template of a ``Sandbox`` makes; ``Exceeded`` where it takes more than it may."""
    with budget():
        return template.render(variables)


class _Bounds(NodeTransformer):
    """Makes loops pay for each round, and measures what is put together, compared or copied in part."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        cost = nodes.Const(_ROUND + sum(map(_size, [*node.body, *filter(None, [node.test])])))
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [cost], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_concat")

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed") if node.ctx == "load" else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, "_weighed")
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, "_weighed")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Getitem:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _filtered(node.node, "_weighed")
        return node


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _size(node: nodes.Node) -> int:
    """How much there is to pass through: the nodes, and the characters of plain text."""
    return 1 + sum(
        len(part.data) if isinstance(part, nodes.TemplateData) else 1 for part in node.find_all(nodes.Node)
    )  # fmt: skip


def _is_int(value: Any) -> bool:
    return isinstance(value, int)


def _concat(values: list[Any]) -> str:
    texts = [str(weighed(value)) for value in values]
    total = sum(map(len, texts))
    check(total, MAX_TEXT)
    spend(total)
    return "".join(texts)


def _output(value: Any) -> Any:
    """What ``{{ ... }}`` shows."""
    weighed(value)
    spend(len(value) if isinstance(value, str) else len(str(value)))
    return value


def _check_arguments(given: Iterable[Any]) -> None:
    for value in given:
        if _is_int(value):
            check(abs(value), MAX_NUMBER)


def _check_format(form: str, given: Iterable[Any]) -> None:
    """A width stands in the format, or is given beside it; a value may be shown as often as the format has signs."""
    if _WIDTH.search(form):
        raise Exceeded("it writes something of a width of more than five digits")
    if "*" in form or "{}" in form:
        _check_arguments(given)
    shown = sum(len(str(weighed(value))) for value in given)
    check(len(form) + (form.count("{") + form.count("%")) * shown, MAX_TEXT)


def _check_method(text: str | bytes, method: str, given: list[Any]) -> None:
    """Methods of texts whose result may be much longer than the text."""
    if method == "replace" and len(given) >= 2:
        check(len(text) + text.count(given[0]) * len(given[1]), MAX_TEXT)
    elif method == "join":
        parts = list(weighed(given[0])) if given and isinstance(given[0], (list, tuple)) else []
        check(sum(len(part) + len(text) for part in parts if isinstance(part, (str, bytes))), MAX_TEXT)
    elif method == "format":
        _check_format(str(text), given)
    elif method == "expandtabs":
        check(len(text) * max([8, *filter(_is_int, given)]), MAX_TEXT)
    elif method == "translate":
        raise Exceeded("it uses translate(), which is not allowed")


def measured_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays, and that is given no number, and gives nothing, that is too large."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0  # before the value stands the context

    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        spend(_CALL)
        args = (*args[:first], metered(args[first]), *args[first + 1 :])
        value, given = args[first], [*args[first + 1 :], *kwargs.values()]
        weighed([None if name in _AT_ONCE else value, given])
        _check_arguments(given)
        if name == "format":
            _check_format(str(value), given)
        elif name == "replace" and len(given) >= 2:
            _check_method(str(value), "replace", [str(given[0]), str(given[1])])
        elif name == "join":
            parts = value if isinstance(value, (list, tuple)) else ()
            check(sum(len(str(part)) + len(str(given[0] if given else "")) for part in parts), MAX_TEXT)
        elif name == "tojson":
            check(max([0, *filter(_is_int, given)]), 8)  # of indentation, at every level
        elif name == "sum" and isinstance(value, Sized):
            spend(len(value) ** 2 // 100)  # of lists, each sum is a new one
        elif name == "indent":
            width = max([4, *(v if isinstance(v, int) else len(v) for v in given if isinstance(v, (int, str)))])
            check(len(str(value)) + (str(value).count("\n") + 1) * width, MAX_TEXT)
        found = function(*args, **kwargs)
        return found if name in _AT_ONCE else weighed(found)

    return measured


def _measured_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """A test (``is``) that pays for what it is given."""

    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        weighed([*args, *kwargs.values()])
        return function(*args, **kwargs)

    return measured
