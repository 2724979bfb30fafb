"""Text messages by Amazon SNS."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any, ClassVar

from app.infra.sms.provider import TIMEOUT, SmsFailed


class SnsSms:
    """Publishes each message straight to the number; credentials come the usual ways of AWS."""

    name: ClassVar[str] = "sns"
    waits: ClassVar[bool] = True

    def __init__(self, region: str | None, sender: str) -> None:
        self._region = region
        self._sender = sender
        self._making = threading.Lock()

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        bounds = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 2})
        with self._making:  # Sessions of boto3 may not be used by two threads at once; clients may.
            return boto3.session.Session().client("sns", region_name=self._region, config=bounds)

    def send(self, phone: str, text: str) -> None:
        """Sends one message; raises SmsFailed where SNS refuses or cannot be reached."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.publish(
                PhoneNumber=phone,
                Message=text,
                MessageAttributes={
                    "AWS.SNS.SMS.SenderID": {"DataType": "String", "StringValue": self._sender},
                    "AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"},
                },
            )
        except ClientError as error:
            raise SmsFailed(str(error.response.get("Error", {}).get("Code"))) from error
        except BotoCoreError as error:
            raise SmsFailed(type(error).__name__) from error
