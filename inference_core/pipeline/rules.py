"""Rules over the results of the stages: an expression language that cannot run away."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from simpleeval import DEFAULT_OPERATORS, InvalidExpression, SimpleEval

from inference_core.contract.decoders import Decoder
from inference_core.contract.pipeline import PipelineSpec, Rule
from inference_core.contract.results import StageLatency, StageResult
from inference_core.pipeline.findings import FINDINGS, Findings, present

_OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.UAdd, ast.USub, ast.Not,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
)  # fmt: skip
_NODES = (
    ast.Name, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp,
    ast.Call, ast.keyword, ast.Attribute, ast.Constant,
)  # fmt: skip
_MAY_BE_ASKED: dict[type, set[str]] = {
    **{findings: set(findings.QUESTIONS) for findings in FINDINGS.values()},
    str: {"startswith", "endswith", "upper", "lower"},
}
_CANNOT_BE_EVALUATED = (
    InvalidExpression, SyntaxError, ValueError, TypeError, AttributeError, ArithmeticError,
    RecursionError, MemoryError,
)  # fmt: skip
_NO_TIME = StageLatency(preprocess=0, infer=0, postprocess=0, total=0)


def find_failures(spec: PipelineSpec, findings: Mapping[str, Findings]) -> tuple[str, ...]:
    """Why the part fails; empty is PASS. A rule that cannot be evaluated is a reason too."""
    reasons = (_apply(rule, findings) for rule in spec.rules)
    return tuple(reason for reason in reasons if reason is not None)


def check_rules(spec: PipelineSpec, decoders: Mapping[str, Decoder] | None = None) -> list[str]:
    """What is wrong with the rules, a sentence each; empty where they can be evaluated.

    Every rule, and every part of it, is tried on a part where nothing is found. ``decoders``
    by stage id check class names too; without them a stage may be of any kind that answers
    all the questions put to it.
    """
    findings = {
        stage.id: _nothing_found(spec, stage.id, decoders[stage.id] if decoders else None)
        for stage in spec.stages
    }
    return [problem for rule in spec.rules for problem in _find_problems(rule.fail, findings)]


def _apply(rule: Rule, findings: Mapping[str, Findings]) -> str | None:
    try:
        return rule.because if _answer(rule.fail, findings) else None
    except _CANNOT_BE_EVALUATED as error:
        return f"{rule.because}: the rule {rule.fail!r} cannot be evaluated: {error}"


def _answer(expression: str, findings: Mapping[str, Findings]) -> bool:
    answer = _evaluate(expression, _parse(expression), findings)
    if not isinstance(answer, bool):
        raise TypeError(f"it gives {type(answer).__name__}, not true or false")
    return answer


def _evaluate(expression: str, node: ast.expr, findings: Mapping[str, Findings]) -> Any:
    evaluator = SimpleEval(
        operators={kind: DEFAULT_OPERATORS[kind] for kind in _OPERATORS},
        functions={},
        names=dict(findings),
        allowed_attrs=_MAY_BE_ASKED,
    )
    evaluator.nodes = {kind: evaluator.nodes[kind] for kind in _NODES}
    return evaluator.eval(expression, previously_parsed=node)


@lru_cache(maxsize=256)
def _parse(expression: str) -> ast.expr:
    """One expression: statements and lists of them are syntax errors here."""
    return ast.parse(expression.strip(), mode="eval").body


def _nothing_found(spec: PipelineSpec, stage_id: str, decoder: Decoder | None) -> Findings:
    empty = StageResult(stage=stage_id, latency_ms=_NO_TIME)
    if decoder is not None:
        return present(empty, decoder, mm_per_px=1.0)
    asked = {
        node.attr
        for rule in spec.rules
        for node in _walk(rule.fail)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == stage_id
    }
    able = [kind for kind in FINDINGS.values() if asked <= kind.QUESTIONS]
    return (able or list(FINDINGS.values()))[0](empty, None, 1.0)


def _find_problems(expression: str, findings: Mapping[str, Findings]) -> list[str]:
    """A problem hides behind ``and`` and ``or`` until a part with that defect comes along."""
    try:
        _answer(expression, findings)
        for node in _walk(expression):
            _try_alone(expression, node, findings)
    except _CANNOT_BE_EVALUATED as error:
        return [f"the rule {expression!r} cannot be evaluated: {error}"]
    return []


def _try_alone(expression: str, node: ast.expr, findings: Mapping[str, Findings]) -> None:
    try:
        _evaluate(expression, node, findings)
    except ZeroDivisionError:
        return  # the whole expression may well guard it, and the whole was evaluated


def _walk(expression: str) -> Iterator[ast.expr]:
    try:
        tree = _parse(expression)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # evaluating the whole expression says so better
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.expr))
