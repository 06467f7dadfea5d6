import pytest
from django.urls import reverse
from playwright.sync_api import Page
from axe_playwright_python.sync_playwright import Axe
from tests.fleet_ui.world import World
from tests.fleet_ui.test_golden_cases import judged_by_device
from server.builds.models import BuildTurn, PipelineCheck
from server.fleet.models import BuiltOn, HardwareProfile

pytestmark = pytest.mark.chromium


def look(page, name, path):
    page.goto(path)
    result = Axe().run(page)
    print(name, result.generate_report() if result.violations_count else "no violations")
    root = "document.documentElement"
    print("overflow", page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))
    page.screenshot(path=f"/tmp/judging_pics/{name}.png", full_page=True)


def test_shot(page: Page, world: World, problems) -> None:
    check = judged_by_device(world, "succeeded")
    path = reverse("release", args=[check.release.name])
    look(page, "approve", path)
    page.set_viewport_size({"width": 390, "height": 844})
    look(page, "approve-phone", path)
    page.set_viewport_size({"width": 1360, "height": 900})
    check.state = "refused"
    check.needs_approval = False
    check.save()
    look(page, "refused", path)
    check.state = "queued"
    check.device = None
    check.passes = 8
    check.asked = {"builder-1": "this machine has no TensorRT 10.3"}
    check.reason = ""
    check.save()
    look(page, "waits", path)
    from server.builds.checks.queueing import add_check

    check.state = "failed"
    check.save()
    c2, _ = add_check(release=check.release, profile=check.profile, after=check)
    c2.state = "leased"
    c2.share = 0.4
    c2.save()
    BuildTurn.objects.create(
        pipeline_check=c2, device=world.devices[0], state="leased", offered_at=world.now
    )
    look(page, "judging", path)
    assert problems == []
