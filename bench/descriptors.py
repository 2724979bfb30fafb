"""How many descriptors, and with them sockets, a process may have."""

from __future__ import annotations

import resource

# What a process needs besides its sockets: files, pools, pipes.
_BESIDES = 300


class TooFew(SystemExit):
    """The system does not allow as many sockets as were asked for."""


def allow(sockets: int) -> None:
    """Raises the limit of this process, and of those that it starts, to so many sockets each.

    Raises TooFew, which ends the program with a sentence, where the system does not allow that.
    """
    needed = sockets + _BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise TooFew(
                f"{sockets:,} sockets need {needed:,} descriptors in each process, and `ulimit -Hn` allows {hard:,}: "
                f"raise it, or ask for at most {max(0, hard - _BESIDES):,} sockets."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
