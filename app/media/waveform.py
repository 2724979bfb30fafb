"""The waveform of a recording: 100 peaks from 0 to 31. Runs in the child."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from app.media.outcome import Refusal, Refused

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

PEAKS, LOUDEST = 100, 31
_RATE = 8000  # Samples a second: enough for how loud it is.


def waveform(container: InputContainer, stream: AudioStream, most_seconds: int) -> tuple[list[int], float, bool]:
    """The peaks, the seconds that were decoded, and whether these are all of them. Raises Refused where none can be."""
    from av import AudioResampler

    resampler = AudioResampler(format="s16", layout="mono", rate=_RATE)
    stream.codec_context.thread_count = 1
    samples: array[int] = array("h")
    heard = 0
    for packet in container.demux(stream):
        for frame in _decoded(packet):
            heard += frame.samples
            _append(samples, resampler, frame)
        if len(samples) > most_seconds * _RATE:
            return [], len(samples) / _RATE, False
    _append(samples, resampler, None)
    if not heard:
        raise Refused(Refusal.DAMAGED)
    # A click may be too short for the resampler, which then gives nothing.
    return peaks(samples or array("h", [0])), len(samples) / _RATE, True


def peaks(samples: array[int]) -> list[int]:
    """How loud it is in each hundredth, the loudest being 31; all 0 for silence."""
    loudness = []
    for part in range(PEAKS):
        start = len(samples) * part // PEAKS
        piece = samples[start : max(start + 1, len(samples) * (part + 1) // PEAKS)]
        loudest_up, loudest_down = max(piece), -min(piece)
        loudness.append(max(loudest_up, loudest_down))
    loudest = max(loudness)
    return [value * LOUDEST // loudest for value in loudness] if loudest else loudness


def _decoded(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The packet's sound; nothing where it is damaged, as a recording that lost some is still worth hearing."""
    from av.error import InvalidDataError

    try:
        return packet.decode()
    except InvalidDataError:
        return []


def _append(samples: array[int], resampler: AudioResampler, frame: AudioFrame | None) -> None:
    for resampled in resampler.resample(frame):
        samples.frombytes(memoryview(resampled.planes[0])[: 2 * resampled.samples])
