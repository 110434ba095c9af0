"""The tray's icons, drawn here at any size, for light and dark panels.

Responsible for pixels only.  Invariant: each state differs from the others by shape, not by colour
alone, and stays legible at 16 pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

SIZES = (16, 22, 24, 32, 48, 64)
_FINER = 8  # drawn larger and scaled down, which is what makes the edges smooth

_HONEY = (232, 158, 30, 255)
_INK = {False: (38, 34, 26, 255), True: (240, 235, 224, 255)}
_RED = (196, 43, 28, 255)
_WHITE = (255, 255, 255, 255)


@dataclass(frozen=True, slots=True)
class Look:
    """What an icon shows: a state, how far the work is (0 to 1), and how many wait."""

    state: str
    progress: float = 0.0
    count: int = 0


def draw(look: Look, size: int, *, dark: bool) -> Image.Image:
    """The icon in ``size`` by ``size`` pixels; ``dark`` means for a dark panel."""
    whole = size * _FINER
    image = Image.new("RGBA", (whole, whole), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    ink = _INK[dark]
    _cell(pen, whole, ink, filled=look.state not in ("paused",))
    match look.state:
        case "working":
            _ring(pen, whole, look.progress)
        case "waiting":
            _badge(pen, whole, _RED, _number(look.count), size)
        case "paused":
            _bars(pen, whole, ink)
        case "problem":
            _badge(pen, whole, _RED, "!", size)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _corners(centre: float, radius: float) -> list[tuple[float, float]]:
    angles = (math.radians(60 * step - 90) for step in range(6))
    return [(centre + radius * math.cos(a), centre + radius * math.sin(a)) for a in angles]


def _cell(pen: ImageDraw.ImageDraw, whole: int, ink: tuple[int, ...], *, filled: bool) -> None:
    centre = whole / 2
    pen.polygon(_corners(centre, whole * 0.48), fill=ink)
    if filled:
        pen.polygon(_corners(centre, whole * 0.38), fill=_HONEY)
        pen.polygon(_corners(centre, whole * 0.17), fill=_INK[False])
    else:
        pen.polygon(_corners(centre, whole * 0.39), fill=(0, 0, 0, 0))


def _ring(pen: ImageDraw.ImageDraw, whole: int, progress: float) -> None:
    """How far the work is, as an arc around the middle; a little even at the very beginning."""
    edge, width = whole * 0.2, round(whole * 0.12)
    end = -90 + 360 * min(max(progress, 0.06), 1.0)
    pen.ellipse((edge, edge, whole - edge, whole - edge), fill=_INK[False])
    pen.arc((edge, edge, whole - edge, whole - edge), -90, end, fill=_WHITE, width=width)


def _bars(pen: ImageDraw.ImageDraw, whole: int, ink: tuple[int, ...]) -> None:
    for left in (0.36, 0.54):
        pen.rounded_rectangle(
            (whole * left, whole * 0.32, whole * (left + 0.11), whole * 0.68),
            whole * 0.03,
            fill=ink,
        )


def _badge(
    pen: ImageDraw.ImageDraw, whole: int, colour: tuple[int, ...], text: str, size: int
) -> None:
    start = whole * 0.36
    pen.ellipse((start - whole * 0.05, start - whole * 0.05, whole, whole), fill=_WHITE)
    pen.ellipse((start, start, whole * 0.96, whole * 0.96), fill=colour)
    if size < 20 and text != "!":
        text = text[:1]  # two digits are a smudge at this size; the tooltip has the number
    font = ImageFont.load_default(whole * (0.5 if len(text) == 1 else 0.38))
    pen.text((whole * 0.66, whole * 0.66), text, fill=_WHITE, font=font, anchor="mm")


def _number(count: int) -> str:
    return str(count) if count < 10 else "9+"
