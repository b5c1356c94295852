"""Photos: where they were taken goes, the picture and how it is turned stay."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, PngImagePlugin

from tickets.photos import MOST_PARTS, strip

TAKEN = "2026:11:22 10:00:00"
TURNED, PLACE, INNER = 0x0112, 0x8825, 0x8769


def exif_of(turned: int) -> bytes:
    exif = Image.Exif()
    exif[TURNED] = turned
    exif[0x010F] = "A maker"
    exif.get_ifd(PLACE).update({1: "N", 2: (52.0, 13.0, 7.0)})
    exif.get_ifd(INNER).update({0x9003: TAKEN, 0x927C: b"SECRET-MAKER-NOTE"})
    return exif.tobytes()


def photo(kind: str, exif: bytes) -> bytes:
    picture = Image.frombytes("RGB", (64, 48), random.Random(7).randbytes(64 * 48 * 3))
    kept = io.BytesIO()
    if kind == "png":
        told = PngImagePlugin.PngInfo()
        told.add_text("Comment", "SECRET-WORDS")
        told.add_itxt("XML:com.adobe.xmp", "<x>SECRET-PLACE</x>")
        picture.save(kept, "PNG", exif=exif, pnginfo=told)
    else:
        xmp, colours = b"<x>SECRET-PLACE</x>", b"colours" * 20
        picture.save(
            kept, "JPEG", exif=exif, xmp=xmp, icc_profile=colours, comment=b"SECRET-WORDS", progressive=kind == "slowly"
        )
    return kept.getvalue()


def stripped(kind: str, content: bytes) -> bytes:
    file = io.BytesIO(content)
    strip("png" if kind == "png" else "jpeg", file)
    return file.getvalue()


@pytest.mark.parametrize("turned", [1, 6])
@pytest.mark.parametrize("kind", ["jpeg", "slowly", "png"])
def test_where_it_was_taken_goes_and_the_picture_stays(kind: str, turned: int) -> None:
    came = photo(kind, exif_of(turned))
    assert b"SECRET" in came
    kept = stripped(kind, came + b"\xff\xd8\xff\xe1SECRET-FILM")
    assert len(kept) == len(came), "nothing moves, and what lay behind it is gone"
    assert b"SECRET" not in kept
    assert b"A maker" not in kept
    before, after = Image.open(io.BytesIO(came)), Image.open(io.BytesIO(kept))
    assert after.tobytes() == before.tobytes()
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    exif = after.getexif()
    assert exif.get(TURNED) == turned
    assert not exif.get_ifd(PLACE)
    assert exif.get_ifd(INNER) == {0x9003: TAKEN}
    assert stripped(kind, kept) == kept


def test_the_other_order_of_bytes_is_read_and_what_says_nothing_leaves_nothing() -> None:
    small = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0"
    assert Image.open(io.BytesIO(stripped("jpeg", photo("jpeg", small)))).getexif()[TURNED] == 8
    nobody = Image.Exif()
    nobody.get_ifd(PLACE).update({1: "N", 2: (52.0, 13.0, 7.0)})
    for kind in ("jpeg", "png"):
        assert not Image.open(io.BytesIO(stripped(kind, photo(kind, nobody.tobytes())))).getexif()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_what_is_not_built_as_it_begins_is_no_trouble(kind: str) -> None:
    came = photo(kind, exif_of(6))
    for end in range(2, len(came), 7):
        stripped(kind, came[:end])
    noise = came[:24] + random.Random(8).randbytes(20_000)
    assert len(stripped(kind, noise)) <= len(noise)
    many = came[:2] + b"\xff\xd0" * (2 * MOST_PARTS)
    assert stripped("jpeg", many) == many
