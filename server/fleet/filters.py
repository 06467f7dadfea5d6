"""What lists of the fleet can be narrowed by."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet

from server.fleet.models import Device, Group, HardwareProfile, Line, Site
from server.fleet.selectors import PresenceWord, with_presence
from server.fleet.states import DeviceState
from server.lib import clock


class SiteFilter(django_filters.FilterSet):
    """By name."""

    class Meta:
        model = Site
        fields = ("name",)


class LineFilter(django_filters.FilterSet):
    """By site and name."""

    site = django_filters.CharFilter(field_name="site__name")

    class Meta:
        model = Line
        fields = ("name",)


class GroupFilter(django_filters.FilterSet):
    """By name."""

    class Meta:
        model = Group
        fields = ("name",)


class HardwareProfileFilter(django_filters.FilterSet):
    """By runtime, architecture, and whether a device has it."""

    is_used = django_filters.BooleanFilter(
        field_name="devices", lookup_expr="isnull", exclude=True, distinct=True
    )

    class Meta:
        model = HardwareProfile
        fields = ("name", "runtime", "architecture", "is_seeded")


class DeviceFilter(django_filters.FilterSet):
    """By state, place, profile, group, presence, and a part of the serial."""

    state = django_filters.ChoiceFilter(choices=DeviceState.choices)
    site = django_filters.CharFilter(field_name="line__site__name")
    line = django_filters.CharFilter(field_name="line__name")
    profile = django_filters.CharFilter(field_name="profile__name")
    group = django_filters.CharFilter(field_name="groups__name")
    serial = django_filters.CharFilter(field_name="serial", lookup_expr="icontains")
    presence = django_filters.ChoiceFilter(
        choices=[(str(word), str(word)) for word in PresenceWord], method="by_presence"
    )

    class Meta:
        model = Device
        fields = ()

    def by_presence(self, devices: QuerySet[Device], _: str, word: str) -> QuerySet[Device]:
        """Derived from the last poll, by the database."""
        return with_presence(devices, PresenceWord(word), clock.now())
