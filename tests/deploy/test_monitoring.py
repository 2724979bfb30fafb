"""Alerts and nginx speak of things that exist."""

from __future__ import annotations

import importlib
import re

from prometheus_client import REGISTRY

from app.infra.jobs import QUEUES
from config import Settings
from tests.deploy.files import ROOT, SERVICES, read_yaml

_RULES = [rule for group in read_yaml("deploy/alerts.yml")["groups"] for rule in group["rules"]]
_NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


def _series() -> set[str]:
    """The names of all series that this code can show."""
    for declaring in ("app.factory", "celery_app"):
        importlib.import_module(declaring)
    return {family.name + suffix for family in REGISTRY.collect() for suffix in _SUFFIXES.get(family.type, [])}


def test_every_alert_is_about_metrics_that_exist() -> None:
    used = {name for rule in _RULES for name in re.findall(r"\bpaperplane_[a-z_]+", rule["expr"])}
    assert used
    assert used - _series() == set()


def test_every_alert_says_what_it_means_and_how_urgent_it_is() -> None:
    for rule in _RULES:
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
    assert len({rule["alert"] for rule in _RULES}) == len(_RULES)


def test_prometheus_asks_every_process_of_the_compose_file() -> None:
    asked = {
        (name, found["port"])
        for job in read_yaml("deploy/prometheus.yml")["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
    }
    ports = {
        int(service["environment"]["WORKER_METRICS_PORT"]) for name, service in SERVICES.items() if "worker" in name
    }
    assert asked == {("api", 8000)} | {(f"worker-{queue}", port) for queue in QUEUES for port in ports}
    assert {name for name, _ in asked} <= SERVICES.keys()


def test_nginx_waits_longer_for_a_socket_than_two_heartbeats() -> None:
    socket = _NGINX[_NGINX.index("location = /ws") :]
    waits = re.search(r"proxy_read_timeout (\d+)s", socket)
    assert waits is not None
    assert int(waits[1]) > 2 * Settings.model_fields["ws_heartbeat"].default


def test_nginx_lets_the_largest_file_through() -> None:
    files = _NGINX[_NGINX.index("location /api/files/") :]
    largest = re.search(r"client_max_body_size (\d+)m", files)
    assert largest is not None
    assert int(largest[1]) * 2**20 > Settings.model_fields["max_file_size"].default
