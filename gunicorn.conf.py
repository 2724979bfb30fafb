"""How gunicorn serves the API: gevent workers that hold sockets, drain them on SIGTERM, and share their metrics."""

from gevent import monkey

# Before anything else imports sockets or locks.
monkey.patch_all()

import gc  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from config import settings  # noqa: E402

_settings = settings()

bind = f"{_settings.host}:{_settings.port}"
worker_class = "app.web.server.ApiWorker"
logger_class = "app.web.server.ServerLogger"
workers = _settings.web_workers
worker_connections = _settings.web_connections
graceful_timeout = _settings.shutdown_timeout
timeout = 60
keepalive = 75
control_socket_disable = True
forwarded_allow_ips = ""
limit_request_line = 8190
accesslog = None
errorlog = "-"
loglevel = "warning" if _settings.log_level == "info" else _settings.log_level
proc_name = "paperplane-api"

# Requests are done by then, and clients are told; a Redis that is away may hold the end up for so long.
_LAST_SECONDS = 3.0

# Objects between two looks of the garbage collector: with Python's own 700 it looks several times for each broadcast,
# and a sixth of the time in which workers load the application goes into looks at what stays.
_YOUNG_OBJECTS = 20_000
gc.set_threshold(_YOUNG_OBJECTS)

_metrics_folder = _settings.data_dir / "run" / f"metrics-{_settings.port}"


def on_starting(server: Any) -> None:
    """Begins with an empty folder for the metrics that the workers share."""
    shutil.rmtree(_metrics_folder, ignore_errors=True)
    _metrics_folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_folder)


def post_fork(server: Any, worker: Any) -> None:
    """Lets greenlets run while a query waits."""
    from app.infra.connections import install_gevent_wait

    install_gevent_wait()


def post_worker_init(worker: Any) -> None:
    """Watches for the end: without this, open sockets hold a stopping worker for the whole graceful time-out.

    Warns of a PostgreSQL that hides what other sessions do. Has all clients sync if a process has died.
    Tells workers how busy it is.
    """
    from app.infra.busy import keep_telling
    from app.infra.running import process_begins
    from app.sync.service import warn_of_blind_spots

    process_begins()
    # What is loaded by now stays: the collector need not walk through it again and again while clients wait.
    gc.collect()
    gc.freeze()

    def watch() -> None:
        while worker.alive:
            gevent.sleep(0.1)
        from app.realtime.hub import drain

        drain()
        # Until gunicorn has seen the last one go: one that was busy may begin to wait just now.
        while True:
            worker.close_idle()
            gevent.sleep(0.1)

    gevent.spawn(watch)
    gevent.spawn(warn_of_blind_spots)
    gevent.spawn(keep_telling)


def worker_abort(worker: Any) -> None:
    """Notes that requests are cut short: the worker hung, and is ended."""
    from app.infra.running import process_is_cut_short

    process_is_cut_short()


def worker_exit(server: Any, worker: Any) -> None:
    """Gives sockets a moment to be closed, which gunicorn does not wait for, and the last events to reach Redis."""
    from app.infra.running import process_ends, process_is_cut_short
    from app.realtime.hub import drain

    if not drain():
        # What a frame is doing may be committed after this process is gone, and told by nobody.
        process_is_cut_short()
    process_ends(_LAST_SECONDS)


def child_exit(server: Any, worker: Any) -> None:
    """Takes a dead worker's gauges out of the shared metrics."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
