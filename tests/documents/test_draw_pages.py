"""Pages are drawn in reader processes and leave them as raw pixels of bounded size."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from hivekeep.daemon.png import png
from hivekeep.documents import ReaderPool
from hivekeep.documents.readers.drawing import LONGEST_SIDE
from hivekeep.documents.wire import Pixels
from hivekeep.domain.documents import ReadLimits
from hivekeep.domain.errors import DocumentError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def opened(pixels: Pixels) -> Image.Image:
    """The picture that a viewer makes of what the daemon hands on."""
    image = Image.open(io.BytesIO(png(pixels)))
    image.load()
    return image


@pytest.mark.parametrize(
    "name", ["invoices/rechnung-2026-0417.pdf", "invoices/scan-invoice-oakridge.png"]
)
async def test_a_page_is_drawn_whole_and_looks_like_a_page(samples: Path, name: str) -> None:
    async with ReaderPool(ReadLimits()) as pool:
        pixels = await pool.draw(samples / name, 1)
        image = opened(pixels)
    assert max(image.size) <= LONGEST_SIDE
    assert min(image.size) > 300
    low, high = image.convert("L").getextrema()
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert high - low > 100  # ink on paper


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_survive_the_way_into_a_png(mode: str) -> None:
    picture = Image.effect_noise((37, 23), 90).convert(mode)
    pixels = Pixels(*picture.size, len(picture.getbands()), picture.tobytes())
    difference = ImageChops.difference(opened(pixels).convert(mode), picture)
    assert difference.getbbox() is None


@pytest.mark.parametrize(
    ("name", "page", "reason"),
    [
        ("invoices/rechnung-2026-0417.pdf", 99, "unsupported"),
        ("invoices/rechnung-brauer.docx", 1, "unsupported"),
        ("invoices/broken-download.pdf", 1, "damaged"),
        ("invoices/nothing.pdf", 1, "vanished"),
    ],
)
async def test_what_cannot_be_drawn_has_a_reason(
    samples: Path, name: str, page: int, reason: str
) -> None:
    async with ReaderPool(ReadLimits()) as pool:
        with pytest.raises(DocumentError) as failed:
            await pool.draw(samples / name, page)
        assert failed.value.reason == reason
        # A failure is the document's, the pool goes on.
        assert (await pool.draw(samples / "invoices/rechnung-2026-0417.pdf", 1)).width


async def test_a_file_that_changed_since_it_was_read_is_not_drawn(samples: Path) -> None:
    async with ReaderPool(ReadLimits()) as pool:
        path = samples / "invoices/rechnung-2026-0417.pdf"
        with pytest.raises(DocumentError) as failed:
            await pool.draw(path, 1, expected_sha256="0" * 64)
    assert failed.value.reason == "changed"
