"""Hardware profiles: seeded, made by admins, and never changed under an artifact."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from inference_core.contract.build import ProfileSpec
from inference_core.contract.device import DeviceFacts
from inference_core.contract.words import RuntimeName
from server.accounts import audit
from server.fleet.models import Device, HardwareProfile, ProfileProposal
from server.fleet.profiles import match_profiles, misfit_of
from server.fleet.proposals import NewProfile, propose
from server.fleet.requirements import Requirements
from server.fleet.seeds import SEEDS, Seed
from server.lib import clock
from server.lib.errors import Conflict, Invalid, NotFound

MAX_PROPOSALS = 200


@transaction.atomic
def seed_profiles() -> None:
    """Bring the table of seeds into the database; may run at every start.

    A profile that somebody made under a seed's name stays theirs. What artifacts were built for
    keeps its recipe, whatever a newer table says.
    """
    rows = {row.name: row for row in HardwareProfile.objects.select_for_update()}
    for seed in SEEDS:
        row = rows.get(seed.spec.name)
        if row is None:
            fields = _fields(seed.spec, seed.title, seed.requires)
            HardwareProfile.objects.create(**fields, is_seeded=True)
        elif row.is_seeded:
            _renew(row, seed)


def _renew(row: HardwareProfile, seed: Seed) -> None:
    fields = _fields(seed.spec, seed.title, seed.requires)
    is_same_recipe = row.spec == seed.spec
    if not is_same_recipe and _is_built_for(row):
        fields = {name: fields[name] for name in ("title", "requires")}
    changed = {name: value for name, value in fields.items() if getattr(row, name) != value}
    if changed:
        HardwareProfile.objects.filter(pk=row.pk).update(**changed)


@transaction.atomic
def create_profile(*, profile: NewProfile, actor: str) -> HardwareProfile:
    """A profile of one's own; Conflict where the name is taken, Invalid for a runtime of tests."""
    _check(profile)
    fields = _fields(profile.spec, profile.title or profile.name, profile.requires)
    try:
        with transaction.atomic():
            row = HardwareProfile.objects.create(**fields)
    except IntegrityError:
        raise Conflict(f"There is a hardware profile {profile.name!r} already.") from None
    _record(actor, "create", row, after=_shown(row))
    return row


@transaction.atomic
def change_profile(*, profile: HardwareProfile, to: NewProfile, actor: str) -> HardwareProfile:
    """Replace a profile of one's own. Its recipe never changes under an artifact or a build."""
    row = HardwareProfile.objects.select_for_update().get(pk=profile.pk)
    _check_is_own(row)
    _check(to)
    if to.name != row.name:
        raise Invalid("The name of a profile never changes: artifacts are signed under it.")
    if to.spec != row.spec and _is_built_for(row):
        raise Conflict(
            f"Artifacts are, or are being, built for {row.name}: only its title and what it "
            "requires can change. Make another profile."
        )
    before = _shown(row)
    for name, value in _fields(to.spec, to.title or to.name, to.requires).items():
        setattr(row, name, value)
    row.save()
    _judge_devices(row)
    _record(actor, "change", row, before=before, after=_shown(row))
    return row


@transaction.atomic
def delete_profile(*, profile: HardwareProfile, actor: str) -> None:
    """Remove a profile of one's own that no device, build or release ever used."""
    _check_is_own(profile)
    if profile.devices.exists() or profile.builds.exists() or profile.release_targets.exists():
        raise Conflict(f"{profile.name} is in use: devices or builds belong to it.")
    _record(actor, "delete", profile, before=_shown(profile))
    profile.delete()


@transaction.atomic
def note_proposal(*, profile: NewProfile, serial: str, why: str) -> None:
    """Keep what a device would need, until an admin has looked at it; the same once."""
    known = ProfileProposal.objects.filter(name=profile.name).exists()
    if not known and ProfileProposal.objects.count() >= MAX_PROPOSALS:
        return
    ProfileProposal.objects.update_or_create(
        name=profile.name,
        defaults={
            "body": profile.model_dump(mode="json"),
            "serial": serial,
            "why": why,
            "asked_at": clock.now(),
        },
    )


@transaction.atomic
def accept_proposal(*, name: str, actor: str) -> HardwareProfile:
    """Make the profile that was proposed; the device finds it when it enrols again."""
    proposal = _proposal(name)
    row = create_profile(profile=NewProfile.model_validate(proposal.body), actor=actor)
    proposal.delete()
    return row


