"""Templates of strangers: Jinja in its sandbox, with bounds on what a rendering may take.

Jinja's own sandbox keeps a template from reaching Python. It bounds neither time nor memory: loops within loops, macros
that call each other, a text that doubles itself and a width of a billion all hang or fill the machine. So every loop,
call, output and joined text is paid for out of one budget, and what makes something large in a single step (``*``,
``**``, ``%``, widths, replacements, lists of lists) is measured before it is done. The same template costs the same
everywhere; no clock is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from audio_eval.template_budget import (
    CALL,
    LARGE,
    MAX_BITS,
    MAX_PARTS,
    MAX_SOURCE,
    MAX_TEXT,
    ROUND,
    Exceeded,
    budget,
    check,
    check_arguments,
    check_format,
    check_method,
    compared,
    concat,
    counted,
    is_int,
    metered,
    output,
    spend,
    weighed,
)

# What takes long for some texts, or makes many of one.
_WITHOUT = ("urlize", "pprint", "xmlattr", "wordwrap", "striptags", "random")
# What a template may end with that is wrong in itself: of a filter or a method that is given what it cannot take.
FAILURES = (TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja for a stranger's template. Compile and render within ``budget``; ``Exceeded`` where it takes more."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=output, **options)
        for name in _WITHOUT:
            del self.filters[name]
        self.filters = {name: measured_filter(name, function) for name, function in self.filters.items()}
        self.tests = {name: measured_test(function) for name, function in self.tests.items()}
        self.filters |= {"_counted": counted, "_concat": concat, "_weighed": weighed, "_compared": compared}
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
        spend(CALL + (self._cost if isinstance(function, (Macro, LoopContext)) else 0))
        args = tuple(map(metered, args))
        given = [*args, *kwargs.values()]
        if isinstance(function, LoopContext):
            spend((self._cost + 5 * ROUND) * sum(len(each) for each in given if hasattr(each, "__len__")))
        check_arguments(given)
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)  # Jinja wraps str.format
        for value in (*given, owner):
            if isinstance(value, LARGE):  # what goes through all of it may give a number
                weighed(value)
        if isinstance(owner, (str, bytes)):
            check_method(owner, function.__name__, given)
        return weighed(super().call(context, function, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The operators that make something large of something small."""
        texts, numbers = [x for x in (left, right) if hasattr(x, "__len__")], [x for x in (left, right) if is_int(x)]
        if operator == "*" and texts and numbers:
            check(len(texts[0]) * max(numbers[0], 0), MAX_PARTS if isinstance(texts[0], (list, tuple)) else MAX_TEXT)
        elif operator in ("*", "**") and len(numbers) == 2:
            bits = left.bit_length()
            check(bits + right.bit_length() if operator == "*" else bits * abs(right), MAX_BITS)
        elif operator == "%" and isinstance(left, (str, bytes)):
            check_format(str(left), right if isinstance(right, tuple) else [right])
        return weighed(super().call_binop(context, operator, left, right))


def render(template: Template, variables: Mapping[str, Any]) -> str:
    """The text that a template of a ``Sandbox`` makes; ``Exceeded`` where it takes more than it may."""
    with budget():
        return template.render(variables)


class _Bounds(NodeTransformer):
    """Makes loops pay for each round, and measures what is put together."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        cost = nodes.Const(ROUND + sum(map(_size, node.body)))
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [cost], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_concat")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, "_compared")
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, "_compared")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed") if isinstance(node.arg, nodes.Slice) else node

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed")

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed") if node.ctx == "load" else node


def _filtered(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _size(node: nodes.Node) -> int:
    """How much there is to pass through: the nodes, and the characters of plain text."""
    return 1 + sum(
        len(part.data) if isinstance(part, nodes.TemplateData) else 1 for part in node.find_all(nodes.Node)
    )  # fmt: skip


def measured_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays, and that is given no number, and gives nothing, that is too large."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0  # before the value stands the context

    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        spend(CALL)
        args = (*args[:first], metered(args[first]), *args[first + 1 :])
        value, given = args[first], [*args[first + 1 :], *kwargs.values()]
        for each in (value, *given):
            weighed(each)
        check_arguments(given)
        if name == "format":
            check_format(str(value), given)
        elif name == "replace" and len(given) >= 2:
            check_method(str(value), "replace", [str(given[0]), str(given[1])])
        elif name == "join":
            parts = value if isinstance(value, (list, tuple)) else ()
            check(sum(len(str(part)) + len(str(given[0] if given else "")) for part in parts), MAX_TEXT)
        elif name == "tojson":
            check(max([0, *filter(is_int, given)]), 8)  # of indentation, at every level
        elif name == "indent":
            width = max([4, *(v if isinstance(v, int) else len(v) for v in given if isinstance(v, (int, str)))])
            check(len(str(value)) + (str(value).count("\n") + 1) * width, MAX_TEXT)
        return weighed(function(*args, **kwargs))

    return measured


def measured_test(function: Any) -> Callable[..., Any]:
    """A test (``is ...``) that pays for what it is given."""

    @wraps(function)
    def measured(*args: Any) -> Any:
        return function(*map(compared, args))

    return measured
