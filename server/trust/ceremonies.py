"""Ceremonies: what offline keys must sign is asked for, taken in, and published in one transaction.

A request is made of wishes and of what ends soon; asking again gives the same request while nothing
has changed, so that signatures are not lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from inference_core.contract.release import ANY_PROFILE
from server.accounts import audit
from server.lib import clock
from server.lib.errors import Conflict, Invalid, NotFound
from server.trust import cosigning, judging, keys, repository, storing, wishes
from server.trust.judging import Count, Documents
from server.trust.models import MetadataFile, SigningRequest
from server.trust.repository import COSIGNED
from server.trust.request_file import RequestFile
from server.trust.selectors import newest

OFFLINE = "offline"
_OLD = "The file answers an older request: export the request anew."


@dataclass(frozen=True)
class Outcome:
    """What became of a request: ``counts`` are of what is still missing, empty once published."""

    request: SigningRequest | None
    counts: Sequence[Count] = ()

    @property
    def is_published(self) -> bool:
        """Whether devices are served it."""
        return not self.counts


def ask_offline(*, actor: str) -> Outcome:
    """Ask for what offline keys must sign; published at once where all of them lie here.

    NotFound where nothing is wished for and nothing ends soon.
    """
    try:
        with transaction.atomic():
            if newest("root") is not None:
                storing.lock()
            documents = _compose()
            counts = _missing(documents)
            if not counts:
                _publish(documents, actor)
                return Outcome(None)
            request = _open_as(documents) or cosigning.replace_request(OFFLINE, documents, actor)
            return Outcome(request, _missing(judging.parse(request.documents)))
    except IntegrityError:
        raise Conflict("Somebody else asked at the same moment; ask again.") from None


def take_in(*, file: RequestFile, actor: str) -> Outcome:
    """Take in a signed request: publish it where enough have signed, else keep what came.

    Verified by TUF's own rules against what is served now, whatever the file says. Conflict where
    it answers an older request, Invalid where it is not what its signers may sign.
    """
    documents = file.documents
    judging.check_form(documents)
    try:
        with transaction.atomic():
            if newest("root") is not None:
                storing.lock()
            return _take_in(documents, actor)
    except IntegrityError:
        raise Conflict("Somebody else published at the same moment; import again.") from None


def _take_in(documents: Documents, actor: str) -> Outcome:
    request = _answered(documents)
    if request is not None:
        _merge(documents, judging.parse(request.documents))
    elif newest("root") is None:
        raise Conflict(_OLD)
    counts = _missing(documents)
    if not counts:
        _publish(documents, actor)
        return Outcome(request)
    if request is None:
        raise Conflict(_OLD)
    request.documents = judging.to_json(documents)
    request.save(update_fields=["documents"])
    return Outcome(request, counts)


def export(request: SigningRequest) -> RequestFile:
    """The request as it travels."""
    roots = MetadataFile.objects.filter(role="root").order_by("version")
    served = _served(judging.parse(request.documents))
    return RequestFile(
        request=request.pk,
        roots=[Metadata.from_bytes(bytes(row.body)).to_dict() for row in roots],
        current=judging.to_json({r: m for r, m in served.items() if r != "root"}),
        proposed=request.documents,
    )


def request_about(subject: str) -> SigningRequest:
    """The open request; NotFound where nothing waits."""
    row = SigningRequest.objects.filter(subject=subject, closed_at=None).first()
    if row is None:
        raise NotFound(f"Nothing of {subject} waits for signatures.")
    return row


def missing_signatures(request: SigningRequest) -> list[Count]:
    """What an open request still lacks."""
    return _missing(judging.parse(request.documents))


def wish_top_level(*, keyholders: dict[str, tuple[Sequence[Key], int]], actor: str) -> None:
    """New keys of ``root`` and ``targets``, each with how many of them must sign."""
    for role, (found, threshold) in keyholders.items():
        wishes.wish(role=role, profile="", keys=found, threshold=threshold, actor=actor)


def wish_online(*, roles: Sequence[str], actor: str) -> None:
    """New keys, made on this machine, for ``snapshot`` or ``timestamp``."""
    for role in roles:
        key = _wished_here(role) or keys.make_next_key(role)
        wishes.wish(role=role, profile="", keys=[key], threshold=1, actor=actor)


def wish_builder(*, profile: str, actor: str, is_added: bool = False) -> Key:
    """A new key, made on this machine, for ``profile``; beside the old one where ``is_added``."""
    role = storing.role_of(profile)
    key = _wished_here(role) or keys.make_next_key(role)
    old = storing.standing(role) if is_added else None
    wished = [*(old.keys if old else ()), key]
    wishes.wish(role=role, profile=profile, keys=wished, threshold=1, actor=actor)
    return key


def wish_persons(*, profile: str, persons: Sequence[Key], actor: str) -> None:
    """Let one of ``persons`` sign releases of ``profile`` beside its builder; none: no longer."""
    if profile == ANY_PROFILE:
        raise Invalid("Agents are signed by their role alone.")
    role, threshold = repository.cosigned_role(profile), 2 if persons else 0
    builder = storing.standing(storing.role_of(profile))
    if builder is None:
        raise NotFound(f"Nobody signs for {profile} yet, so that nobody can sign as well.")
    if {key.keyid for key in persons} & set(builder.keyids):
        raise Invalid("The builder's own key is no second signature.")
    wishes.wish(role=role, profile=profile, keys=persons, threshold=threshold, actor=actor)


def _wished_here(role: str) -> Key | None:
    """The key that is wished for already, where it was made on this machine."""
    row = wishes.open_wishes().filter(role=role).first()
    found = storing.standing(role) if newest("root") else None
    new = [k for k in (row.keys if row else ()) if not found or k not in found.keyids]
    return next((signer.public_key for signer in keys.signers_among(role, new)), None)


def _compose() -> Documents:
    """Everything wished for and everything that ends soon, signed with what lies here."""
    documents: Documents = {}
    for role, signed in _changed().items():
        signed.version = storing.next_version(role)
        signed.expires = repository.expiry(role, clock.now())
        documents[role] = Metadata(signed)
    if not documents:
        raise NotFound("Nothing waits for signatures, and nothing ends soon.")
    judging.check_form(documents)
    _sign_with_what_is_here(documents)
    return documents


def _changed() -> dict[str, Root | Targets]:
    """Root and targets as wished for, where that is not what is served."""
    before, (root, targets) = _now_or_none(), _now_or_first()
    wishes.apply(root, targets)
    found: dict[str, Root | Targets] = {"root": root, "targets": targets}
    if before is None:
        return found
    old_root, old_targets = before
    is_rekeyed = root.roles["targets"] != old_root.roles["targets"]
    if not (_differs(root, old_root) or _ends_soon(root)):
        del found["root"]
    if not (is_rekeyed or _differs(targets, old_targets) or _ends_soon(targets)):
        del found["targets"]
    return found


def _now_or_none() -> tuple[Root, Targets] | None:
    if newest("root") is None:
        return None
    root, targets = storing.read("root"), storing.read("targets")
    if not isinstance(root, Root) or not isinstance(targets, Targets):
        raise TypeError("root and targets have changed places")
    return root, targets


def _now_or_first() -> tuple[Root, Targets]:
    ends = clock.now()
    return _now_or_none() or (
        repository.make_root({}, repository.expiry("root", ends)),
        repository.make_targets(repository.expiry("targets", ends)),
    )


def _sign_with_what_is_here(documents: Documents) -> None:
    """An installation whose offline keys still lie on this machine signs itself."""
    for count in judging.count_signatures(documents, _served(documents)):
        for signer in keys.signers_among(count.role, list(count.unsigned)):
            documents[count.role].sign(signer, append=True)


def _publish(documents: Documents, actor: str) -> None:
    """Store what is signed and everything that follows from it."""
    served = _served(documents)
    judging.check_versions(documents, served)
    counts = judging.count_signatures(documents, served)
    for role, metadata in documents.items():
        body = judging.to_bytes(metadata, counts, role)
        storing.store_body(role, metadata.signed.version, body, metadata.signed)
        if role.startswith(COSIGNED):
            cosigning.take_over(role, metadata.signed)
    root, targets = _now_or_first()
    wishes.mark_done(root, targets)
    _follow_builders(targets)
    _follow_persons(served, targets)
    storing.store_snapshot()
    _close(documents)
    audit.record(
        actor=actor,
        action="publish_metadata",
        subject="metadata",
        subject_id=", ".join(documents),
        after={role: metadata.signed.version for role, metadata in documents.items()},
    )


def _follow_builders(targets: Targets) -> None:
    """Profiles whose keys have changed are signed anew at once, where their keys lie here."""
    table = targets.delegations.roles or {} if targets.delegations else {}
    for role in [name for name in table if not name.startswith(COSIGNED)]:
        profile = storing.profile_of(role)
        cosigning.follow_keys(profile)
        if not storing.is_current(role) and storing.can_sign(role):
            storing.store_profile(profile)


def _follow_persons(served: Documents, targets: Targets) -> None:
    """Where no person signs any more, the builder's role vouches for releases again."""
    before, after = (_cosigned(each) for each in (_targets_of(served), targets))
    for role in before - after:
        profile = role.removeprefix(COSIGNED)
        rows = cosigning.releases_of(profile)
        is_here = storing.can_sign(storing.role_of(profile))
        # Elsewhere, its builder finds what waits and signs it.
        rows.update(waits_since=None if is_here else clock.now())
        if is_here:
            storing.store_profile(profile)


