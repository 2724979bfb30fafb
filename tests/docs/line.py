"""A line between a client and a server that a test breaks and mends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Line:
    """Passes bytes on from `port` to the server's; while it is broken, every connection ends at once."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._is_broken = False
        self._guard = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def break_off(self) -> None:
        """Ends all connections and, until it is mended, every new one."""
        with self._guard:
            self._is_broken = True
            for end in self._ends:
                _shut(end)

    def mend(self) -> None:
        """Lets connections through again."""
        with self._guard:
            self._is_broken = False

    def close(self) -> None:
        """Breaks off for good."""
        self.break_off()
        # What waits in accept() is woken by this, not by closing.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(near,)).start()

    def _pass(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._server_port)) as far:
            with self._guard:
                if self._is_broken:
                    return
                self._ends |= {near, far}
            back = threading.Thread(target=_pump, args=(far, near))
            back.start()
            _pump(near, far)
            back.join()
            with self._guard:
                self._ends -= {near, far}


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copies bytes until either side ends, and then ends both."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    _shut(source)
    _shut(target)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
