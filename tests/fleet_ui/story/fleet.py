"""Two sites with their people, and devices in every kind of trouble."""

from __future__ import annotations

import uuid
from typing import Any

from server.accounts.models import RoleAssignment, User
from server.fleet.models import Camera, Device, Group, HardwareProfile, Line, Presence, Site
from tests.fleet_ui.story.base import World

PASSWORD = "correct horse battery staple"
KEY = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n"
)


def make_people(world: World) -> None:
    for name, role, site in (
        ("ada", "admin", ""),
        ("vera", "viewer", "dresden"),
        ("otto", "viewer", "ostrava"),
    ):
        user = User.objects.create_user(name, password=PASSWORD)
        RoleAssignment.objects.create(user=user, role=role, site=site)
        world.users[name] = user
    world.users["nobody"] = User.objects.create_user("nobody", password=PASSWORD)


def make_fleet(world: World) -> None:
    for name, title, line in (
        ("dresden", "Dresden", "smt-1"),
        ("ostrava", "Ostrava", "final-2"),
    ):
        site = Site.objects.create(name=name, title=title)
        world.lines[name] = Line.objects.create(site=site, name=line, title=f"Line {line}")
    for name, runtime in (("x86-onnxruntime", "onnxruntime"), ("x86-openvino", "openvino")):
        world.profiles[name] = HardwareProfile.objects.get_or_create(
            name=name,
            defaults={
                "title": f"x86-64 with {runtime}",
                "runtime": runtime,
                "architecture": "x86_64",
                "precisions": ["fp32", "int8"],
            },
        )[0]
    world.group = Group.objects.create(name="board-lines", title="Board inspection lines")
    for index in range(6):
        add_device(world, index, "dresden")
    add_device(world, 90, "ostrava")


def add_device(world: World, index: int, site: str, **changes: Any) -> Device:
    profile = list(world.profiles.values())[index % 2]
    device = Device.objects.create(
        serial=f"LW-{site[:3].upper()}-{index:04d}",
        state=changes.get("state", "pending" if index == 5 else "accepted"),
        public_key=KEY,
        line=world.lines[site],
        profile=profile,
        facts={"board": "Intel N100", "memory_bytes": 8 * 2**30, "cpu_count": 4},
        enrolled_at=world.ago(days=3),
    )
    if site == "dresden":
        world.group.memberships.create(device=device, joined_at=world.ago(days=3))
    Camera.objects.create(
        device=device, name="top", address="file:///var/boards", mm_per_px=0.2, frames_per_s=2
    )
    seen = {2: world.ago(minutes=2, seconds=30), 3: world.ago(hours=3)}.get(
        index, world.ago(seconds=9)
    )
    if index != 5:
        Presence.objects.create(
            device=device,
            last_seen_at=seen,
            boot_id=uuid.uuid4(),
            generation=4,
            agent_version="0.1.0",
        )
    world.devices.append(device)
    return device
