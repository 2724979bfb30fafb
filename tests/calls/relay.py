"""A small TURN relay with the credentials of coturn's shared secret, for machines where coturn is not installed.

It does what a WebRTC client asks of it over UDP (RFC 8656): allocations, channels, refreshes; it counts what it relays.
Where coturn is installed the same tests use that as well.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from aioice import stun
from aioice.turn import is_channel_data, make_integrity_key

from tests.processes import eventually
from tests.unique import free_port

COTURN = Path("/usr/bin/turnserver")
SECRET = "shared with the relay"
_REALM = "tests"
_NONCE = b"once"
_LIFETIME = 600

Address = tuple[str, int]


def password_of(username: str) -> str:
    """The password that belongs to a name under the secret, reckoned without the code that is tested."""
    return base64.b64encode(hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()).decode()


class _Allocation(asyncio.DatagramProtocol):
    """One client's address at the relay: what comes there for a bound channel goes to the client."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self.channels: dict[int, Address] = {}
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for number, peer in self.channels.items():
            if peer == addr:
                self._send(struct.pack("!HH", number, len(data)) + data)


class Relay(asyncio.DatagramProtocol):
    """The server; `relayed` counts the bytes that clients sent through it."""

    def __init__(self) -> None:
        self.relayed = 0
        self._clients: dict[Address, _Allocation] = {}
        self._answering: set[asyncio.Future[None]] = set()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if is_channel_data(data):
            self._pass_on(data, addr)
        else:
            answering = asyncio.ensure_future(self._answer(stun.parse_message(data), addr))
            self._answering.add(answering)
            answering.add_done_callback(self._answering.discard)

    async def close(self) -> None:
        """Ends the server, and what clients left open."""
        for transport in (self._transport, *(allocation.transport for allocation in self._clients.values())):
            transport.close()
        # Transports are closed one turn of the loop after they were told to.
        await asyncio.sleep(0)

    def _pass_on(self, data: bytes, client: Address) -> None:
        number, length = struct.unpack("!HH", data[:4])
        allocation = self._clients.get(client)
        if allocation is not None and number in allocation.channels:
            self.relayed += length
            allocation.transport.sendto(data[4 : 4 + length], allocation.channels[number])

    async def _answer(self, request: stun.Message, client: Address) -> None:
        key = _key(request)
        kind = stun.Class.RESPONSE if key else stun.Class.ERROR
        answer = stun.Message(request.message_method, kind, transaction_id=request.transaction_id)
        if key is None:
            answer.attributes |= {"ERROR-CODE": (401, "Unauthorized"), "NONCE": _NONCE, "REALM": _REALM}
        else:
            await self._do(request, answer, client)
            answer.add_message_integrity(key)
        self._transport.sendto(bytes(answer), client)

    async def _do(self, request: stun.Message, answer: stun.Message, client: Address) -> None:
        if request.message_method == stun.Method.ALLOCATE:
            _, allocation = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Allocation(lambda data: self._transport.sendto(data, client)), local_addr=("127.0.0.1", 0)
            )
            self._clients[client] = allocation
            answer.attributes["XOR-RELAYED-ADDRESS"] = allocation.transport.get_extra_info("sockname")
            answer.attributes |= {"XOR-MAPPED-ADDRESS": client, "LIFETIME": _LIFETIME}
        elif request.message_method == stun.Method.CHANNEL_BIND:
            peer = request.attributes["XOR-PEER-ADDRESS"]
            self._clients[client].channels[request.attributes["CHANNEL-NUMBER"]] = peer
        elif request.message_method == stun.Method.REFRESH:
            answer.attributes["LIFETIME"] = request.attributes["LIFETIME"]
            if not request.attributes["LIFETIME"]:
                self._clients.pop(client).transport.close()


def _key(request: stun.Message) -> bytes | None:
    """The key of a request whose credentials are good: of the secret, and not over."""
    username = request.attributes.get("USERNAME", "")
    end = username.partition(":")[0]
    if not end.isdigit() or int(end) <= time.time():
        return None
    key = make_integrity_key(username, _REALM, password_of(username))
    return key if request.check_message_integrity(key) else None


@contextmanager
def running_relay() -> Iterator[tuple[str, Relay]]:
    """The address of a relay, and the relay."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay", daemon=True)
    thread.start()
    serving = loop.create_datagram_endpoint(Relay, local_addr=("127.0.0.1", 0))
    transport, relay = asyncio.run_coroutine_threadsafe(serving, loop).result(10)
    port = transport.get_extra_info("sockname")[1]
    try:
        yield f"turn:127.0.0.1:{port}?transport=udp", relay
    finally:
        asyncio.run_coroutine_threadsafe(relay.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def running_coturn(folder: Path) -> Iterator[str]:
    """The address of a coturn that relays between addresses of this machine."""
    port = free_port()
    options = {
        "static-auth-secret": SECRET,
        "realm": _REALM,
        "listening-ip": "127.0.0.1",
        "relay-ip": "127.0.0.1",
        "listening-port": str(port),
        "log-file": str(folder / "coturn.log"),
        "pidfile": str(folder / "coturn.pid"),
        "userdb": str(folder / "coturn.db"),
    }
    flags = ["-n", "--use-auth-secret", "--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls", "--simple-log"]
    command = [str(COTURN), *flags, *(f"--{name}={value}" for name, value in options.items())]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        eventually(lambda: stun_answers(port), message="coturn did not become ready")
        yield f"turn:127.0.0.1:{port}?transport=udp"
    finally:
        child.terminate()
        child.wait(20)


def stun_answers(port: int) -> bool:
    """Whether a STUN server is there and takes questions."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect(("127.0.0.1", port))
        try:
            asking.send(bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)))
            return bool(asking.recv(1500))
        except OSError:
            return False
