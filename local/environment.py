"""Makes `.venv` from a lock file: `python local/environment.py` to run Paperplane, `--development` to test it too.

Uses uv where it is installed, pip otherwise; every package is checked against its hash. A stamp in `.venv` makes the
next call instant. This file must be readable by every Python 3, old ones as well, so that those get a sentence.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
RUN_LOCK = "requirements.lock"
DEVELOPMENT_LOCK = "requirements-dev.lock"
_STAMP = "paperplane.json"
_SHOWN_LINES = 25
# Not that of a virtual environment that happens to be active, which may be the one to be made anew.
_PYTHON = getattr(sys, "_base_executable", None) or sys.executable


class Failure(Exception):
    """The environment could not be made; the text is for people."""


class Environment:
    """The virtual environment of the checkout at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self._stamp = self.folder / _STAMP

    def is_ready(self, lock: str) -> bool:
        """Whether all of the lock, as it is now, was installed for this Python."""
        stamp = self._read_stamp()
        return (
            stamp.get("python") == _version()
            and stamp.get("locks", {}).get(lock) == self._digest(lock)
            and self.python.exists()
        )

    def make(self, lock: str) -> None:
        """Installs the lock, into a new folder where the present one is of no use. Raises Failure."""
        claim = _claim(self.root)
        try:
            if self.is_ready(lock):
                return
            started = time.monotonic()
            _say(f"Preparing .venv from {lock} for Python {_version()}; the first time takes a minute.")
            self._install(lock)
            # The development lock holds all that the other does, in the same versions.
            locks = [RUN_LOCK, DEVELOPMENT_LOCK] if lock == DEVELOPMENT_LOCK else [lock]
            known = {name: self._digest(name) for name in locks if (self.root / name).exists()}
            self._write_stamp({"python": _version(), "locks": known})
            _say(f"Ready after {time.monotonic() - started:.0f} s.")
        finally:
            os.close(claim)

    def _install(self, lock: str) -> None:
        stamp = self._read_stamp()
        usable = self.python.exists() and self._made_for() == _version() and not stamp.get("unfinished")
        path = str(self.root / lock)
        uv = shutil.which("uv")
        if uv:
            try:
                if not usable:
                    self._clear()
                    _run([uv, "venv", "--quiet", "--python", _PYTHON, str(self.folder)], self.root)
                self._write_stamp({"unfinished": True})
                command = [
                    uv,
                    "pip",
                    "install",
                    "--quiet",
                    "--python",
                    str(self.python),
                    "--require-hashes",
                    "-r",
                    path,
                ]
                _run(command, self.root)
                return
            except Failure as failure:
                # pip may know a package index or a proxy that uv was not told about.
                _say(f"uv did not manage ({str(failure).splitlines()[-1].strip()}); trying pip.")
                usable = False
        if not usable:
            self._clear()
        installer = self._pip(usable)
        self._write_stamp({"unfinished": True})
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r", path]
        if lock == DEVELOPMENT_LOCK:
            # It takes half the time, for much that nobody imports; the rest is compiled when it first is.
            options.append("--no-compile")
        _run([*installer, "install", *options], self.root)

    def _pip(self, usable: bool) -> "list[str]":
        """The command of a pip that installs into the environment, which is made first where there is none."""
        own = [str(self.python), "-m", "pip"]
        if usable and _succeeds([*own, "--version"]):
            return own
        if _succeeds([_PYTHON, "-c", "import ensurepip; ensurepip.version()"]):
            _run([_PYTHON, "-m", "venv", str(self.folder)], self.root)
            return own
        # Debian keeps ensurepip in a package of its own; its pip can install into a folder that has none.
        if _succeeds([_PYTHON, "-m", "pip", "--python", _PYTHON, "--version"]):
            _run([_PYTHON, "-m", "venv", "--without-pip", str(self.folder)], self.root)
            return [_PYTHON, "-m", "pip", "--python", str(self.python)]
        raise Failure(
            "This Python has neither ensurepip nor a recent pip: install uv, or python3-venv "
            "(Debian and Ubuntu: apt install python3-venv), and try again."
        )

    def _clear(self) -> None:
        if self.folder.exists():
            _say("Making .venv anew.")
            shutil.rmtree(self.folder)

    def _made_for(self) -> str:
        """The version of Python that the folder was made for, such as `3.12`; empty where it is none."""
        try:
            lines = (self.folder / "pyvenv.cfg").read_text().splitlines()
        except OSError:
            return ""
        settings = dict(line.split(" = ", 1) for line in lines if " = " in line)
        version = settings.get("version") or settings.get("version_info") or ""
        return ".".join(version.split(".")[:2])

    def _digest(self, lock: str) -> str:
        return hashlib.sha256((self.root / lock).read_bytes()).hexdigest()

    def _read_stamp(self) -> "dict":  # type: ignore[type-arg]  # old Pythons cannot read more
        try:
            stamp = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _write_stamp(self, stamp: "dict") -> None:  # type: ignore[type-arg]
        draft = self._stamp.with_suffix(".new")
        draft.write_text(json.dumps(stamp))
        draft.replace(self._stamp)


def _version() -> str:
    return ".".join(str(part) for part in sys.version_info[:2])


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _claim(root: Path) -> int:
    """An open descriptor of the checkout's folder, locked: a second make waits for the first. Ends with the process."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _say("Another make prepares .venv; waiting for it.")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _succeeds(command: "list[str]") -> bool:
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0  # noqa: S603 - our own commands


def _run(command: "list[str]", root: Path) -> None:
    """Runs the command in silence. Raises Failure with the end of what it printed where it fails."""
    done = subprocess.Popen(command, cwd=str(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: S603
    printed = done.communicate()[0].decode("utf-8", "replace").splitlines()[-_SHOWN_LINES:]
    if done.returncode != 0:
        named = " ".join(Path(part).name for part in command[:3])
        raise Failure("\n  ".join([f"{named} failed:", *printed]))


def main(arguments: "list[str]") -> int:
    """The exit status: 0 once the environment is ready."""
    if sys.version_info < OLDEST:
        _say(
            f"Paperplane needs Python 3.11 or newer, and this is {_version()}; "
            "name another with make PYTHON=/path/to/python3."
        )
        return 1
    lock = DEVELOPMENT_LOCK if "--development" in arguments else RUN_LOCK
    environment = Environment(ROOT)
    if environment.is_ready(lock):
        return 0
    try:
        environment.make(lock)
    except Failure as failure:
        _say(f"Paperplane cannot be installed: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
