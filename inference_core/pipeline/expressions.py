"""An expression language that cannot run away: what rules and cascades are written in."""

from __future__ import annotations

import ast
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from simpleeval import DEFAULT_OPERATORS, InvalidExpression, SimpleEval

from inference_core.pipeline.findings import FINDINGS, Findings
from inference_core.pipeline.questions import Unanswerable
from inference_core.pipeline.word_findings import CropClassFindings

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.UAdd, ast.USub, ast.Not)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
_NODES = (
    ast.Name, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp,
    ast.Call, ast.keyword, ast.Attribute, ast.Constant,
)  # fmt: skip
_KINDS: tuple[type[Findings], ...] = (*FINDINGS.values(), CropClassFindings)
_MAY_BE_ASKED: dict[type, set[str]] = {
    **{kind: set(kind.QUESTIONS) for kind in _KINDS},
    str: {"startswith", "endswith", "upper", "lower"},
}
CANNOT_BE_EVALUATED = (
    InvalidExpression, SyntaxError, ValueError, TypeError, AttributeError, ArithmeticError,
    RecursionError, MemoryError,
)  # fmt: skip

Names = Mapping[str, Findings]


def answer(expression: str, findings: Names, bare: str | None = None) -> bool:
    """True or false. ``bare`` names the stage that names without a dot are asked of.

    Raises one of ``CANNOT_BE_EVALUATED``.
    """
    answered = _evaluate(expression, _parse(expression, bare, _questions(findings, bare)), findings)
    if not isinstance(answered, bool):
        raise TypeError(f"it gives {type(answered).__name__}, not true or false")
    return answered


def find_problem(expression: str, findings: Names, bare: str | None = None) -> str | None:
    """Why the expression, or a part of it, cannot be evaluated on these findings.

    A problem hides behind ``and`` and ``or`` until a part with that defect comes along.
    """
    try:
        answer(expression, findings, bare)
        for node in walk(expression, bare, _questions(findings, bare)):
            _try_alone(expression, node, findings)
    except CANNOT_BE_EVALUATED as error:
        return str(error)
    return None


def walk(
    expression: str, bare: str | None = None, questions: frozenset[str] = frozenset()
) -> Iterator[ast.expr]:
    """All parts of an expression; none where it has no sense at all."""
    try:
        tree = _parse(expression, bare, questions)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # evaluating the whole expression says so better
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.expr))


class _Qualify(ast.NodeTransformer):
    """``confidence`` to ``screen.confidence``."""

    def __init__(self, stage: str, questions: frozenset[str]) -> None:
        self._stage = stage
        self._questions = questions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._questions:
            return node
        return ast.Attribute(ast.Name(self._stage, ast.Load()), node.id, ast.Load())


def _questions(findings: Names, bare: str | None) -> frozenset[str]:
    return frozenset() if bare is None else findings[bare].QUESTIONS


@lru_cache(maxsize=256)
def _parse(expression: str, bare: str | None, questions: frozenset[str]) -> ast.expr:
    """One expression: statements and lists of them are syntax errors here."""
    tree = ast.parse(expression.strip(), mode="eval").body
    return tree if bare is None else _Qualify(bare, questions).visit(tree)


def _evaluate(expression: str, node: ast.expr, findings: Names) -> Any:
    evaluator = _mine.evaluator
    evaluator.names = dict(findings)
    return evaluator.eval(expression, previously_parsed=node)


def _try_alone(expression: str, node: ast.expr, findings: Names) -> None:
    try:
        _evaluate(expression, node, findings)
    except ZeroDivisionError:
        return  # the whole expression may well guard it, and the whole was evaluated


def _refuse_nan(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Every comparison with NaN is false, so "score > 0.5" would pass the part."""

    def compare_numbers(left: Any, right: Any) -> bool:
        for side in (left, right):
            if isinstance(side, float) and math.isnan(side):
                raise Unanswerable("a figure in it is not a number")
        return compare(left, right)

    return compare_numbers


_OPERATORS: dict[type, Callable[..., Any]] = {
    **{kind: DEFAULT_OPERATORS[kind] for kind in _ARITHMETIC},
    **{kind: _refuse_nan(DEFAULT_OPERATORS[kind]) for kind in _COMPARISONS},
}


class _Evaluator(threading.local):
    """One for each thread.

    Making it costs more than most rules, and turns the warnings of the whole process off and on.
    """

    def __init__(self) -> None:
        self.evaluator = SimpleEval(
            operators=_OPERATORS, functions={}, names={}, allowed_attrs=_MAY_BE_ASKED
        )
        self.evaluator.nodes = {kind: self.evaluator.nodes[kind] for kind in _NODES}


_mine = _Evaluator()
