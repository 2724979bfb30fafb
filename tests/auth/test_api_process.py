"""Signing up against a real API process, many people at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from tests.auth.clients import PASSWORD, codes_to, new_username
from tests.processes import Api
from tests.unique import new_phone


def test_thirty_people_sign_up_and_in_at_once_from_one_address(api: Api) -> None:
    def post(path: str, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{api.url}/api/auth{path}", json=body, timeout=30)

    def sign_up(_: int) -> list[int]:
        phone = new_phone()
        person = {"phone": phone, "password": PASSWORD, "first_name": "Ada", "username": new_username()}
        registered = post("/register", person)
        verified = post("/verify", {"phone": phone, "code": codes_to(phone)[-1]})
        logged_in = post("/login", {"phone": phone, "password": PASSWORD})
        refreshed = post("/refresh", {"refresh_token": logged_in.json()["refresh_token"]})
        return [answer.status_code for answer in (registered, verified, logged_in, refreshed)]

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(sign_up, range(30))) == [[202, 201, 200, 200]] * 30
