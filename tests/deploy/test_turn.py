"""The coturn of docker-compose.yml, run with its very options: what our credentials open, and what nothing opens."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aioice import stun, turn

from app.calls.ice import ice_servers
from config import settings
from tests.calls.relay import COTURN, SECRET, stun_answers
from tests.deploy.files import SERVICES
from tests.processes import eventually
from tests.unique import free_port

_SETTINGS = {"TURN_SECRET": SECRET, "TURN_ADDRESS": "203.0.113.1"}


def command(folder: Path, port: int) -> list[str]:
    """The command of the file, with the settings put in, on a port that is free here."""
    told = [
        re.sub(r"\$\{(\w+)[^}]*\}", lambda found: _SETTINGS[found[1]], each) for each in SERVICES["turn"]["command"]
    ]
    moved = {"--listening-port": str(port), "--pidfile": str(folder / "turnserver.pid")}
    names = [each.partition("=")[0] for each in told]
    assert moved.keys() <= set(names)
    kept = [each for each, name in zip(told, names, strict=True) if name not in moved]
    # Its database would lie in a folder that the container has.
    own = [f"{name}={value}" for name, value in moved.items()] + [f"--userdb={folder / 'coturn.db'}"]
    return [str(COTURN), *kept[1:], *own]


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """The port of that coturn."""
    port = free_port()
    with (folder / "coturn.log").open("ab") as log:
        child = subprocess.Popen(command(folder, port), stdout=log, stderr=log, cwd=folder)
    try:
        eventually(lambda: stun_answers(port), message=f"coturn did not start: {(folder / 'coturn.log').read_text()}")
        yield port
    finally:
        child.terminate()
        child.wait(20)


async def refused(port: int, username: str, password: str, peers: tuple[str, ...]) -> dict[str, int]:
    """With which code coturn refuses to relay to each of these addresses; those that it takes are not there."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(
        lambda: turn.TurnClientUdpProtocol(
            ("127.0.0.1", port), username=username, password=password, lifetime=600, channel_refresh_time=500
        ),
        remote_addr=("127.0.0.1", port),
    )
    found: dict[str, int] = {}
    try:
        await client.connect()
        for number, peer in enumerate(peers, start=0x4000):
            try:
                await client.channel_bind(number, (peer, 40_000))
            except stun.TransactionFailed as error:
                found[peer] = error.response.attributes["ERROR-CODE"][0]
        await client.delete()
    finally:
        transport.close()
    return found


if COTURN.exists():

    def test_the_coturn_of_compose_starts_and_relays_for_our_credentials_and_to_no_private_address(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with running(tmp_path) as port:
            monkeypatch.setattr(settings(), "turn_urls", [f"turn:127.0.0.1:{port}"])
            monkeypatch.setattr(settings(), "turn_secret", SECRET)
            (server,) = ice_servers(17)
            name, password = server["username"], server["credential"]
            private = ("10.1.2.3", "127.0.0.1", "172.18.0.2", "192.168.1.1", "169.254.169.254")
            assert asyncio.run(refused(port, name, password, ("203.0.113.5", *private))) == dict.fromkeys(private, 403)
            with pytest.raises(stun.TransactionFailed):
                asyncio.run(refused(port, name, "another", ()))
