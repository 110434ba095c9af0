"""Pictures and scans: PNG, JPEG and TIFF files, and pages that other readers have drawn.

Responsible for upright pixels of a useful size, and for blocks out of recognised lines; not for
recognising.  Invariant: a picture is refused by its stated size before its pixels are decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from hivekeep.documents.failures import Reason, failure
from hivekeep.documents.readers.draft import Draft, Source
from hivekeep.documents.readers.layout import Word, arrange
from hivekeep.documents.wire import Pixels, Recognized, TextLine
from hivekeep.domain.documents import Box

LONGEST_SIDE = 2_000
_MOST_PIXELS = 150_000_000
_SMALLEST_SIDE = 12
_FORMATS = ("PNG", "JPEG", "TIFF")
_TALL = 1.5
_LONGEST_SHAPE = 3


def read_picture(draft: Draft, source: Source) -> None:
    """Each frame of the picture is a page, read by OCR."""
    try:
        with Image.open(io.BytesIO(source.data), formats=_FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            draft.expect_pages(frames)
            for number, frame in enumerate(_frames(image), 1):
                draft.next_page()
                _check_size(draft, frame)
                what = f"Page {number}" if frames > 1 else "The picture"
                recognize_image(draft, ImageOps.exif_transpose(frame), what)
    except Image.DecompressionBombError as error:
        raise failure(draft.name, Reason.UNPACKED_TOO_LARGE, why=str(error)) from error
    except (UnidentifiedImageError, OSError, SyntaxError, EOFError, ValueError) as error:
        if not draft.blocks:
            raise failure(
                draft.name, Reason.DAMAGED, why=f"Its picture cannot be decoded: {error}"
            ) from error
        draft.note(f"Only {draft.pages - 1} of its pages could be decoded.")


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    # Animated PNG and the thumbnails of JPEG (MPO) repeat one picture; only TIFF has real pages.
    if image.format == "TIFF":
        yield from ImageSequence.Iterator(image)
    else:
        # JPEG can be decoded at a fraction of its size, which saves most of the time.
        image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        yield image


def _check_size(draft: Draft, image: Image.Image) -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise failure(
            draft.name,
            Reason.UNPACKED_TOO_LARGE,
            why=f"A picture of {image.width:,} by {image.height:,} points.",
        )
    draft.unpack(image.width * image.height * len(image.getbands()))


def recognize_image(draft: Draft, image: Image.Image, what: str) -> bool:
    """Add what OCR finds in ``image`` to the current page; whether anything was found."""
    if min(image.size) < _SMALLEST_SIDE:
        return False
    plain = _plain(image)
    if _is_blank(plain):
        return False
    found = draft.recognize(_pixels(_padded(plain)), what)
    if found is not None and _is_sideways(found):
        turned = plain.transpose(Image.Transpose.ROTATE_90)
        again = draft.recognize(_pixels(_padded(turned)), what)
        if again is not None and _score(again) >= _score(found):
            draft.note(f"{what} lies on its side.")
            plain, found = turned, again
    if found is None or not found.lines:
        return False
    _add_lines(draft, found, plain.size)
    draft.note(f"{what} was read by OCR.")
    return True


def _plain(image: Image.Image) -> Image.Image:
    """Grey or RGB, 8 bits, on white, no larger than OCR can use."""
    if image.mode.startswith("I") or image.mode == "F":
        low, high = image.getextrema()
        if isinstance(high, int | float) and isinstance(low, int | float) and high > 255:
            image = image.point(lambda value: value * (255.0 / high))
        image = image.convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        whole = image.convert("RGBA")
        image = Image.new("RGB", whole.size, "white")
        image.paste(whole, mask=whole.getchannel("A"))
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return image


def _padded(image: Image.Image) -> Image.Image:
    """A strip with white beside it: OCR enlarges by the short side, which makes strips huge."""
    shortest = max(image.size) // _LONGEST_SHAPE
    if min(image.size) >= shortest:
        return image
    whole = Image.new(
        image.mode, (max(image.width, shortest), max(image.height, shortest)), "white"
    )
    whole.paste(image)
    return whole


def _is_blank(image: Image.Image) -> bool:
    low, high = image.convert("L").resize((200, 200), Image.Resampling.BOX).getextrema()
    return isinstance(low, int | float) and isinstance(high, int | float) and high - low < 6


def _pixels(image: Image.Image) -> Pixels:
    return Pixels(image.width, image.height, len(image.getbands()), image.tobytes())


def _size(line: TextLine) -> tuple[float, float]:
    xs, ys = [x for x, _ in line.corners], [y for _, y in line.corners]
    return max(xs) - min(xs), max(ys) - min(ys)


def _is_sideways(found: Recognized) -> bool:
    tall = sum(len(line.text) for line in found.lines if _size(line)[1] > _TALL * _size(line)[0])
    return 2 * tall > sum(len(line.text) for line in found.lines)


def _score(found: Recognized) -> float:
    return sum(line.score * len(line.text) for line in found.lines)


def _add_lines(draft: Draft, found: Recognized, size: tuple[int, int]) -> None:
    words = []
    for line in found.lines:
        xs, ys = [x for x, _ in line.corners], [y for _, y in line.corners]
        if line.corners and line.text.strip():
            corners = (min(xs), min(ys), max(xs), max(ys))
            words.append(Word(line.text.strip(), *corners, confidence=line.score))
    for placed in arrange(words):
        box = fraction_box((placed.x0, placed.y0, placed.x1, placed.y1), size)
        draft.add(placed.text, placed.kind, box=box, confidence=placed.confidence)


def fraction_box(corners: tuple[float, float, float, float], size: tuple[float, float]) -> Box:
    """A rectangle in the page's units as fractions of the page, cut off at its edges."""
    x0, y0, x1, y1 = corners
    width, height = max(size[0], 1e-6), max(size[1], 1e-6)
    return Box(*(min(max(v, 0.0), 1.0) for v in (x0 / width, y0 / height, x1 / width, y1 / height)))
