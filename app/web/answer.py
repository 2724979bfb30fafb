"""How gunicorn writes an answer here: in one piece where it can."""

from __future__ import annotations

import structlog
from gunicorn import util
from gunicorn.http import wsgi

from config import settings

log = structlog.get_logger(__name__)

# Bytes for which a client has `BODY_TIMEOUT`: who takes them slowly but steadily is not cut off in a long answer.
_PIECE = 131_072


class WholeAnswer(wsgi.Response):  # type: ignore[misc]
    """An answer whose head leaves together with the beginning of its body.

    gunicorn writes one after the other: two system calls here, and a client that waits is woken twice.
    """

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        """Makes the head ready; it leaves with the first bytes of the body, or at the end where there are none."""
        if not self.headers_sent:
            own = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
            self._head = f"{''.join(self.default_headers())}{own}\r\n".encode("latin-1")
            self.headers_sent = True

    def close(self) -> None:
        """Ends the answer."""
        self.send_headers()
        if self._head or self.chunked:
            self._emit_body(b"")

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        part = b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data
        self._write(head + part if head else part)

    def _write(self, data: bytes) -> None:
        """Raises StopIteration, which ends the connection, where the client takes no piece within `BODY_TIMEOUT`."""
        # The socket's own deadline costs nothing where all goes out at once. It is not for reading: that has others.
        self.sock.settimeout(settings().body_timeout)
        pieces = memoryview(data)
        try:
            for start in range(0, len(data) or 1, _PIECE):
                util.write(self.sock, pieces[start : start + _PIECE])
        except TimeoutError:
            log.info("answer_not_taken")
            raise StopIteration from None
        finally:
            self.sock.settimeout(None)
