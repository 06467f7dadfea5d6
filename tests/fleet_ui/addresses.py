"""Every address of the dashboard that can be looked at."""

from __future__ import annotations

from django.urls import reverse

from tests.fleet_ui.world import World


def all_pages(world: World) -> dict[str, str]:
    """Address by name of the page."""
    return {
        "overview": reverse("overview"),
        "devices": reverse("devices"),
        "device": reverse("device", args=[world.devices[0].pk]),
        "profiles": reverse("profiles"),
        "all profiles": reverse("profiles") + "?all=1",
        "models": reverse("models"),
        "model": reverse("model", args=["board-defects"]),
        "model of an older version": reverse("model", args=["board-defects"]) + "?version=1.0.0",
        "upload": reverse("upload-version", args=["board-defects"]),
        "comparisons": reverse("comparisons"),
        "comparison": reverse("comparison", args=[world.comparison.pk]) + "?show=only-a-wrong",
        "running comparison": reverse("comparison", args=[world.running_comparison.pk]),
        "builds": reverse("builds"),
        "build": reverse("build", args=[world.builds["1.0.0 x86-openvino"].pk]),
        "running build": reverse("build", args=[world.builds["1.1.0 x86-openvino"].pk]),
        "releases": reverse("releases"),
        "release": reverse("release", args=["board-inspection-1"]),
        "rollouts": reverse("rollouts"),
        "trust": reverse("trust"),
        "rollout": reverse("rollout", args=[world.rollout.pk]),
    }


def pictures(world: World) -> dict[str, str]:
    """Addresses of what is not a page."""
    compared = world.comparison.pictures.first()
    return {
        "sample image": reverse("sample-image", args=[world.sample.pk]),
        "compared picture": reverse("compared-picture", args=[world.comparison.pk, compared.pk]),
    }
