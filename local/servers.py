"""The embedded servers: `with embedded_postgres(data_dir) as server:` and `with embedded_valkey(data_dir) as server:`.

Start them in the main thread: elsewhere the kernel cannot tie them to the life of the process, only the keeper does.
"""

from __future__ import annotations

from local.folders import ServerError
from local.locks import InUse
from local.postgres import Postgres, embedded_postgres, postgres_binaries
from local.valkey import Valkey, embedded_valkey, valkey_binary

__all__ = [
    "InUse",
    "Postgres",
    "ServerError",
    "Valkey",
    "embedded_postgres",
    "embedded_valkey",
    "postgres_binaries",
    "valkey_binary",
]
