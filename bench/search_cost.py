"""What indexing costs: by itself, with all that is stored around it, and in the process that sends.

Run with the path of a Scene and the process id of PostgreSQL; prints a Cost. Each run adds 2,000 messages.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TypedDict
from uuid import uuid4

from celery import Celery

from app.infra import jobs
from app.messages.queries import Send, send_batch
from app.search import indexing
from bench.cpu import CpuClock
from bench.search_fill import Scene
from bench.search_texts import texts
from config import settings

_MESSAGES = 2_000
_MARKS = 100_000
_JOBS = 200
# Messages a second of one API process that is busy; and jobs it sends for search meanwhile, at most.
_BUSY_RATE, _JOBS_RATE = 500, 1


class Cost(TypedDict):
    """Microseconds of CPU."""

    worker_us: float
    """Of a worker, for a message."""
    database_us: float
    """Of PostgreSQL, for a message."""
    mark_us: float
    """To mark a chat, once for a message."""
    job_us: float
    """To send the job that takes the marks of a second."""
    send_us: float
    """Both, for each message of an API process that sends 500 a second."""


def _indexing(scene: Scene, database: int) -> tuple[float, float]:
    chats = scene["chats"]
    for number, body in enumerate(texts(1, _MESSAGES, 1)):
        send_batch([Send(chats[number % 100], scene["searcher"], None, str(uuid4()), b"", "text", body, None)])
    indexing.index_all([0])
    clock, began = CpuClock({"database": [database]}), time.process_time()
    indexing.index_all(chats[:100])
    worker = time.process_time() - began
    return worker / _MESSAGES * 1e6, clock.seconds().get("database", 0.0) / _MESSAGES * 1e6


def _marking() -> tuple[float, float]:
    jobs.mark_for_search(1)
    began = time.process_time()
    for number in range(_MARKS):
        jobs.mark_for_search(number % 1000)
    marked = time.process_time()
    with jobs.configure(Celery("bench", set_as_current=False), settings()) as producer:
        for _ in range(_JOBS):
            producer.send_task(jobs.INDEX_MESSAGES, queue=jobs.JOBS[jobs.INDEX_MESSAGES])
    return (marked - began) / _MARKS * 1e6, (time.process_time() - marked) / _JOBS * 1e6


def _main(scene: Scene, database: int) -> Cost:
    worker, base = _indexing(scene, database)
    mark, job = _marking()
    return {
        "worker_us": worker,
        "database_us": base,
        "mark_us": mark,
        "job_us": job,
        "send_us": mark + job * _JOBS_RATE / _BUSY_RATE,
    }


if __name__ == "__main__":
    json.dump(_main(json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2])), sys.stdout)
