"""`python -m app.commands <name>`: reads the command line, runs the command, says in words what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from app.commands import create_user, demo, doctor, reindex
from app.errors import AppError, Unavailable
from config import settings

_COMMANDS = (create_user, demo, doctor, reindex)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command of the arguments; gives the exit code: 0 well, 1 refused or broken."""
    parser = argparse.ArgumentParser(prog="python -m app.commands", description="Commands of Paperplane.")
    names = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(names)
    chosen = parser.parse_args(arguments)
    settings()
    errors = Console(stderr=True, highlight=False)
    try:
        return int(chosen.run(chosen))
    except Unavailable:
        errors.print("[red]✗[/] The database or Redis cannot be reached: is Paperplane running? Try `make doctor`.")
    except AppError as error:
        errors.print("[red]✗[/]", error.detail, markup=True)
        for problem in error.errors:
            errors.print(f"  {problem['field']}: {problem['message']}", markup=False)
    except KeyboardInterrupt:
        errors.print("Stopped; nothing was left half done.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
