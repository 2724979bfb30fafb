"""The files of the deployment, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def read_yaml(path: str) -> dict[str, Any]:
    """A YAML file of the checkout."""
    found = yaml.safe_load((ROOT / path).read_text())
    assert isinstance(found, dict)
    return found


SERVICES: dict[str, dict[str, Any]] = read_yaml("docker-compose.yml")["services"]
"""The services of docker-compose.yml by name."""

OURS = {name: service for name, service in SERVICES.items() if service.get("build")}
"""Those of them that run this code."""
