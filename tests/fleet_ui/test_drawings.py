"""Charts and overlays: geometry that can be checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_ui.charts import draw_histogram, draw_hours, draw_line
from fleet_ui.overlays import overlay_of, read_result
from fleet_ui.templatetags.words import figure, grouped, ms, percent, size, tone_of
from inference_core.contract.histogram import ExponentialHistogram


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=50))
def test_every_bar_of_a_histogram_stands_inside_the_drawing(values: list[float]) -> None:
    chart = draw_histogram(ExponentialHistogram.of(values))
    assert chart is not None
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= chart.width + 0.1
        assert 0 < bar.y <= bar.y + bar.height <= chart.floor + 0.1
    for place in (*chart.ticks, *chart.marks):
        assert -0.1 <= place.x <= chart.width + 0.1


def test_nothing_measured_draws_nothing() -> None:
    assert draw_histogram(ExponentialHistogram()) is None
    assert draw_histogram(ExponentialHistogram(buckets={1: 0})) is None
    assert draw_line([None, 3.0, None]) == ""


def test_failures_stand_on_top_of_passes() -> None:
    chart = draw_hours([("08:00", 30, 10), ("09:00", 0, 0)])
    passed, failed = chart.bars
    assert passed.height == pytest.approx(3 * failed.height)
    assert failed.y + failed.height == pytest.approx(passed.y)
    assert (failed.kind, failed.title) == ("bar-bad", "08:00 UTC: 30 passed, 10 failed")


def test_a_region_without_outline_is_drawn_as_its_box_and_text_without_one_is_not_drawn() -> None:
    result = read_result(
        {
            "camera": "top",
            "sequence": 1,
            "source": "a.jpg",
            "captured_at": "2026-11-22T16:00:00Z",
            "width": 640,
            "height": 480,
            "verdict": "fail",
            "stages": [
                {
                    "stage": "defects",
                    "latency_ms": {"preprocess": 1, "infer": 1, "postprocess": 1, "total": 3},
                    "lines": [{"text": "nowhere", "score": 1, "polygon": []}],
                    "text_boxes": [{"score": 1, "polygon": []}],
                    "regions": [
                        {"label": "scratch", "score": 0.5, "xyxy": [0, 2, 10, 4], "area_px": 9}
                    ],
                }
            ],
            "latency_ms": 3,
            "budget_ms": 100,
        }
    )
    assert result is not None
    (shape,) = overlay_of(result).shapes
    assert shape.points == "0.0,2.0 10.0,2.0 10.0,4.0 0.0,4.0"
    assert shape.caption == "scratch 50%"
    assert shape.y > 4, "no room above: the caption goes below the upper edge"


def test_numbers_carry_units_and_nothing_is_a_dash() -> None:
    assert str(ms(12.345)) == '12.3&nbsp;<span class="unit">ms</span>'
    assert str(percent(0.9961, 2)).startswith("99.61")
    assert str(size(139_800)).startswith("140&nbsp;")
    assert grouped(1234567) == "1\u202f234\u202f567"
    assert [figure(None), figure(3.0), figure(0.12345)] == ["–", "3", "0.1235"]


def test_a_state_that_nobody_knows_never_looks_good() -> None:
    assert tone_of("brand_new_state") == "idle"
