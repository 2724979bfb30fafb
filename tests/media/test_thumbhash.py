"""The likeness of a picture, read back as clients read it."""

from __future__ import annotations

from math import cos, pi

import pytest
from PIL import Image

from app.media.thumbhash import encoded
from tests.media.makers import quarters


def colour(thumbhash: bytes, x: float, y: float) -> tuple[int, int, int, int]:
    """The colour at a place from 0 to 1, by the published way of reading a ThumbHash."""
    first, second = int.from_bytes(thumbhash[:3], "little"), int.from_bytes(thumbhash[3:5], "little")
    means = [(first & 63) / 63, (first >> 6 & 63) / 31.5 - 1, (first >> 12 & 63) / 31.5 - 1, 1.0]
    scales = [(first >> 18 & 31) / 31, (second >> 3 & 63) / 63 * 1.25, (second >> 9 & 63) / 63 * 1.25, 0.0]
    has_alpha, is_landscape = first >> 23, second >> 15
    most, varied = (5 if has_alpha else 7), second & 7
    across, down = (most, varied) if is_landscape else (varied, most)
    shapes = [(max(3, across), max(3, down)), (3, 3), (3, 3)]
    if has_alpha:
        means[3], scales[3] = (thumbhash[5] & 15) / 15, (thumbhash[5] >> 4) / 15
        shapes.append((5, 5))
    halves = iter([half for byte in thumbhash[6 if has_alpha else 5 :] for half in (byte & 15, byte >> 4)])
    for channel, (width, height) in enumerate(shapes):
        for wave_y in range(height):
            for wave_x in range(0 if wave_y else 1, width):
                if wave_x * height >= width * (height - wave_y):
                    break
                value = (next(halves) / 7.5 - 1) * scales[channel]
                means[channel] += value * 2 * cos(pi * wave_x * x) * cos(pi * wave_y * y)
    light, yellow, red_green, alpha = means
    blue = light - 2 / 3 * yellow
    red = (3 * light - blue + red_green) / 2
    values = (red, red - red_green, blue, alpha)
    return tuple(max(0, min(255, round(255 * value))) for value in values)  # type: ignore[return-value]


@pytest.mark.parametrize("shade", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (120, 80, 200)])
def test_one_colour_comes_back_as_that_colour(shade: tuple[int, int, int]) -> None:
    likeness = encoded(20, 20, Image.new("RGBA", (20, 20), (*shade, 255)).tobytes())
    found = colour(likeness, 0.5, 0.5)
    assert all(abs(value - wanted) < 14 for value, wanted in zip(found[:3], shade, strict=True))
    assert found[3] == 255


@pytest.mark.parametrize("size", [(32, 20), (20, 32), (32, 32)])
def test_each_colour_comes_back_in_its_place(size: tuple[int, int]) -> None:
    likeness = encoded(*size, quarters(*size).convert("RGBA").tobytes())
    assert len(likeness) <= 25
    red, green, blue, white = (colour(likeness, x, y) for y in (0.2, 0.8) for x in (0.2, 0.8))
    assert red[0] > red[1] + 60
    assert red[0] > red[2] + 60
    assert green[1] > max(green[0], green[2]) + 60
    assert blue[2] > max(blue[0], blue[1]) + 60
    assert min(white[:3]) > 160


def test_what_is_transparent_comes_back_transparent() -> None:
    image = Image.new("RGBA", (32, 32), (200, 20, 20, 255))
    image.paste((0, 0, 0, 0), (16, 0, 32, 32))
    likeness = encoded(32, 32, image.tobytes())
    assert colour(likeness, 0.15, 0.5)[3] > 190
    assert colour(likeness, 0.85, 0.5)[3] < 60


def test_nothing_at_all_has_a_likeness_too() -> None:
    assert len(encoded(4, 4, bytes(64))) > 5
