"""What a child that was taken over might do: each of these is run in the child in place of the real work."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from app.media.recordings import opened
from app.media.sniffing import Format


def allocate(_: dict[str, Any]) -> dict[str, Any]:
    """Takes 4 GB."""
    return {"kind": "file", "mime_type": str(len(bytearray(4 << 30)))}


def spin(_: dict[str, Any]) -> None:
    """Computes for ever."""
    while True:
        pass


def wait(_: dict[str, Any]) -> None:
    """Uses no processor and never ends."""
    time.sleep(3600)


def fork(request: dict[str, Any]) -> dict[str, Any]:
    """Leaves a process behind."""
    try:
        if os.fork() == 0:
            time.sleep(3600)
    except OSError as error:
        return {"error": error.errno}
    return {"error": 0}


def fork_and_hide(request: dict[str, Any]) -> dict[str, Any]:
    """Leaves a process behind that tries to leave the group, and holds the pipe open."""
    with contextlib.suppress(OSError):
        os.setsid()
    return fork(request)


def fill_one_file(request: dict[str, Any]) -> dict[str, Any]:
    """Writes 10 GB."""
    with (Path(request["folder"]) / "large").open("wb") as file:
        for _ in range(10_000):
            file.write(bytes(1_000_000))
    return {}


def fill_many_files(request: dict[str, Any]) -> None:
    """Writes 10 MB in files each of which is small enough, and stays."""
    for number in range(10):
        (Path(request["folder"]) / str(number)).write_bytes(bytes(1_000_000))
    time.sleep(3600)


def write_elsewhere(request: dict[str, Any]) -> dict[str, Any]:
    """Writes beside its folder."""
    try:
        (Path(request["folder"]).parent / "elsewhere").write_text("here")
    except OSError as error:
        return {"error": error.errno}
    return {"error": 0}


def read_secret(request: dict[str, Any]) -> dict[str, Any]:
    """Reads a file beside the one it is to look at, and its parent's environment."""
    errors = []
    for path in (Path(request["path"]).with_name("secret"), Path(f"/proc/{os.getppid()}/environ")):
        try:
            path.read_bytes()
            errors.append(0)
        except OSError as error:
            errors.append(error.errno or -1)
    return {"errors": errors}


def environment(_: dict[str, Any]) -> dict[str, Any]:
    """Tells its environment, its limits and what it has open."""
    names = (
        resource.RLIMIT_CPU,
        resource.RLIMIT_AS,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_CORE,
    )
    return {
        "environment": dict(os.environ),
        "limits": [resource.getrlimit(name) for name in names],
        "niceness": os.nice(0),
        "stdin": os.read(0, 10).decode(),
        "folder": [path.name for path in Path().iterdir()],
    }


def raise_limits(_: dict[str, Any]) -> dict[str, Any]:
    """Asks for more processor time than it was given."""
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))
    except (OSError, ValueError):
        return {"raised": False}
    return {"raised": True}


def connect(request: dict[str, Any]) -> dict[str, Any]:
    """Connects to the address that stands in the file."""
    host, port = Path(request["path"]).read_text().split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        return {"error": error.errno}
    return {"error": 0}


def play(request: dict[str, Any]) -> dict[str, Any]:
    """Gives FFmpeg the file as a playlist, as if nobody had looked at what it is."""
    try:
        with opened(Format("recording", "video/mp4", "hls"), Path(request["path"])):
            return {"opened": True}
    except Exception as error:
        return {"opened": False, "error": type(error).__name__}


def start_program(_: dict[str, Any]) -> dict[str, Any]:
    """Becomes another program."""
    try:
        os.execv("/bin/true", ["true"])
    except OSError as error:
        return {"error": error.errno}


def run_program(_: dict[str, Any]) -> dict[str, Any]:
    """Starts another program."""
    try:
        subprocess.run([sys.executable, "-c", ""], check=False)
    except OSError as error:
        return {"error": error.errno}
    return {"error": 0}


def kill_parent(_: dict[str, Any]) -> dict[str, Any]:
    """Ends who started it."""
    try:
        os.kill(os.getppid(), signal.SIGKILL)
    except OSError as error:
        return {"error": error.errno}
    return {"error": 0}


def kill_itself(_: dict[str, Any]) -> None:
    """Ends as the kernel ends what takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash(_: dict[str, Any]) -> None:
    """Reads where nothing is."""
    ctypes.string_at(0)


def leave(_: dict[str, Any]) -> None:
    """Ends without a report, as if all were well."""
    os._exit(0)


def be_silent(_: dict[str, Any]) -> None:
    """Closes everything that it could report by, and goes on."""
    os.closerange(0, 64)
    time.sleep(3600)


def fail(_: dict[str, Any]) -> None:
    """Has a defect."""
    raise RuntimeError("a defect")


def talk(_: dict[str, Any]) -> dict[str, Any]:
    """Prints, as libraries do, and reports all the same."""
    os.write(1, b"not the report")
    return {"kind": "file", "mime_type": "text/plain"}


def talk_for_ever(_: dict[str, Any]) -> None:
    """Writes to its report without end."""
    while True:
        os.write(_report(), b"[" * 65_536)


def garble(_: dict[str, Any]) -> None:
    """Reports what is no JSON."""
    os.write(_report(), b'{"found": ')
    os._exit(0)


def nest(_: dict[str, Any]) -> None:
    """Reports JSON that is nested too deep to be read."""
    os.write(_report(), b"[" * 60_000)
    os._exit(0)


def _report() -> int:
    """The descriptor of the pipe to the parent."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                return descriptor
    raise AssertionError("no pipe")


def lie_about_type(_: dict[str, Any]) -> dict[str, Any]:
    """Says that a picture is a page."""
    return {"kind": "image", "mime_type": "text/html"}


def lie_about_thumbnails(_: dict[str, Any]) -> dict[str, Any]:
    """Names thumbnails that it did not write."""
    return _with_thumbnail()


def link_a_thumbnail(request: dict[str, Any]) -> dict[str, Any]:
    """Gives a link to another file for a thumbnail."""
    (Path(request["folder"]) / "small.webp").symlink_to("/etc/passwd")
    return _with_thumbnail()


def script_as_thumbnail(request: dict[str, Any]) -> dict[str, Any]:
    """Gives a page for a thumbnail."""
    (Path(request["folder"]) / "small.webp").write_text("<script>alert(1)</script>")
    return _with_thumbnail()


def name_a_path(_: dict[str, Any]) -> dict[str, Any]:
    """Names a thumbnail outside of its folder."""
    return _with_thumbnail("../../etc/passwd")


def _with_thumbnail(name: str = "small") -> dict[str, Any]:
    small = {"name": name, "width": 10, "height": 10}
    return {"kind": "image", "mime_type": "image/png", "width": 10, "height": 10, "thumbnails": [small]}