def _targets_of(served: Documents) -> Targets | None:
    metadata = served.get("targets")
    return metadata.signed if metadata else None


def _cosigned(targets: Targets | None) -> set[str]:
    table = targets.delegations.roles if targets and targets.delegations else None
    return {role for role in table or {} if role.startswith(COSIGNED)}


def _served(documents: Documents) -> Documents:
    """What devices are served now of root, targets and the roles of ``documents``."""
    rows = {role: newest(role) for role in ("root", "targets", *documents)}
    return {role: Metadata.from_bytes(bytes(row.body)) for role, row in rows.items() if row}


def _missing(documents: Documents) -> list[Count]:
    served = _served(documents)
    judging.check_versions(documents, served)
    return [c for c in judging.count_signatures(documents, served) if not c.is_met]


def _open_as(documents: Documents) -> SigningRequest | None:
    """The open request that asks for the same, and is not about to end."""
    row = SigningRequest.objects.filter(subject=OFFLINE, closed_at=None).first()
    if row is None:
        return None
    known = judging.parse(row.documents)
    same = set(known) == set(documents) and all(
        known[role].signed.version == documents[role].signed.version
        and not _differs(known[role].signed, documents[role].signed)
        and not _ends_soon(known[role].signed)
        for role in known
    )
    return row if same else None


def _answered(documents: Documents) -> SigningRequest | None:
    """The open request whose very bytes were signed."""
    for row in SigningRequest.objects.filter(closed_at=None):
        known = judging.parse(row.documents)
        if set(known) == set(documents) and all(
            known[role].signed_bytes == documents[role].signed_bytes for role in known
        ):
            return row
    return None


def _merge(documents: Documents, known: Documents) -> None:
    for role, metadata in documents.items():
        metadata.signatures = {**known[role].signatures, **metadata.signatures}


def _close(documents: Documents) -> None:
    subjects = {role if role.startswith(COSIGNED) else OFFLINE for role in documents}
    SigningRequest.objects.filter(subject__in=subjects, closed_at=None).update(
        closed_at=clock.now(), outcome="published"
    )


def _differs(one: Root | Targets, other: Root | Targets) -> bool:
    """In anything but version and end."""
    bodies = [{**each.to_dict(), "version": 0, "expires": ""} for each in (one, other)]
    return bodies[0] != bodies[1]


def _ends_soon(signed: Root | Targets) -> bool:
    return signed.expires - clock.now() < repository.lifetime(signed.type) / 3
