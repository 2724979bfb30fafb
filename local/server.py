"""What the embedded servers have in common: one process on a data folder, started and stopped by us."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from local.locks import Claim
from local.processes import Child


class Server(ABC):
    """A server on a data folder, which only one process at a time may work on; its log is `DATA_DIR/logs/NAME.log`."""

    name: ClassVar[str]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self._claim: Claim | None = None
        self._child: Child | None = None

    @property
    def log(self) -> Path:
        """Where the server writes its log."""
        return self.data_dir / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id of the server, while it runs."""
        return self._child.pid if self.alive and self._child else None

    @property
    def alive(self) -> bool:
        """Whether the server process runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Starts the server and returns when it answers; also after it died.

        Raises InUse where another process works on the data folder, ServerError where the server does not start.
        """
        if self.alive:
            return
        # After a death too: a new claim waits until the last process of the dead server is gone.
        self.stop()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        # Two servers on one folder would write over each other.
        self._claim = Claim(self.data_dir, self.name)
        try:
            self._launch(self._claim)
        except BaseException:
            self.stop(seconds=1)
            raise

    def ask_to_stop(self) -> None:
        """Begins the shutdown, which leaves the data files clean."""
        if self._child:
            self._child.ask_to_stop()

    def stop(self, seconds: float = 10) -> None:
        """Stops the server within so many seconds."""
        if self._child:
            self._end(self._child, seconds)
        if self._claim:
            self._claim.release()
        self._child = self._claim = None

    @abstractmethod
    def _launch(self, claim: Claim) -> None:
        """Starts the process, which holds the claim, and waits until it answers. Raises ServerError."""

    def _end(self, child: Child, seconds: float) -> None:
        child.stop(seconds)
