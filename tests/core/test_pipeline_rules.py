"""Rules: what may be asked, what is refused, and that nothing runs away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.contract.pipeline import PipelineSpec, Rule, Stage
from inference_core.contract.results import RegionResult, StageLatency, StageResult, TextLineResult
from inference_core.pipeline.findings import Findings, present
from inference_core.pipeline.patterns import RefusedPattern, compile_pattern
from inference_core.pipeline.rules import check_rules, find_failures
from tests.core.core_models import reader, sample_manifest, sample_pipeline, segmenter

NO_TIME = StageLatency(preprocess=0, infer=0, postprocess=0, total=0)
DEFECTS, MARKING = Stage(id="defects", model="d"), Stage(id="marking", model="m")
DECODERS = {"defects": segmenter().decoder, "marking": reader().decoder}


def spec(*expressions: str) -> PipelineSpec:
    return PipelineSpec.model_validate(
        {
            "pipeline": "p",
            "stages": [{"id": "defects", "model": "d"}, {"id": "marking", "model": "m"}],
            "rules": [{"fail": fail, "because": f"because {fail}"[:200]} for fail in expressions],
        }
    )


def region(label: str, area_px: float, scale: float | None = 0.2) -> RegionResult:
    return RegionResult(
        label=label,
        score=0.9,
        xyxy=(0, 0, 1, 1),
        area_px=area_px,
        area_mm2=scale and area_px * scale**2,
        length_mm=scale and area_px * scale,
    )


def findings(text: str = "TDA1517P", scale: float | None = 0.2) -> dict[str, Findings]:
    regions = (region("scratch", 100, scale), region("dent", 30, scale))
    defects = StageResult(stage="defects", regions=regions, latency_ms=NO_TIME)
    line = TextLineResult(text=text, score=0.75, polygon=())
    lines = (line,) if text else ()
    marking = StageResult(stage="marking", lines=lines, latency_ms=NO_TIME)
    return {
        "defects": present(DEFECTS, defects, DECODERS["defects"], scale),
        "marking": present(MARKING, marking, DECODERS["marking"], scale),
    }


def fails(expression: str, **about: Any) -> bool:
    reasons = find_failures(spec(expression), findings(**about))
    assert all("cannot be evaluated" not in reason for reason in reasons), reasons
    return bool(reasons)


@pytest.mark.parametrize(
    "expression",
    [
        "defects.count() == 2",
        "defects.count('scratch') > 0",
        "defects.largest_mm2 > 1.5",
        "3.9 < defects.largest_mm2 < 4.1",
        "defects.total_mm2 > 5.1 and defects.total_mm2 < 5.3",
        "defects.longest_mm == 20",
        "defects.largest_px >= 100",
        "defects.score == 0.9",
        "marking.matches('^TDA[0-9]{4}P$')",
        "marking.matches('TDA[0-9]{4}P')",
        "marking.text == 'TDA1517P' and marking.score < 0.8",
        "marking.text.startswith('TDA') or defects.count() > 100",
        "'1517' in marking.text",
        "not (marking.count() != 1)",
        "(defects.count('dent') * 2 - 1) / 1 > 0.5",
        "True if defects.count() else False",
    ],
)
def test_a_true_expression_fails_the_part(expression: str) -> None:
    assert check_rules(spec(expression), DECODERS) == []
    assert fails(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "defects.count() > 2",
        "not marking.matches('^TDA[0-9]{4}P$')",
        "marking.matches('TDA')",
        "defects.largest_mm2 > 4.5",
    ],
)
def test_a_false_expression_passes(expression: str) -> None:
    assert not fails(expression)


def test_nothing_read_is_no_match() -> None:
    assert fails("not marking.matches('^TDA[0-9]{4}P$')", text="")
    assert fails("marking.score == 0 and marking.text == ''", text="")


def test_the_reasons_come_in_the_order_of_the_rules() -> None:
    rules = spec("defects.count() > 0", "marking.text == 'x'", "marking.count() > 0")
    assert find_failures(rules, findings()) == (
        "because defects.count() > 0",
        "because marking.count() > 0",
    )


def test_millimetres_without_a_scale_fail_the_part_and_say_why() -> None:
    (reason,) = find_failures(spec("defects.largest_mm2 > 1e9"), findings(scale=None))
    assert "cannot be evaluated" in reason
    assert "no mm_per_px" in reason


BROKEN = [
    "defects.colour > 1",
    "nothing.count() > 1",
    "defects.count",
    "defects.count()",
    "defects.count > 1",
    "defects.largest_mm2 > 'a'",
    "marking.largest_mm2 > 1",
    "defects.text == ''",
    "marking.matches('[')",
    "marking.matches('(a+)+b')",
    "1 / defects.count() > 0",
    "defects.count(",
    "defects.count() > 0; True",
    "x = 1",
    "",
    " # comment",
]
HOSTILE = [
    "__import__('os').system('true')",
    "defects.__class__",
    "defects._result",
    "defects._result.stage == ''",
    "marking.text.__class__.__mro__",
    "marking.text.format(defects) == ''",
    "(lambda: True)()",
    "[x for x in (1,)]",
    "open('/etc/passwd')",
    "9 ** 9 ** 9 > 1",
    "1 << 10000000 > 1",
    "'a' * 1000000000 == ''",
    "f'{defects}' == ''",
    "marking.text[0] == 'T'",
    "defects.count.__globals__",
    "print('x')",
    "(" * 120 + "1" + ")" * 120,
    "-" * 400 + "1",
]


@pytest.mark.parametrize("expression", [expression for expression in BROKEN if expression])
def test_a_broken_rule_is_found_before_a_frame_is_taken(expression: str) -> None:
    assert len(check_rules(spec(expression), DECODERS)) == 1


@pytest.mark.parametrize("expression", HOSTILE)
def test_a_hostile_rule_is_found_and_never_passes_a_part(expression: str) -> None:
    assert len(check_rules(spec(expression), DECODERS)) == 1
    (reason,) = find_failures(spec(expression), findings())
    assert "cannot be evaluated" in reason


@pytest.mark.parametrize(
    "expression",
    [
        "defects.count() > 5 and nothing.count() > 1",
        "marking.count() > 9 and marking.matches('[')",
        "defects.count() >= 0 or defects.count('scrath') > 0",
        "True if defects.count() < 9 else defects.missing",
    ],
)
def test_a_mistake_is_found_where_the_empty_part_does_not_go(expression: str) -> None:
    assert len(check_rules(spec(expression), DECODERS)) == 1


def test_a_guarded_division_is_allowed() -> None:
    guarded = "defects.count() > 0 and defects.total_mm2 / defects.count() > 2"
    assert check_rules(spec(guarded), DECODERS) == []
    assert fails(guarded)


def test_an_unknown_class_is_named_with_the_known_ones() -> None:
    (problem,) = check_rules(spec("defects.count('scrath') > 0"), DECODERS)
    assert "'scrath'" in problem
    assert "scratch" in problem


def test_without_decoders_a_stage_is_of_the_kind_that_answers() -> None:
    assert check_rules(spec("defects.count('any') > 0", "marking.matches('a')")) == []
    (problem,) = check_rules(spec("defects.text == '' or defects.largest_px > 1"))
    assert "cannot be evaluated" in problem


def test_the_sample_pipeline_is_sound() -> None:
    pipeline = sample_pipeline()
    decoders = {stage.id: sample_manifest(stage.model).decoder for stage in pipeline.stages}
    assert check_rules(pipeline) == []
    assert check_rules(pipeline, decoders) == []


@given(st.text(max_size=60).filter(bool))
def test_no_text_raises_as_a_rule(text: str) -> None:
    rules = spec("True").model_copy(update={"rules": (Rule(fail=text, because="x"),)})
    for reason in find_failures(rules, findings()):
        assert reason.startswith("x")
    check_rules(rules, DECODERS)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a*)*",
        "(a|aa)+$",
        "(a|a)*b",
        "(?:a+)+",
        "(.*){9}",
        ".*.*.*.*=",
        "a?" * 25 + "a" * 25,
        r"(a)\1",
        "(?=a)a",
        "(?i)a",
        "a" * 201,
        "(",
        "a{2}{3}",
        "((a{0,9}){0,9}){0,9}",
    ],
)
def test_a_pattern_that_is_broken_or_could_run_for_long_is_refused(pattern: str) -> None:
    with pytest.raises(RefusedPattern):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^TDA[0-9]{4}P$", "TDA1517P"),
        ("[A-Z]{2}[0-9]{6}", "AB123456"),
        (r"LOT-\d+ .*", "LOT-12 rest"),
        ("(red|green)?-[)(+*]+", "red-)(+*"),
        (r"\(x\)+\\", "(x))\\"),
        ("[]a]+b?", "]a]b"),
    ],
)
def test_common_patterns_are_allowed(pattern: str, text: str) -> None:
    assert compile_pattern(pattern).fullmatch(text)
