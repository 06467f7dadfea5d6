"""The only writers of builds, artifacts and signed releases."""

from server.builds.services.approvals import approve_artifact, reject_artifact
from server.builds.services.artifacts import sign_artifact
from server.builds.services.builders import announce_builder, forget_builder
from server.builds.services.cancelling import MAX_CANCEL_REASON, cancel_build
from server.builds.services.device_outcomes import finish_build_turn
from server.builds.services.keys import settle_key
from server.builds.services.leases import expire_leases, extend_lease, lease_build
from server.builds.services.offers import offer_builds, offer_checks
from server.builds.services.outcomes import give_up, record_outcome
from server.builds.services.queueing import (
    Requested,
    queue_build,
    queue_missing_builds,
    request_build,
    resend_builds,
)
from server.builds.services.releases import (
    ask_builders_to_renew,
    sign_release,
    sign_waiting_releases,
)
from server.builds.services.turns import continue_turn, decline_turn, return_turn, take_turn
from server.builds.services.uploads import add_piece

__all__ = [
    "MAX_CANCEL_REASON",
    "Requested",
    "add_piece",
    "announce_builder",
    "approve_artifact",
    "ask_builders_to_renew",
    "cancel_build",
    "continue_turn",
    "decline_turn",
    "expire_leases",
    "extend_lease",
    "finish_build_turn",
    "forget_builder",
    "give_up",
    "lease_build",
    "offer_builds",
    "offer_checks",
    "queue_build",
    "queue_missing_builds",
    "record_outcome",
    "reject_artifact",
    "request_build",
    "resend_builds",
    "return_turn",
    "settle_key",
    "sign_artifact",
    "sign_release",
    "sign_waiting_releases",
    "take_turn",
]
