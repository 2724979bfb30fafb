"""Prometheus: what the HTTP edge counts, and the page that shows all metrics of the API's processes."""

from __future__ import annotations

import os
import platform
import tomllib
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

blueprint = Blueprint("metrics", __name__)

UNMATCHED = "(unmatched)"
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

requests_total = Counter(
    "paperplane_http_requests", "Requests answered, by route template.", ("method", "route", "status")
)
request_seconds = Histogram(
    "paperplane_http_request_duration_seconds",
    "Time from a request to the start of its answer.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_build = Gauge("paperplane_build_info", "Version of this code.", ("version", "python"), multiprocess_mode="max")


@lru_cache(maxsize=1)
def version() -> str:
    """The version in pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    return str(project["project"]["version"])


def announce_build() -> None:
    """Sets the metric that tells which version runs."""
    _build.labels(version(), platform.python_version()).set(1)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Counts one answered request; `route` is the template, None where no route matched."""
    counter, histogram = _series(method if method in _METHODS else "other", route or UNMATCHED, status)
    counter.inc()
    histogram.observe(seconds)


@lru_cache(maxsize=4096)
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    labels = (method, route, str(status))
    return requests_total.labels(*labels), request_seconds.labels(*labels)


@blueprint.get("/metrics")
def metrics() -> Response:
    """All metrics in Prometheus' text format, summed over the API's processes where there are several."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
