"""Where the embedded servers of a data folder are reached; used by the servers and by whoever connects to them."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

# A unix socket's path holds 103 bytes at most on macOS (107 on Linux); PostgreSQL adds "/.s.PGSQL.5432" to its folder.
_LONGEST_FOLDER = 88
# Commas and quotes mean something to PostgreSQL's list of folders, percent signs to the readers of URLs.
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")

DATABASE = "paperplane"
ROLE = "paperplane"


def socket_folder(data_dir: Path) -> Path:
    """The folder of the unix sockets: `DATA_DIR/run`, or one of this user's in the temporary folder where that path is
    too long or holds characters that PostgreSQL or URLs would read differently.
    """
    folder = data_dir.absolute() / "run"
    if len(os.fsencode(folder)) <= _LONGEST_FOLDER and _PLAIN.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # /tmp rather than TMPDIR where it exists: programs started from elsewhere must find the same folder.
    shared = Path("/tmp")  # noqa: S108 - the servers refuse the folder where somebody else made it
    temporary = shared if shared.is_dir() else Path(tempfile.gettempdir())
    return temporary / f"paperplane-{os.getuid()}-{digest}"


def embedded_database_url(data_dir: Path, database: str = DATABASE) -> str:
    """The SQLAlchemy URL of the embedded PostgreSQL."""
    return f"postgresql+psycopg2://{ROLE}@/{database}?host={quote(str(socket_folder(data_dir)))}"


def embedded_redis_url(data_dir: Path, number: int = 0) -> str:
    """The URL of a numbered database in the embedded Valkey."""
    return f"unix://{quote(str(socket_folder(data_dir)))}/valkey.sock?db={number}"
