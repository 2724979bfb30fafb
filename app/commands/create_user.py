"""`create-user`: an account without a one-time code, for the first operator or for tests of a new server."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import TYPE_CHECKING

from rich.console import Console

from app.auth import service as accounts
from app.errors import ValidationFailed
from app.infra.db import unit_of_work

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_to(names: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the command line."""
    parser = names.add_parser("create-user", help="make an account without a one-time code")
    parser.add_argument("--phone", help="with country code: +15550001111")
    parser.add_argument("--username", help="letters, digits and _, at least 3")
    parser.add_argument("--first-name")
    parser.add_argument("--last-name")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Makes the account; asks for what the command line does not say.

    Raises ValidationFailed, UsernameTaken, Conflict or Unavailable.
    """
    # With --password-stdin the standard input is the password's: nothing else can be asked for.
    ask = not chosen.password_stdin and sys.stdin.isatty()
    phone = _given(chosen.phone, "phone", ask)
    username = _given(chosen.username, "username", ask)
    first_name = _given(chosen.first_name, "first_name", ask)
    password = _password(chosen.password_stdin)
    with unit_of_work() as unit:
        user_id = accounts.create_user(unit, phone, password, first_name, chosen.last_name, username)
    Console(highlight=False).print(f"[green]✓[/] Account {user_id} is ready: sign in with {phone}.")
    return 0


def _given(value: str | None, name: str, ask: bool) -> str:
    if value is None and ask:
        value = input(f"{name.replace('_', ' ').capitalize()}: ").strip()
    if not value:
        raise ValidationFailed(errors=[{"field": name, "message": f"is needed: --{name.replace('_', '-')}"}])
    return value


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ValidationFailed(errors=[{"field": "password", "message": "is needed: --password-stdin, or a terminal"}])
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise ValidationFailed(errors=[{"field": "password", "message": "the two are not the same"}])
    return password
