"""Writes `.env.example`: `python -m config.example > .env.example`."""

from __future__ import annotations

from config import Settings


def example() -> str:
    """The text of `.env.example`: every setting with what it means and its default."""
    lines = ["# Settings of Paperplane: copy to .env and change what you need. Everything has a default.", ""]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else ",".join(default) if isinstance(default, list) else str(default)
        lines += [f"# {field.description}", f"#{name.upper()}={shown.lower() if isinstance(default, bool) else shown}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(example(), end="")
