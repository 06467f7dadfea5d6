"""``make bench``: every figure in one run, as a table, and as ``benchmarks/report.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from inference_core.optimize.certify import describe_machine, describe_toolchain
from tests.benchmarks import peers, r1_to_r6, r9_cascade, r10_choice, r11_agent
from tests.benchmarks.measure import Figure

REPORT = Path("benchmarks") / "report.json"
PACKAGES = ("numpy", "onnxruntime", "openvino", "opencv-python-headless", "scipy")

MEASURES: tuple[tuple[str, Callable[[], Figure]], ...] = (
    *(
        (measure.__name__.removeprefix("measure_").upper(), measure)
        for measure in r1_to_r6.MEASURES
    ),
    ("R7", peers.measure_r7),
    ("R9", r9_cascade.measure_r9),
    ("R10", r10_choice.measure_r10),
    ("R11", r11_agent.measure_r11),
    ("R12", r11_agent.measure_r12),
)


def main(wanted: list[str]) -> int:
    """Measures all figures, or those named, such as R3. Exit code 0 whatever they say.

    A figure that misses its goal is told, not failed: machines differ, and a busy one lies.
    """
    figures = []
    for name, measure in sorted(MEASURES, key=lambda entry: int(entry[0][1:])):
        if wanted and name not in wanted:
            continue
        sys.stderr.write(f"{name} …\n")
        figure = measure()
        figures.append(figure)
        print(_row(figure), flush=True)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(_report(figures), indent=1) + "\n")
    print(f"written to {REPORT}")
    return 0


def _row(figure: Figure) -> str:
    sign = "≤" if figure.direction == "at most" else "≥"
    low, high = min(figure.ratios), max(figure.ratios)
    said = "met" if figure.is_met else "MISSED"
    return (
        f"{figure.name:<4} {figure.median:6.3f}  {sign} {figure.goal:<5} {said:<7}"
        f"[{low:.3f} … {high:.3f}, {len(figure.ratios)} pairs]  {figure.note}"
    )


def _report(figures: list[Figure]) -> dict[str, object]:
    return {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "toolchain": describe_toolchain(PACKAGES),
        "figures": [
            {
                "name": figure.name,
                "goal": figure.goal,
                "direction": figure.direction,
                "median": round(figure.median, 4),
                "is_met": figure.is_met,
                "ratios": [round(ratio, 4) for ratio in figure.ratios],
                "note": figure.note,
            }
            for figure in figures
        ],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
