"""docker-compose.yml says what the code needs: queues, settings, commands, health, and no more rights than needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from app.infra.jobs import QUEUES
from config import Settings
from tests.deploy.files import OURS, ROOT, SERVICES, read_yaml

_TEXT = (ROOT / "docker-compose.yml").read_text()
_WORKERS = {name: service for name, service in OURS.items() if "worker" in service["command"]}
_SETTINGS = {name.upper() for name in Settings.model_fields}

# What compose itself is told, where the API and coturn are reached.
_OF_COMPOSE = {"API_ADDRESS", "API_PORTS", "TURN_ADDRESS"}
_INSIDE = [
    *("127.0.0.1", "10.1.2.3", "172.18.0.2", "192.168.1.1", "169.254.169.254", "198.18.0.1", "240.0.0.1"),
    *("::1", "fd00::1", "fe80::1", "::ffff:10.0.0.5", "64:ff9b::a00:5"),
]
# What Celery reads from its environment.
_OF_CELERY = {"REMAP_SIGTERM"}


def _queues(service: dict[str, Any]) -> list[str]:
    command = service["command"]
    return str(command[command.index("-Q") + 1]).split(",")


def test_every_queue_is_consumed_by_exactly_one_service() -> None:
    assert sorted(queue for service in _WORKERS.values() for queue in _queues(service)) == sorted(QUEUES)


def test_each_worker_is_named_after_its_queue() -> None:
    assert {name: _queues(service) for name, service in _WORKERS.items()} == {
        f"worker-{queue}": [queue] for queue in QUEUES
    }


def test_workers_finish_their_jobs_when_they_are_told_to_stop() -> None:
    assert {service["environment"]["REMAP_SIGTERM"] for service in _WORKERS.values()} == {"SIGQUIT"}


def test_there_is_exactly_one_beat() -> None:
    beats = [service for service in OURS.values() if "beat" in service["command"]]
    assert [beat["deploy"] for beat in beats] == [{"replicas": 1}]


def test_only_the_one_shot_migration_has_no_health_check() -> None:
    unchecked = {name for name, service in SERVICES.items() if not service["healthcheck"].get("test")}
    assert unchecked == {"migrate"}
    assert SERVICES["migrate"]["restart"] == "no"


def test_every_health_check_is_bounded() -> None:
    checks = [service["healthcheck"] for name, service in SERVICES.items() if name != "migrate"]
    assert all({"interval", "timeout", "retries", "start_period"} <= check.keys() for check in checks)


def test_every_process_of_ours_waits_for_the_migration() -> None:
    waits = {name: service["depends_on"].get("migrate") for name, service in OURS.items() if name != "migrate"}
    assert set(map(str, waits.values())) == {str({"condition": "service_completed_successfully"})}


def test_every_service_runs_with_as_few_rights_as_it_can() -> None:
    for name, service in SERVICES.items():
        assert service["user"] not in ("root", "0", "0:0"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "turn" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_besides_coturn_only_the_api_is_published_and_on_this_machine_only() -> None:
    assert {name for name, service in SERVICES.items() if service.get("ports")} == {"api", "turn"}
    assert SERVICES["api"]["ports"] == ["${API_ADDRESS:-127.0.0.1}:${API_PORTS:-8000}:8000"]


def test_the_database_and_the_cache_are_in_a_network_without_a_way_out() -> None:
    assert read_yaml("docker-compose.yml")["networks"]["inside"] == {"internal": True}
    assert [SERVICES[name]["networks"] for name in ("database", "cache")] == [["inside"], ["inside"]]


def test_coturn_shares_the_secret_of_the_api_and_reaches_nothing_inside() -> None:
    turn = SERVICES["turn"]
    secret = SERVICES["api"]["environment"]["TURN_SECRET"]
    assert {"--use-auth-secret", f"--static-auth-secret={secret}"} <= set(turn["command"])
    assert turn["networks"] == ["outside"]
    denied = [option.partition("=")[2] for option in turn["command"] if option.startswith("--denied-peer-ip=")]
    ranges = [[ip_address(end) for end in (each.split("-") * 2)[:2]] for each in denied]
    for inside in map(ip_address, _INSIDE):
        same = [(first, last) for first, last in ranges if first.version == inside.version]
        assert any(int(first) <= int(inside) <= int(last) for first, last in same), inside


def test_coturn_has_a_port_for_each_relay_that_it_grants_and_nobody_may_take_more_than_a_few() -> None:
    options = dict(option.removeprefix("--").partition("=")[::2] for option in SERVICES["turn"]["command"][1:])
    ports = int(options["max-port"]) - int(options["min-port"]) + 1
    assert ports == int(options["total-quota"]) >= 50 * int(options["user-quota"])
    given = f"{options['min-port']}-{options['max-port']}"
    assert f"{given}:{given}/udp" in SERVICES["turn"]["ports"]
    assert int(options["max-bps"]) > 0


def test_jobs_are_never_evicted_and_survive_a_restart() -> None:
    command = SERVICES["cache"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))
    assert given["--maxmemory-policy"] == "noeviction"
    assert given["--appendonly"] == "yes"


def test_every_image_names_its_version() -> None:
    for service in SERVICES.values():
        image, _, tag = service["image"].partition(":")
        assert tag not in ("", "latest"), image


def test_what_is_interpolated_and_set_are_settings() -> None:
    interpolated = set(re.findall(r"\$\{([A-Z_0-9]+)", _TEXT))
    assert interpolated <= _SETTINGS | _OF_COMPOSE
    for name, service in OURS.items():
        assert service["environment"].keys() <= _SETTINGS | _OF_CELERY, name


@pytest.mark.parametrize("secret", ["JWT_SECRET", "DB_PASSWORD", "REDIS_PASSWORD", "TURN_SECRET"])
def test_a_secret_has_no_default(secret: str) -> None:
    uses = re.findall(rf"\$\{{{secret}(.[^}}]*)", _TEXT)
    assert uses
    assert all(use.startswith(":?") for use in uses)


def _container_environment(service: dict[str, Any], folder: Path) -> dict[str, str]:
    """The environment of the container, with secrets, and a data folder that exists here."""
    given = {"JWT_SECRET": "k3nB9zQ1xW7mT5vR2yL8cF4hJ6pD0sGa", "DB_PASSWORD": "one", "REDIS_PASSWORD": "two"}
    given["TURN_SECRET"] = "three"
    text = {name: re.sub(r"\$\{(\w+):-(\w*)\}", r"\2", str(value)) for name, value in service["environment"].items()}
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return text | given | path | {"DATA_DIR": str(folder), "UPLOAD_DIR": str(folder / "uploads")}


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_service_are_good_and_name_the_servers_of_this_file(name: str, tmp_path: Path) -> None:
    code = "from config import settings as s; print(s().database, s().redis, s().broker, s().limits_redis)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=_container_environment(OURS[name], tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    cache = "redis://:two@cache:6379/0"
    database = "postgresql+psycopg2://paperplane:one@database:5432/paperplane"
    assert done.stdout.split() == [database, cache, cache, cache]


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_a_service_starts_here(name: str, tmp_path: Path) -> None:
    program, *arguments = OURS[name]["command"]
    if program == "gunicorn":
        command = [program, "--check-config", *arguments]
    elif program == "python":
        command = [program, "-c", f"import {arguments[arguments.index('-m') + 1]}"]
    else:
        command = [program, *arguments, "--help"]
    done = subprocess.run(
        command,
        env=_container_environment(OURS[name], tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
