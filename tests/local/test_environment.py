"""How `make` comes to its `.venv`: once, whole, and again only when the locks or Python change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.folders import short_folder

_SOURCE = Path(__file__).parents[2] / "local" / "environment.py"


class Checkout:
    """A folder with the program and locks that name packages made here, so that nothing is fetched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "local").mkdir()
        shutil.copy(_SOURCE, root / "local")
        self.write_lock("requirements.lock", "sail")
        self.write_lock("requirements-dev.lock", "sail", "rudder")

    def write_lock(self, lock: str, *names: str, version: str = "1") -> None:
        """Makes the packages, and the lock that names them with their hashes."""
        lines = []
        for name in names:
            wheel = self.root / f"{name}-{version}-py3-none-any.whl"
            if not wheel.exists():
                _make_wheel(wheel, name, version)
            lines.append(f"{name} @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
        (self.root / lock).write_text("".join(lines))

    def start(self, *arguments: str, code: str = "", **environment: str) -> subprocess.Popen[str]:
        """Starts the program; `code` runs before it in the same interpreter. No uv is found."""
        program = str(self.root / "local" / "environment.py")
        run = f"{code}\nimport runpy, sys\nsys.argv = {[program, *arguments]!r}\n"
        run += f"runpy.run_path({program!r}, run_name='__main__')"
        # The interpreter beneath that of the tests, as a newcomer has it.
        python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        return subprocess.Popen(
            [python, "-c", run],
            env={"PATH": "/nowhere", "HOME": os.environ.get("HOME", "/")} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def make(self, *arguments: str, code: str = "", **environment: str) -> tuple[int, str]:
        """The exit status and what was printed."""
        process = self.start(*arguments, code=code, **environment)
        printed, _ = process.communicate(timeout=120)
        return process.returncode, printed

    def installed(self) -> set[str]:
        """The names and versions of our packages in the environment."""
        return {
            path.name.removesuffix(".dist-info")
            for path in self.root.glob(".venv/lib/python*/site-packages/*.dist-info")
            if path.name.startswith(("sail-", "rudder-"))
        }


def _make_wheel(path: Path, name: str, version: str) -> None:
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    with short_folder() as folder:
        yield Checkout(folder)


@pytest.fixture
def broken(checkout: Checkout) -> Path:
    """A folder for PYTHONPATH that makes Python one without ensurepip: as on Debian, and much faster."""
    folder = checkout.root / "broken"
    folder.mkdir()
    (folder / "ensurepip.py").write_text("raise ImportError('kept in a package of its own')")
    return folder


def test_simultaneous_calls_install_once_and_the_development_environment_holds_the_other(checkout: Checkout) -> None:
    processes = [checkout.start() for _ in range(2)]
    printed = "".join(process.communicate(timeout=120)[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], printed
    assert printed.count("Preparing .venv") == 1
    assert checkout.installed() == {"sail-1"}
    assert checkout.make() == (0, "")
    assert "Ready" in checkout.make("--development")[1]
    assert checkout.installed() == {"sail-1", "rudder-1"}
    for arguments in ([], ["--development"]):
        assert checkout.make(*arguments) == (0, "")
    checkout.write_lock("requirements.lock", "sail", version="2")
    assert "Ready" in checkout.make()[1]
    assert checkout.installed() == {"sail-2", "rudder-1"}


def test_a_wrong_hash_is_refused_and_what_it_left_unfinished_made_anew(checkout: Checkout, broken: Path) -> None:
    lock = checkout.root / "requirements.lock"
    good = lock.read_text()
    lock.write_text(good.split("sha256:", maxsplit=1)[0] + "sha256:" + "0" * 64 + "\n")
    status, printed = checkout.make(PYTHONPATH=str(broken))
    assert status == 1
    assert "cannot be installed" in printed
    assert "HASHES" in printed
    assert checkout.installed() == set()
    lock.write_text(good)
    status, printed = checkout.make(PYTHONPATH=str(broken))
    assert status == 0, printed
    assert "Making .venv anew" in printed
    assert checkout.installed() == {"sail-1"}


def test_a_python_with_neither_ensurepip_nor_pip_says_what_to_install(checkout: Checkout, broken: Path) -> None:
    (broken / "pip.py").write_text("raise ImportError('not installed')")
    status, printed = checkout.make(PYTHONPATH=str(broken))
    assert status == 1
    assert "install uv, or python3-venv" in printed


def test_a_python_that_is_too_old_gets_one_sentence(checkout: Checkout) -> None:
    status, printed = checkout.make(code="import sys; sys.version_info = (3, 9, 2)")
    assert status == 1
    assert printed.splitlines() == [
        "Paperplane needs Python 3.11 or newer, and this is 3.9; name another with make PYTHON=/path/to/python3."
    ]
