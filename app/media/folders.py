"""Lets the child read its libraries and the one file, and write its own folder, and nothing else on the disk.

A feature of Linux from 5.13 on (Landlock); elsewhere file permissions are what holds.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_VERSION, _BENEATH = 1, 1
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_REMOVE, _MAKE = 1 << 5, 1 << 8
_FIRST_VERSION = (1 << 13) - 1  # All rights that the first version knows.
_LATER = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # Linking elsewhere, truncating, controlling devices.
_TRUNCATE = 1 << 14


def confine_to(file: Path, folder: Path) -> bool:
    """Restricts this process for good; tells whether the kernel can."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = known_version()
    if version < 1:
        return False
    handled = _FIRST_VERSION | sum(right for since, right in _LATER.items() if version >= since)
    attributes = ctypes.create_string_buffer(struct.pack("=Q", handled), 8)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, 8, 0)
    if ruleset < 0:
        return False
    _allow(libc, ruleset, _libraries(), (_EXECUTE | _READ | _LIST) & handled)
    _allow(libc, ruleset, [str(file)], _READ & handled)
    _allow(libc, ruleset, [str(folder)], (_READ | _WRITE | _LIST | _MAKE | _REMOVE | _TRUNCATE) & handled)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    restricted: bool = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return restricted


def known_version() -> int:
    """The version of Landlock that the kernel knows; 0 or less for none."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _VERSION)
    return version


def _libraries() -> set[str]:
    """Folders of Python, its packages and the system's libraries; not the project's, where secrets may lie."""
    paths = sysconfig.get_paths()
    named = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"]}
    packages = {entry for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages", "lib-dynload"}}
    return named | packages | {f"{sys.base_prefix}/lib", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"}


def _allow(libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        is_folder = Path(path).is_dir()
        granted = rights if is_folder else rights & (_EXECUTE | _WRITE | _READ | _TRUNCATE)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", granted, descriptor), 12)
        libc.syscall(_ADD_RULE, ruleset, _BENEATH, rule, 0)
        os.close(descriptor)
