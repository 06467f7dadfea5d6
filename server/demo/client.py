"""The REST API as a tool would use it: the story has no private way in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

TIMEOUT_S = 120.0


class ApiError(Exception):
    """The server said no; ``problem`` is its problem document."""

    def __init__(self, response: requests.Response) -> None:
        try:
            self.problem = response.json()
        except ValueError:
            self.problem = {"detail": response.text[:500]}
        self.status = response.status_code
        detail = self.problem.get("detail", self.problem)
        super().__init__(f"{response.request.method} {response.url}: {self.status} {detail}")


class Client:
    """JSON in, JSON out, one token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url}/api/v1"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str) -> Any:
        """The resource, or ApiError."""
        return self._send("GET", path, params=query)

    def find(self, path: str) -> Any | None:
        """The resource, or None where there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == requests.codes.not_found:
                return None
            raise

    def pages(self, path: str, **query: str) -> list[Any]:
        """All results of a paged list."""
        page = self.get(path, **query)
        results = list(page["results"])
        while page.get("next"):
            page = self._answer(self._session.get(page["next"], timeout=TIMEOUT_S))
            results += page["results"]
        return results

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON."""
        return self._send("POST", path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Send a partial change as JSON."""
        return self._send("PATCH", path, json=body)

    def upload(self, path: str, file: Path, fields: dict[str, Any]) -> Any:
        """Send a file with form fields; what is not text goes as JSON text."""
        data = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in fields.items()
        }
        with file.open("rb") as content:
            return self._send("POST", path, data=data, files={"file": (file.name, content)})

    def _send(self, method: str, path: str, **content: Any) -> Any:
        return self._answer(
            self._session.request(method, f"{self._url}/{path}", timeout=TIMEOUT_S, **content)
        )

    @staticmethod
    def _answer(response: requests.Response) -> Any:
        if not response.ok:
            raise ApiError(response)
        return response.json() if response.content else None
