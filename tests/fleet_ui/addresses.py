"""Every address of the dashboard that can be looked at."""

from __future__ import annotations

from django.urls import reverse

from server.datasets.models import DatasetItem
from tests.fleet_ui.world import World


def all_pages(world: World) -> dict[str, str]:
    """Address by name of the page."""
    return {
        "overview": reverse("overview"),
        "devices": reverse("devices"),
        "device": reverse("device", args=[world.devices[0].pk]),
        "profiles": reverse("profiles"),
        "all profiles": reverse("profiles") + "?all=1",
        "profile": reverse("profile", args=["x86-openvino"]),
        "models": reverse("models"),
        "model": reverse("model", args=["board-defects"]),
        "model of an older version": reverse("model", args=["board-defects"]) + "?version=1.0.0",
        "upload": reverse("upload-version", args=["board-defects"]),
        "datasets": reverse("datasets"),
        "dataset": reverse("dataset", args=["boards-evening", "1"]),
        "dataset in use": reverse("dataset", args=["boards-golden", "1"]),
        "upload of a dataset": reverse("upload-dataset"),
        "comparisons": reverse("comparisons"),
        "comparison": reverse("comparison", args=[world.comparison.pk]) + "?show=only-a-wrong",
        "running comparison": reverse("comparison", args=[world.running_comparison.pk]),
        "builds": reverse("builds"),
        "build": reverse("build", args=[world.builds["1.0.0 x86-openvino"].pk]),
        "running build": reverse("build", args=[world.builds["1.1.0 x86-openvino"].pk]),
        "releases": reverse("releases"),
        "release": reverse("release", args=["board-inspection-1"]),
        "new release": reverse("new-release") + f"?version={world.versions['1.1.0'].pk}",
        "rollouts": reverse("rollouts"),
        "new rollout": reverse("new-rollout") + f"?version={world.versions['1.1.0'].pk}",
        "label reviews": reverse("label-reviews"),
        "trust": reverse("trust"),
        "rollout": reverse("rollout", args=[world.rollout.pk]),
    }


def pictures(world: World) -> dict[str, str]:
    """Addresses of what is not a page."""
    item = DatasetItem.objects.filter(dataset__name="boards-evening").first()
    compared = world.comparison.pictures.first()
    return {
        "picture of a dataset": reverse("dataset-picture", args=["boards-evening", "1", item.pk]),
        "sample image": reverse("sample-image", args=[world.sample.pk]),
        "compared picture": reverse("compared-picture", args=[world.comparison.pk, compared.pk]),
    }
