"""What no text of this project says, whatever its kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_PROJECT = Path(__file__).parents[2]
# Made by tools, or data; and pages written by others.
_FOLDERS_LEFT_OUT = {"__pycache__", "var", "static"}
# Written so that this file does not match itself.
_UNWANTED = {
    "a numbered report": re.compile(r"\bissue [#]\d|\b(?:pull|merge) request [#]\d", re.IGNORECASE),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:[w]ork|[h]ome|[R]oot|[U]sers)/\w"),
    "a host of a package registry": re.compile(
        r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|deb[.]debian[.]org|archive[.]ubuntu[.]com|crates[.]io"
        r"|proxy[.]golang[.]org"
    ),
    "something left to do": re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b"),
}


def texts() -> Iterator[tuple[Path, str]]:
    """The project's own text files, hidden folders of tools left out."""
    for path in _PROJECT.rglob("*"):
        inside = path.relative_to(_PROJECT)
        if any(part in _FOLDERS_LEFT_OUT or (part.startswith(".") and part != ".ci") for part in inside.parts[:-1]):
            continue
        # In a worktree .git is a file, which says where the repository is.
        if path.is_file() and path.name not in (".env", ".git"):
            try:
                yield inside, path.read_text()
            except (UnicodeDecodeError, FileNotFoundError):
                # No text, or a file that another process keeps for a moment only.
                continue


def unwanted(text: str) -> list[str]:
    """What a text says and should not: the kind and the words."""
    return [f"{kind}: {found[0]}" for kind, pattern in _UNWANTED.items() for found in pattern.finditer(text)]


def test_no_text_names_what_belongs_elsewhere() -> None:
    found = {str(path): said for path, text in texts() if (said := unwanted(text))}
    assert found == {}


def test_the_texts_are_found() -> None:
    assert {"README.md", "Makefile", "app/factory.py", ".ci/run", "docs/errors.md"} <= {
        str(path) for path, _ in texts()
    }


def test_unwanted_words_are_noticed() -> None:
    host = ".".join(("https://pypi", "org/simple"))
    path = "/".join(("", "home", "somebody", "paperplane"))
    report = " ".join(("see", "issue", "#" + "12"))
    assert [len(unwanted(text)) for text in (host, path, report, "all is well")] == [1, 1, 1, 0]
