"""ThumbHash: a blurred likeness of a picture in about 25 bytes, shown until the thumbnail is there."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi
from typing import NamedTuple


class _Channel(NamedTuple):
    mean: float
    waves: list[float]  # Each from 0 to 1, in the order of the format.
    scale: float


def encoded(width: int, height: int, pixels: bytes) -> bytes:
    """The hash of an image given as RGBA bytes; 100 pixels a side at most, 32 are enough."""
    reds, greens, blues, alphas = (pixels[offset::4] for offset in range(4))
    opacity = [alpha / 255 for alpha in alphas]
    total = sum(opacity)
    colours = [_over_mean(colour, opacity, total) for colour in (reds, greens, blues)]
    triples = list(zip(*colours, strict=True))
    is_opaque = min(alphas) == 255
    most, longest = (7 if is_opaque else 5), max(width, height)
    across, down = (max(1, _round(most * side / longest)) for side in (width, height))

    def waves(values: Sequence[float], horizontal: int, vertical: int) -> _Channel:
        return _transformed(values, width, height, horizontal, vertical)

    light = waves([(red + green + blue) / 3 for red, green, blue in triples], max(3, across), max(3, down))
    yellow = waves([(red + green) / 2 - blue for red, green, blue in triples], 3, 3)
    red_green = waves([red - green for red, green, _ in triples], 3, 3)
    is_landscape = width > height
    first = (
        _round(63 * light.mean)
        | _round(31.5 + 31.5 * yellow.mean) << 6
        | _round(31.5 + 31.5 * red_green.mean) << 12
        | _round(31 * light.scale) << 18
        | (not is_opaque) << 23
    )
    second = (
        (down if is_landscape else across)
        | _round(63 * yellow.scale) << 3
        | _round(63 * red_green.scale) << 9
        | is_landscape << 15
    )
    head = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    channels = [light, yellow, red_green]
    if not is_opaque:
        alpha = waves(opacity, 5, 5)
        head += bytes([_round(15 * alpha.mean) | _round(15 * alpha.scale) << 4])
        channels.append(alpha)
    return head + _packed([_round(15 * wave) for channel in channels for wave in channel.waves])


def _over_mean(colour: bytes, opacity: Sequence[float], total: float) -> list[float]:
    """The colour from 0 to 1, laid over its own mean where it is transparent."""
    mean = sum(value * alpha for value, alpha in zip(colour, opacity, strict=True)) / 255 / total if total else 0.0
    return [mean * (1 - alpha) + alpha * value / 255 for value, alpha in zip(colour, opacity, strict=True)]


def _transformed(values: Sequence[float], width: int, height: int, across: int, down: int) -> _Channel:
    """The lowest waves of the cosine transform: rows first, then columns, which is far less work than both at once."""
    rows = [values[start : start + width] for start in range(0, width * height, width)]
    columns = []
    for wave in range(across):
        curve = [cos(pi / width * wave * (x + 0.5)) for x in range(width)]
        columns.append([sum(a * b for a, b in zip(row, curve, strict=True)) for row in rows])
    mean, found = 0.0, []
    for vertical in range(down):
        curve = [cos(pi / height * vertical * (y + 0.5)) for y in range(height)]
        horizontal = 0
        while horizontal * down < across * (down - vertical):
            value = sum(a * b for a, b in zip(columns[horizontal], curve, strict=True)) / (width * height)
            if horizontal or vertical:
                found.append(value)
            else:
                mean = value
            horizontal += 1
    scale = max((abs(value) for value in found), default=0.0)
    if scale:
        found = [0.5 + 0.5 / scale * value for value in found]
    return _Channel(mean, found, scale)


def _packed(halves: Sequence[int]) -> bytes:
    """Two values of four bits in each byte, the first in the lower half."""
    padded = [*halves, 0] if len(halves) % 2 else list(halves)
    return bytes(low | high << 4 for low, high in zip(padded[::2], padded[1::2], strict=True))


def _round(value: float) -> int:
    """Half goes up, as in the reference; Python's round() would go to the even number."""
    return int(value + 0.5)
