"""A worker's metrics, summed over its processes and shown by its parent on a port of its own."""

from __future__ import annotations

import os
import tempfile

from celery.signals import worker_process_shutdown, worker_ready

from config import Settings

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def prepare(current: Settings) -> None:
    """Arranges for metrics where WORKER_METRICS_PORT is set; before anything imports prometheus_client."""
    port = current.worker_metrics_port
    if port is None:
        return
    os.environ.setdefault(_FOLDER, tempfile.mkdtemp(prefix="paperplane-metrics-"))
    worker_ready.connect(lambda **_: _serve(port), weak=False)
    worker_process_shutdown.connect(lambda pid, **_: _forget(pid), weak=False)


def _serve(port: int) -> None:
    from prometheus_client import CollectorRegistry, multiprocess, start_http_server

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_http_server(port, registry=registry)


def _forget(pid: int) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid)
