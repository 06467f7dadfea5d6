"""The share of a mean over a handful of images says little, and the certificate must say so."""

from __future__ import annotations

from pathlib import Path

from inference_core.contract.build import ParityLimits
from inference_core.optimize.coverage import count_class_images, refuse_small, warn_small
from inference_core.optimize.judges import Reading
from tests.core.build_jobs import build, make_job
from tests.core.onnx_models import brightness_manifest, brightness_model
from tests.core.test_optimize import make_figures


def readings(*truths: str) -> list[Reading]:
    """One for each word, whose letters are its classes."""
    return [Reading(answer="", score=1.0, truths=frozenset(word)) for word in truths]


def test_images_are_counted_by_the_classes_that_their_labels_name() -> None:
    assert count_class_images(readings("ab", "b", "")) == {"a": 1, "b": 2}


def test_a_set_too_small_to_mean_anything_is_refused() -> None:
    limits = ParityLimits(min_images=3)

    assert "the golden set has 2 images" in (refuse_small(readings("a", "a"), limits) or "")
    assert refuse_small(readings("a", "a", "a"), limits) is None


def test_a_class_that_too_few_images_show_is_refused_by_name() -> None:
    limits = ParityLimits(min_images=1, min_class_images=2)

    reason = refuse_small(readings("ab", "a", "a"), limits)

    assert reason is not None
    assert "too few golden images show b (1); at least 2 are asked" in reason


def test_what_few_images_do_not_show_is_on_the_certificate() -> None:
    figures = make_figures(images=6, class_images={"dark": 6})

    warnings = warn_small(figures, brightness_manifest(), ParityLimits(few_class_images=7))

    assert warnings == (
        "6 golden images say little of a mean; 20 or more do",
        "fewer than 7 golden images show dark (6): their own figures say little",
        "no golden image shows bright: nothing is known of them",
    )
    enough = make_figures(images=40, class_images={"dark": 20, "bright": 20})
    assert warn_small(enough, brightness_manifest(), ParityLimits()) == ()


def test_a_build_refuses_a_set_below_the_floor_and_warns_above_it(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    strict = make_job(tmp_path / "one", brightness_model(), limits={"min_images": 7})
    job = make_job(tmp_path / "two", brightness_model())

    refused, built = build(tmp_path, strict).outcome, build(tmp_path, job).outcome

    assert (refused.outcome, refused.candidates) == ("refused", ())
    assert "the golden set has 6 images" in refused.reason
    assert built.certificate is not None
    assert built.certificate.parity.class_images == {"bright": 6, "dark": 6}
    assert built.certificate.warnings == ("6 golden images say little of a mean; 20 or more do",)
