"""Celery's doors: sweeps on the default queue, the rest on the queue of a profile."""

from __future__ import annotations

from celery import shared_task

from server.accounts.actors import SYSTEM
from server.builds import presence, services, worker
from server.builds.checks.leases import expire_checks
from server.builds.checks.worker import run_check
from server.builds.worker import what_waits
from server.fleet.models import HardwareProfile
from server.trust.services import renew_profile as renew

__all__ = ["presence"]  # Celery finds it here, and it finds Celery's signals


@shared_task
def queue_builds() -> None:
    """A build for every version and profile in use; messages that were lost are sent again."""
    services.queue_missing_builds(actor=SYSTEM)
    services.resend_builds()


@shared_task
def expire_leases() -> None:
    """Builds of workers that were not heard of are tried again."""
    services.expire_leases()


@shared_task
def sign_releases() -> None:
    """Builders are asked to judge and sign what is ready; lost checks are tried again."""
    expire_checks()
    services.sign_waiting_releases()


@shared_task
def run_build(build_id: int) -> None:
    """Sent to the queue of the build's profile."""
    worker.run_build(build_id)


@shared_task
def check_pipeline(check_id: int) -> None:
    """Sent to the queue of the check's profile: its runtime judges, and its key signs."""
    run_check(check_id)


@shared_task
def sign_artifact(artifact_id: int) -> None:
    """Sent to the queue of the artifact's profile, where its key lies."""
    with what_waits():
        services.sign_artifact(artifact_id=artifact_id)


@shared_task
def sign_release(release_id: int, profile_id: int) -> None:
    """Sent to the queue of the profile, where its key lies."""
    with what_waits():
        services.sign_release(release_id=release_id, profile_id=profile_id)


@shared_task
def renew_profiles() -> None:
    """Builders are asked to sign anew what ends soon, or was signed with a key that is gone."""
    services.ask_builders_to_renew()


@shared_task
def renew_profile(profile_id: int) -> None:
    """Sent to the queue of the profile, where its key lies."""
    renew(HardwareProfile.objects.get(pk=profile_id).name)
