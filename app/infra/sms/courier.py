"""Carries text messages to the provider beside the requests, so that no answer's time tells whether one was sent."""

from __future__ import annotations

import queue
import threading

import structlog
from prometheus_client import Counter

from app.infra.sms.provider import SmsFailed, SmsProvider

log = structlog.get_logger(__name__)
failed_messages = Counter("paperplane_sms_failed_total", "Text messages that the provider did not take.", ["provider"])

_CARRIERS = 4
_LARGEST_QUEUE = 1000


class Courier:
    """A bounded queue and the few threads (greenlets under gevent) that empty it; a waiting person asks again."""

    def __init__(self, provider: SmsProvider) -> None:
        self._provider = provider
        self._waiting: queue.Queue[tuple[str, str]] = queue.Queue(_LARGEST_QUEUE)
        self._started = False
        self._start = threading.Lock()

    def deliver(self, phone: str, text: str) -> None:
        """Sends now where that does not wait for a network, soon otherwise; failures are logged and counted."""
        if not self._provider.waits:
            self._attempt(phone, text)
            return
        try:
            self._waiting.put_nowait((phone, text))
        except queue.Full:
            self._report(phone, "queue full")
        self._launch()

    def wait_until_idle(self) -> None:
        """Waits until all that was handed over has been attempted."""
        self._waiting.join()

    def _launch(self) -> None:
        with self._start:
            if not self._started:
                self._started = True
                for _ in range(_CARRIERS):
                    threading.Thread(target=self._run, name="sms-courier", daemon=True).start()

    def _run(self) -> None:
        while True:
            phone, text = self._waiting.get()
            self._attempt(phone, text)
            self._waiting.task_done()

    def _attempt(self, phone: str, text: str) -> None:
        try:
            self._provider.send(phone, text)
        except (SmsFailed, OSError) as error:
            self._report(phone, str(error) if isinstance(error, SmsFailed) else type(error).__name__)
        except Exception as error:  # A provider's library failing in its own way must not end the thread.
            self._report(phone, type(error).__name__)

    def _report(self, phone: str, reason: str) -> None:
        failed_messages.labels(self._provider.name).inc()
        log.error("sms_failed", provider=self._provider.name, number=f"{phone[:-4]}****", reason=reason)