@transaction.atomic
def dismiss_proposal(*, name: str, actor: str) -> None:
    """Forget a proposal; it comes back when a device asks again."""
    proposal = _proposal(name)
    audit.record(
        actor=actor, action="dismiss", subject="profile_proposal", subject_id=proposal.name
    )
    proposal.delete()


@transaction.atomic
def update_facts(*, device: Device, facts: DeviceFacts) -> str:
    """Take what a device says of itself now; returns what its profile then lacks, empty for none.

    The profile stays: a person decides what a device is.
    """
    row = Device.objects.select_for_update().select_related("profile").get(pk=device.pk)
    before, row.misfit = row.misfit, misfit_of(row.profile, facts)
    row.facts = facts.model_dump(mode="json")
    row.save(update_fields=["facts", "misfit"])
    if row.misfit != before:
        _propose_where_nothing_fits(row, facts)
        audit.record(
            actor=f"device:{row.serial}",
            action="update_facts",
            subject="device",
            subject_id=str(row.pk),
            before={"misfit": before},
            after={"misfit": row.misfit, "profile": row.profile.name},
        )
    return row.misfit


def _propose_where_nothing_fits(device: Device, facts: DeviceFacts) -> None:
    match = match_profiles(facts)
    proposal = None if match.fitting or not device.misfit else propose(facts)
    if proposal is not None:
        note_proposal(profile=proposal, serial=device.serial, why=match.nearest)


@transaction.atomic
def assign_profile(*, device: Device, profile: HardwareProfile, actor: str) -> None:
    """Say what a device is from now on; Invalid where its facts deny it.

    The box learns it when it enrols again with the key that it has, and takes no release of
    another profile until then.
    """
    misfit = misfit_of(profile, DeviceFacts.model_validate(device.facts))
    if misfit:
        raise Invalid(f"{device.serial} does not fit {profile.name}: it {misfit}.")
    before = device.profile.name
    device.profile, device.misfit = profile, ""
    device.save(update_fields=["profile", "misfit"])
    audit.record(
        actor=actor,
        action="assign_profile",
        subject="device",
        subject_id=str(device.pk),
        before={"profile": before},
        after={"profile": profile.name},
    )


def _judge_devices(profile: HardwareProfile) -> None:
    devices = list(profile.devices.only("facts", "misfit"))
    for device in devices:
        device.misfit = misfit_of(profile, DeviceFacts.model_validate(device.facts))
    Device.objects.bulk_update(devices, ["misfit"], batch_size=500)


def _fields(spec: ProfileSpec, title: str, requires: Requirements) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": title,
        "runtime": str(spec.runtime),
        "architecture": spec.architecture,
        "precisions": [str(precision) for precision in spec.precisions],
        "threads": spec.threads,
        "accelerator": spec.accelerator or "",
        "tensorrt": spec.tensorrt and spec.tensorrt.model_dump(mode="json"),
        "compute_device": str(spec.compute_device),
        "runtime_version": spec.runtime_version or "",
        "requires": requires.model_dump(mode="json", exclude_defaults=True),
    }


def _check(profile: NewProfile) -> None:
    if profile.runtime is RuntimeName.FAKE:
        raise Invalid("The runtime 'fake' is for tests; nothing is built for it.")
    if (profile.runtime is RuntimeName.TENSORRT) != (profile.tensorrt is not None):
        raise Invalid("A profile for TensorRT says what its engines are for, in `tensorrt`.")
    if len(set(profile.precisions)) != len(profile.precisions):
        raise Invalid("Each precision is tried once; name it once.")


def _check_is_own(profile: HardwareProfile) -> None:
    if profile.is_seeded:
        raise Conflict(f"{profile.name} came with the server; make a profile of your own.")


def _is_built_for(profile: HardwareProfile) -> bool:
    waiting = profile.builds.filter(finished_at=None)
    return profile.artifacts.exists() or waiting.exists()


def _proposal(name: str) -> ProfileProposal:
    row = ProfileProposal.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise NotFound(f"No profile {name!r} is proposed; somebody may have decided already.")
    return row


def _shown(row: HardwareProfile) -> dict[str, Any]:
    return {
        **row.spec.model_dump(mode="json", exclude_none=True),
        "title": row.title,
        "requires": row.requires,
    }


def _record(
    actor: str,
    action: str,
    row: HardwareProfile,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject="hardware_profile",
        subject_id=row.name,
        before=before,
        after=after,
    )
