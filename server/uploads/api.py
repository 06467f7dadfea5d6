"""REST API of uploads: the tus protocol, and what became of each upload as JSON."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.accounts.actors import actor_of
from server.accounts.models import Role, User
from server.accounts.permissions import at_least
from server.lib.errors import Forbidden, UnsupportedType
from server.uploads import selectors, services, tus
from server.uploads.checksums import Checksum
from server.uploads.kinds import KINDS
from server.uploads.models import Upload
from server.uploads.serializers import NewUpload, UploadSerializer

_VERSION = OpenApiParameter(
    "Tus-Resumable", OpenApiTypes.STR, "header", required=True, enum=[tus.VERSION]
)
_OFFSET = OpenApiParameter("Upload-Offset", OpenApiTypes.INT64, "header", required=True)
_LENGTH = OpenApiParameter("Upload-Length", OpenApiTypes.INT64, "header", required=True)
_METADATA = OpenApiParameter(
    "Upload-Metadata", OpenApiTypes.STR, "header", description="Fields; or send them as JSON."
)
_CHECKSUM = OpenApiParameter(
    "Upload-Checksum", OpenApiTypes.STR, "header", description="sha1 or sha256, and base64."
)


class TusView(APIView):
    """Speaks the protocol's version in every answer. For those who release, as all uploads."""

    permission_classes = [at_least(Role.RELEASER)]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A POST may stand for a method that some proxy does not let through."""
        meant = request.headers.get("X-HTTP-Method-Override", "").upper()
        if request.method == "POST" and meant in tus.OVERRIDABLE:
            request.method = meant
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """The headers that every answer has."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        final["Tus-Resumable"] = tus.VERSION
        final["Cache-Control"] = "no-store"
        if final.status_code == tus.WrongVersion.status:
            final["Tus-Version"] = tus.VERSION
        return final

    @extend_schema(exclude=True)
    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:  # noqa: ARG002
        """What the server can."""
        largest = max(kind.max_bytes() for kind in KINDS.values())
        return Response(status=status.HTTP_204_NO_CONTENT, headers=tus.capabilities(largest))


@extend_schema(tags=["uploads"])
class UploadList(TusView, ListAPIView[Upload]):
    """Your uploads; begin one."""

    serializer_class = UploadSerializer
    filterset_fields = ["state", "kind", "fingerprint"]

    def get_queryset(self) -> QuerySet[Upload]:
        """The caller's own, and nobody else's."""
        if getattr(self, "swagger_fake_view", False):
            return Upload.objects.none()
        return selectors.uploads_of(_user(self.request))

    @extend_schema(
        parameters=[_VERSION, _LENGTH, _METADATA],
        request=NewUpload,
        responses={201: UploadSerializer},
    )
    def post(self, request: Request) -> Response:
        """Begin an upload; the answer's Location takes its bytes."""
        tus.require_version(request.headers)
        length = tus.read_number(request.headers, "Upload-Length")
        given = tus.read_metadata(request.headers.get("Upload-Metadata", ""))
        if request.content_type == "application/json" and isinstance(request.data, dict):
            given |= request.data  # a manifest may be longer than a header may be
        common = NewUpload(data=given)
        common.is_valid(raise_exception=True)
        form = KINDS[common.validated_data["kind"]].form(data=given)
        form.is_valid(raise_exception=True)
        upload = services.open_upload(
            owner=_user(request),
            form=form.validated_data,
            length=length,
            actor=actor_of(request),
            **common.validated_data,
        )
        headers = {"Location": f"{request.path.rstrip('/')}/{upload.pk}", **_standing(upload)}
        return Response(UploadSerializer(upload).data, status.HTTP_201_CREATED, headers=headers)


@extend_schema(tags=["uploads"])
class UploadDetail(TusView):
    """One upload of yours. Bytes are read as they come and never parsed here."""

    parser_classes = ()

    @extend_schema(responses={200: UploadSerializer})
    def get(self, request: Request, upload_id: UUID) -> Response:
        """How far it is, and what became of it."""
        return Response(UploadSerializer(_upload(request, upload_id)).data)

    @extend_schema(exclude=True)
    def head(self, request: Request, upload_id: UUID) -> Response:
        """Where it goes on."""
        tus.require_version(request.headers)
        upload = _upload(request, upload_id)
        return Response(headers={"Upload-Length": str(upload.length), **_standing(upload)})

    @extend_schema(
        parameters=[_VERSION, _OFFSET, _CHECKSUM],
        request={tus.CONTENT_TYPE: OpenApiTypes.BINARY},
        responses={204: None},
    )
    def patch(self, request: Request, upload_id: UUID) -> Response:
        """Send the next bytes; the answer's Upload-Offset says what is stored for good."""
        tus.require_version(request.headers)
        if request.content_type != tus.CONTENT_TYPE:
            raise UnsupportedType(f"Bytes of an upload are sent as {tus.CONTENT_TYPE}.")
        upload = _upload(request, upload_id)
        announced = request.META.get("CONTENT_LENGTH") or ""
        checksum = request.headers.get("Upload-Checksum")
        services.append_bytes(
            upload=upload,
            offset=tus.read_number(request.headers, "Upload-Offset"),
            body=request._request,  # noqa: SLF001 - DRF's own stream would be read into memory
            announced=int(announced) if announced.isdecimal() else None,
            checksum=Checksum(checksum) if checksum else None,
        )
        return Response(status=status.HTTP_204_NO_CONTENT, headers=_standing(upload))

    @extend_schema(parameters=[_VERSION], responses={204: None})
    def delete(self, request: Request, upload_id: UUID) -> Response:
        """Withdraw an upload that is not whole."""
        tus.require_version(request.headers)
        services.withdraw_upload(upload=_upload(request, upload_id), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _user(request: Request | HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Forbidden("Uploads belong to people and their tokens.")
    return request.user


def _upload(request: Request, upload_id: UUID) -> Upload:
    return selectors.upload_of(_user(request), upload_id)


def _standing(upload: Upload) -> dict[str, str]:
    """Where it stands. What ended has no date of expiry."""
    headers = {"Upload-Offset": str(upload.received)}
    if upload.received < upload.length:
        headers["Upload-Expires"] = tus.expires(upload.expires_at)
    return headers
