"""The right to call an address; which rows it may touch is a matter of ``scope``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from server.accounts.models import Role
from server.accounts.scope import has_role


@cache
def at_least(role: Role) -> type[BasePermission]:
    """A DRF permission: the caller has ``role``, or one above it, at one site at least."""

    class AtLeast(BasePermission):
        message = f"This needs the role {role.value}."

        def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002
            return has_role(request.user, role)

    AtLeast.__name__ = AtLeast.__qualname__ = f"AtLeast{role.value.title()}"
    return AtLeast


class RoledView(APIView):
    """A view that viewers may read, and that others may write from ``write_role`` up."""

    write_role = Role.ADMIN

    def get_permissions(self) -> Sequence[BasePermission]:
        """The permission that the verb of this request calls for."""
        role = Role.VIEWER if self.request.method in SAFE_METHODS else self.write_role
        return [at_least(role)()]
