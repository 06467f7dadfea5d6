"""A small factory in rows, told as the sample story: one good release, one that is held."""

from __future__ import annotations

from tests.fleet_ui.story.base import World
from tests.fleet_ui.story.compared import make_comparison
from tests.fleet_ui.story.datasets import ask_for_reviews, make_datasets
from tests.fleet_ui.story.fleet import KEY, PASSWORD, add_device, make_fleet, make_people
from tests.fleet_ui.story.models import make_models
from tests.fleet_ui.story.releases import make_releases, refuse_golden_case, target_for
from tests.fleet_ui.story.rollout import make_past, make_rollout
from tests.fleet_ui.story.samples import make_samples
from tests.fleet_ui.story.telemetry import make_telemetry

__all__ = [
    "KEY",
    "PASSWORD",
    "World",
    "add_device",
    "make_world",
    "refuse_golden_case",
    "target_for",
]


def make_world() -> World:
    """Two sites, devices in every kind of trouble, builds, releases and rollouts."""
    world = World()
    make_people(world)
    make_fleet(world)
    make_models(world)
    make_releases(world)
    make_rollout(world)
    make_past(world)
    make_telemetry(world)
    make_samples(world)
    world.comparison = make_comparison(world)
    world.running_comparison = make_comparison(world, "running")
    make_datasets(world)
    ask_for_reviews(world)
    return world
