"""TensorRT for RTX takes a timing cache and times nothing, so the cache's own path is what is
tried here: that a build leaves a file, and that the next one is given it. Minutes saved show on
hardware only."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.tensorrt.build import build_engine
from inference_core.tensorrt.target import choose_target
from inference_core.tensorrt.timing import TimingCache, cache_path
from tests.core.tensorrt.engines import make_source

pytestmark = pytest.mark.filterwarnings("ignore:.*Timing cache operations:DeprecationWarning")


def test_a_build_leaves_its_measurements_to_the_next(tmp_path: Path) -> None:
    source, path = make_source(tmp_path), tmp_path / "cache" / "a.timing"
    target = choose_target(source.tensorrt)

    build_engine(target, source.folded, lambda _: None, TimingCache(path))
    first = path.read_bytes()
    build_engine(target, source.folded, lambda _: None, TimingCache(path))

    builder = target.library.api.Builder(target.library.log)
    assert first
    assert TimingCache(path).attach(builder.create_builder_config())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_cache_that_is_absent_or_broken_is_begun_anew(
    content: bytes | None, tmp_path: Path
) -> None:
    source, path = make_source(tmp_path), tmp_path / "a.timing"
    if content is not None:
        path.write_bytes(content)

    assert build_engine(
        choose_target(source.tensorrt), source.folded, lambda _: None, TimingCache(path)
    ).plan
    assert path.read_bytes() not in {None, b"", b"garbage"}


def test_a_folder_that_cannot_be_written_costs_no_build(tmp_path: Path) -> None:
    source, blocked = make_source(tmp_path), tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")

    built = build_engine(
        choose_target(source.tensorrt),
        source.folded,
        lambda _: None,
        TimingCache(blocked / "a.timing"),
    )

    assert built.plan


def test_each_version_and_device_has_a_cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/builder")

    assert str(cache_path("10.3.0.26", "NVIDIA GeForce RTX 3060/x")) == (
        "/var/cache/builder/linewarden/tensorrt/10.3.0.26-nvidia-geforce-rtx-3060-x.timing"
    )
    assert cache_path("10.3.0.26", "Orin") != cache_path("10.3.0.30", "Orin")
