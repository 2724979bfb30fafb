"""How gunicorn writes an answer here: in one piece where it can."""

from __future__ import annotations

import time
from functools import lru_cache

import structlog
from gunicorn import SERVER, util
from gunicorn.http import wsgi

from config import settings

log = structlog.get_logger(__name__)

# Bytes for which a client has `BODY_TIMEOUT`: who takes them slowly but steadily is not cut off in a long answer.
_PIECE = 131_072


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """The lines of the server and of the date (RFC 9110, section 6.6.1), the same for all answers of a second."""
    return f"Server: {SERVER}\r\nDate: {util.http_date(second)}\r\n"


class WholeAnswer(wsgi.Response):  # type: ignore[misc]
    """An answer whose head leaves together with the beginning of its body.

    gunicorn writes one after the other: two system calls here, and a client that waits is woken twice.
    """

    headers_sent: bool
    _head = b""

    def default_headers(self) -> list[str]:
        """Those of gunicorn, which makes the date anew for each answer."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        major, minor = self.req.version
        lines = [f"HTTP/{major}.{minor} {self.status}\r\n", _date(int(time.time())), f"Connection: {connection}\r\n"]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines

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
            # Nearly always all of it goes at once, and `sendall` would first ask how much may.
            sent = self.sock.send(pieces[:_PIECE]) if data else 0
            for start in range(sent, len(data), _PIECE):
                util.write(self.sock, pieces[start : start + _PIECE])
        except TimeoutError:
            log.info("answer_not_taken")
            raise StopIteration from None
        finally:
            self.sock.settimeout(None)
