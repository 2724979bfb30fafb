"""`reindex`: the index of search is made anew, beside what goes on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.search import rebuilding

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_to(names: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the command line."""
    parser = names.add_parser("reindex", help="make the index of search anew; goes on where it was stopped")
    parser.add_argument("--restart", action="store_true", help="begin anew, also where a run was stopped")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Indexes all messages anew, or the rest of them; stopping it loses nothing. Raises Unavailable."""
    console = Console(highlight=False)
    left = rebuilding.left()
    if left.chats and not chosen.restart:
        console.print(f"Going on: {left.messages:,} messages of {left.chats:,} chats are left.")
    else:
        rebuilding.begin()
        left = rebuilding.left()
    columns = (TextColumn("Messages"), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("messages", total=left.messages)
        for done in rebuilding.run():
            progress.advance(task, done)
    console.print("[green]✓[/] The index of search is up to date.")
    return 0
