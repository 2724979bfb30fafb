"""Runs README.md's Python, which stands in the file named first: answers each line of its input with what it keeps.

A line may be an event and its data, which are kept first. The page's `run` is called again after a break, and the
process ends when `run` has ended after the end of the input.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from pathlib import Path
from typing import Any

import requests
import websocket

_PAUSE_SECONDS = 0.2
_BREAKS = (requests.RequestException, websocket.WebSocketException, OSError)


def main(code: str, base: str, token: str) -> None:
    """Follows until the input has ended and the line is broken."""
    names: dict[str, Any] = {"json": json, "math": math, "requests": requests, "websocket": websocket}
    exec(code, names)
    state: dict[str, str] = {}
    chats: dict[int, Any] = {}
    messages: dict[int, Any] = {}
    events: list[str] = []
    has_ended = threading.Event()

    def apply(event: str, data: Any) -> None:
        with guard:
            events.append(event)
            names["keep"](chats, messages, event, data)

    def follow() -> None:
        while not has_ended.is_set():
            try:
                names["run"](base, token, state, apply)
            except _BREAKS as error:
                print(type(error).__name__, error, file=sys.stderr)
            has_ended.wait(_PAUSE_SECONDS)

    guard = threading.Lock()
    follower = threading.Thread(target=follow)
    follower.start()
    for line in sys.stdin:
        with guard:
            if line.strip():
                names["keep"](chats, messages, *json.loads(line))
            kept = {"chats": list(chats.values()), "messages": list(messages.values())}
            answer = json.dumps({"state": state, "events": events, **kept})
        print(answer, flush=True)
    has_ended.set()
    follower.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text(), *sys.argv[2:])
