"""The OpenAPI document covers every address, without a guess."""

from __future__ import annotations

from io import StringIO

import pytest
import yaml
from django.core.management import call_command


@pytest.mark.django_db
def test_the_whole_schema_generates_without_a_warning() -> None:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    schema = yaml.safe_load(out.getvalue())
    assert {"/api/v1/me", "/api/v1/devices", "/api/v1/samples/{sample_id}/image"} <= set(
        schema["paths"]
    )
    assert schema["components"]["securitySchemes"]["apiToken"]["scheme"] == "bearer"
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    assert "pattern" not in schema["components"]["schemas"]["Site"]["properties"]["name"]
    assert "oneOf" not in schema["components"]["schemas"]["Comparison"]["properties"]["figures"]
