"""Text messages by Twilio's REST interface."""

from __future__ import annotations

import base64
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import ClassVar
from urllib.parse import quote, urlencode, urlsplit

from app.infra.sms.provider import TIMEOUT, SmsFailed


class TwilioSms:
    """Posts each message to the account's Messages resource."""

    name: ClassVar[str] = "twilio"
    waits: ClassVar[bool] = True

    def __init__(self, url: str, account_sid: str, auth_token: str, sender: str) -> None:
        self._address = urlsplit(url)
        self._path = f"{self._address.path.rstrip('/')}/2010-04-01/Accounts/{quote(account_sid)}/Messages.json"
        self._sender = sender
        login = base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}

    def send(self, phone: str, text: str) -> None:
        """Sends one message; raises SmsFailed where Twilio refuses or cannot be reached."""
        form = urlencode({"To": phone, "From": self._sender, "Body": text})
        connection = self._connection()
        try:
            connection.request("POST", self._path, body=form, headers=self._headers)
            response = connection.getresponse()
            response.read()
        except (OSError, HTTPException) as error:
            raise SmsFailed(type(error).__name__) from error
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise SmsFailed(f"status {response.status}")

    def _connection(self) -> HTTPConnection:
        # http.client rather than urllib: it follows no redirect, which would carry the token elsewhere.
        kind = HTTPSConnection if self._address.scheme == "https" else HTTPConnection
        return kind(self._address.hostname or "", self._address.port, timeout=TIMEOUT)
