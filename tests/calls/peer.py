"""A WebRTC client in Python: reaches the other one through our API and socket only, and trickles its candidates."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.sdp import candidate_from_sdp

from tests.people import Person

_SECONDS = 30
_CANDIDATE, _LAST = "a=candidate:", "a=end-of-candidates"


class Peer:
    """One side of a call, on one device."""

    def __init__(self, person: Person, relayed: bool = False) -> None:
        self.person = person
        self.socket = person.socket()
        self.candidates: list[str] = []
        self.tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self.call_id = 0
        self.last_signal = 0
        self.connection: RTCPeerConnection
        self._policy = RTCIceTransportPolicy.RELAY if relayed else RTCIceTransportPolicy.ALL
        # A signal may come before the word that the call was answered: another process tells of that.
        self._told: dict[bool, asyncio.Queue[dict[str, Any]]] = {True: asyncio.Queue(), False: asyncio.Queue()}
        self._loop = asyncio.get_running_loop()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                event = self.socket.read()
            except Exception:  # However the socket ends, there is nothing more to read.
                return
            if event["event"] == "call":
                queue = self._told[event["data"]["action"] == "signal"]
                self._loop.call_soon_threadsafe(queue.put_nowait, event["data"])

    async def told(self, action: str) -> dict[str, Any]:
        """What is told next of a call, which is this; signals are in a line of their own."""
        data = await asyncio.wait_for(self._told[action == "signal"].get(), _SECONDS)
        assert data["action"] == action, data
        if action != "signal":
            return data
        if data["signal_id"] <= self.last_signal:
            return await self.told(action)  # A new socket is told again what the one before had.
        self.last_signal = data["signal_id"]
        return data

    def open(self, call: dict[str, Any], *kinds: str) -> None:
        """Prepares to connect in a call, by the servers that the API names for it, and to send media."""
        self.call_id = call["id"]
        servers = [RTCIceServer(**server) for server in call["ice_servers"]]
        self.connection = RTCPeerConnection(RTCConfiguration(servers, self._policy, RTCBundlePolicy.MAX_BUNDLE))
        self.connection.on("track", self.tracks.put_nowait)
        for kind in kinds:
            self.send_media(kind)

    def send_media(self, kind: str) -> None:
        """Sends sound or pictures, once that is negotiated."""
        self.connection.addTrack(AudioStreamTrack() if kind == "audio" else VideoStreamTrack())

    async def offer(self) -> None:
        """Offers what this side has to send now."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        self._say_description()

    async def hear_description(self) -> None:
        """Takes the other side's description with its candidates, and answers an offer."""
        description = (await self.told("signal"))["signal"]["description"]
        await self.connection.setRemoteDescription(RTCSessionDescription(**description))
        while (said := (await self.told("signal"))["signal"])["candidate"]:
            candidate = candidate_from_sdp(said["candidate"].partition(":")[2])
            candidate.sdpMid = said["sdpMid"]
            await self.connection.addIceCandidate(candidate)
        await self.connection.addIceCandidate(None)
        if description["type"] == "offer":
            await self.connection.setLocalDescription(await self.connection.createAnswer())
            self._say_description()

    def _say_description(self) -> None:
        """Says the description without its candidates, and then each of these by itself."""
        local = self.connection.localDescription
        lines = local.sdp.splitlines(keepends=True)
        kept = "".join(line for line in lines if not line.startswith((_CANDIDATE, _LAST)))
        self._say(description={"type": local.type, "sdp": kept})
        mid = self.connection.getTransceivers()[0].mid
        for line in lines:
            if line.startswith(_CANDIDATE):
                self.candidates.append(line)
                self._say(candidate=line.strip().removeprefix("a="), sdpMid=mid)
        self._say(candidate="")

    def _say(self, **signal: Any) -> None:
        self.socket.frame("call_signal", {"call_id": self.call_id, "signal": signal})

    async def receives(self, *kinds: str) -> None:
        """Waits for some frames of each of these kinds of media."""
        for kind in kinds:
            track = await asyncio.wait_for(self.tracks.get(), _SECONDS)
            assert track.kind == kind
            for _ in range(3):
                await asyncio.wait_for(track.recv(), _SECONDS)

    async def close(self) -> None:
        """Ends the connection and the socket."""
        await self.connection.close()
        # Wakes who reads.
        assert self.socket.socket.sock is not None
        self.socket.socket.sock.shutdown(socket.SHUT_RDWR)
        self._reader.join(_SECONDS)
        self.socket.socket.shutdown()
