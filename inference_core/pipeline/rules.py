"""Rules over the results of the stages."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from inference_core.contract.decoders import Decoder
from inference_core.contract.pipeline import PipelineSpec, Rule, Stage
from inference_core.pipeline.expressions import (
    CANNOT_BE_EVALUATED,
    Names,
    answer,
    find_problem,
    walk,
)
from inference_core.pipeline.findings import Findings, find_nothing, kinds_of, present


def find_failures(spec: PipelineSpec, findings: Names) -> tuple[str, ...]:
    """Why the part fails; empty is PASS. A rule that cannot be evaluated is a reason too."""
    reasons = (_apply(rule, findings) for rule in spec.rules)
    return tuple(reason for reason in reasons if reason is not None)


def is_unanswered(rule: Rule, reasons: Iterable[str]) -> bool:
    """Whether ``reasons`` say that the rule could not be evaluated."""
    return any(reason.startswith(_unanswered(rule)) for reason in reasons)


def must_escalate(stage: Stage, findings: Findings) -> bool:
    """Whether the stages after this one must look too; in doubt they must."""
    try:
        return answer(stage.escalate_when or "True", {stage.id: findings}, bare=stage.id)
    except CANNOT_BE_EVALUATED:
        return True


def check_rules(spec: PipelineSpec, decoders: Mapping[str, Decoder] | None = None) -> list[str]:
    """What is wrong with the rules, a sentence each; empty where they can be evaluated.

    Every expression, and every part of it, is tried on a part where nothing is found.
    ``decoders`` by stage id check class names too; without them a stage may be of any kind that
    answers all the questions put to it.
    """
    findings = {
        stage.id: _nothing_found(spec, stage, decoders[stage.id] if decoders else None)
        for stage in spec.stages
    }
    problems = [_check_escalation(stage, findings[stage.id]) for stage in spec.stages]
    problems += [_check_rule(rule, findings) for rule in spec.rules]
    return [problem for problem in problems if problem]


def _apply(rule: Rule, findings: Names) -> str | None:
    try:
        return rule.because if answer(rule.fail, findings) else None
    except CANNOT_BE_EVALUATED as error:
        return f"{_unanswered(rule)}: {error}"


def _unanswered(rule: Rule) -> str:
    return f"{rule.because}: the rule {rule.fail!r} cannot be evaluated"


def _check_rule(rule: Rule, findings: Names) -> str | None:
    problem = find_problem(rule.fail, findings)
    return problem and f"the rule {rule.fail!r} cannot be evaluated: {problem}"


def _check_escalation(stage: Stage, findings: Findings) -> str | None:
    if stage.escalate_when is None:
        return None
    problem = find_problem(stage.escalate_when, {stage.id: findings}, bare=stage.id)
    return problem and (
        f"escalate_when {stage.escalate_when!r} of stage {stage.id!r} "
        f"cannot be evaluated: {problem}"
    )


def _nothing_found(spec: PipelineSpec, stage: Stage, decoder: Decoder | None) -> Findings:
    empty = find_nothing(stage)
    if decoder is not None:
        return present(stage, empty, decoder, mm_per_px=1.0)
    kinds = kinds_of(stage)
    able = [kind for kind in kinds if _find_asked(spec, stage) <= kind.QUESTIONS]
    return (able or kinds)[0](empty, None, 1.0)


def _find_asked(spec: PipelineSpec, stage: Stage) -> set[str]:
    """All that is asked of a stage, whoever asks."""
    every = frozenset[str]().union(*(kind.QUESTIONS for kind in kinds_of(stage)))
    nodes = [node for rule in spec.rules for node in walk(rule.fail)]
    nodes += walk(stage.escalate_when or "True", stage.id, every)
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == stage.id
    }
