"""This machine and the settings: files, disk, limits, who sends codes."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.commands.checks.finding import Finding, broken, good, warning
from config import Settings

# Files besides sockets: the database's and Redis' connections, logs, code.
_OTHER_FILES = 300
_LITTLE_DISK = 1_000_000_000
_SOME_DISK = 5_000_000_000


def check(current: Settings) -> Iterator[Finding]:
    """What is found about the machine that this runs on."""
    yield _open_files(current)
    yield _sms(current)
    for name, folder in {"DATA_DIR": current.data_dir, "UPLOAD_DIR": current.uploads}.items():
        yield _writable(name, folder)
    yield _disk(current.data_dir)


def _open_files(current: Settings) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # As many requests may come beside the sockets.
    needed = 2 * current.web_connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return good("Open files", f"up to {soft}, enough for WEB_CONNECTIONS={current.web_connections}")
    if hard == resource.RLIM_INFINITY or hard >= needed:
        return good(
            "Open files",
            f"up to {soft}, and {hard} for who asks: enough for {current.web_connections} sockets and requests",
        )
    return warning(
        "Open files",
        f"at most {hard}, but WEB_CONNECTIONS={current.web_connections} needs {needed}",
        f"raise the limit (ulimit -n {needed}) or lower WEB_CONNECTIONS",
    )


def _sms(current: Settings) -> Finding:
    missing = [
        name.upper()
        for name in {"twilio": ("twilio_account_sid", "twilio_auth_token"), "sns": ("sns_region",)}.get(
            current.sms_provider or "", ()
        )
        if not getattr(current, name)
    ]
    if missing:
        return broken("SMS", f"{current.sms_provider} lacks {', '.join(missing)}", "set them, or another SMS_PROVIDER")
    if current.sms_provider == "console" and current.environment == "production":
        return warning("SMS", "console: codes stand in the log, nobody gets them", "set SMS_PROVIDER to twilio or sns")
    return good("SMS", str(current.sms_provider))


def _writable(name: str, folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return good(name, f"{folder} can be written to")
    except OSError as error:
        return broken(name, f"{folder}: {os.strerror(error.errno or 0)}", f"make it writable, or set another {name}")


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    text = f"{free / 1e9:.1f} GB free"
    if free < _LITTLE_DISK:
        return broken("Disk", text, "make room: PostgreSQL stops when the disk is full")
    return warning("Disk", text, "make room soon") if free < _SOME_DISK else good("Disk", text)
