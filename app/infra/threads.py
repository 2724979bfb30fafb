"""Work that blocks, beside gevent's hub: in real threads where gevent runs, right here otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gevent.hub import Hub
    from gevent.threadpool import ThreadPool

Result = TypeVar("Result")

_FILE_THREADS = 16
_file_pools: dict[Hub, ThreadPool] = {}  # One: a process has one hub.


def beside_the_hub(work: Callable[[], Result]) -> Result:
    """Runs work for the processor in gevent's own threads; gives its result, and raises what it raises."""
    if not hub_runs_here():
        return work()
    import gevent

    result: Result = gevent.get_hub().threadpool.apply(work)
    return result


def with_files(work: Callable[[], Result]) -> Result:
    """The same for work that waits for a disk, in threads kept for that.

    A disk that hangs holds these, and neither look-ups of names nor passwords.
    """
    if not hub_runs_here():
        return work()
    result: Result = _file_pool().apply(work)
    return result


def let_others_run() -> None:
    """Between two pieces of long work: whatever else waits for this process has its turn; then the work goes on."""
    if hub_runs_here():
        give_way()


def give_way() -> None:
    """The same for who knows to be a greenlet. What has come over sockets meanwhile has its turn too.

    That `gevent.sleep(0)` does not do: it comes back without a look at the sockets, at least fifty times in a row and
    for some 5 ms. This here costs a turn of everybody who is ready by then: give way when some work is done, not often.
    """
    import gevent

    hub = gevent.get_hub()
    loop: Any = hub.loop
    # Of all that is due at one look, what has the least priority goes on last.
    with loop.timer(0.0, priority=loop.MINPRI) as timer:
        hub.wait(timer)


def hub_runs_here() -> bool:
    """Whether greenlets stand for threads in this process."""
    if "gevent.monkey" not in sys.modules:
        return False
    from gevent import monkey

    return bool(monkey.is_module_patched("threading"))


def _file_pool() -> ThreadPool:
    import gevent
    from gevent.threadpool import ThreadPool

    hub = gevent.get_hub()
    pool = _file_pools.get(hub)
    if pool is None:
        pool = _file_pools[hub] = ThreadPool(_FILE_THREADS, hub=hub)
    return pool
