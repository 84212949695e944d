"""Whatever the bytes: evidence, no bug of ours on the way, and no accusation out of damage."""

from functools import cache

import pytest
from fixtures.metadata import MIME, PARAMETERS, PROMPT, encode, exif, judge, xmp
from fixtures.signing import action, sign
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

SAVED = {
    "exif": exif(
        {"UserComment": b"UNICODE\0" + PARAMETERS.encode("utf-16-be"), "FNumber": 2.8},
        Make="Kamera",
        Model="K-1",
        Software="Midjourney",
    ),
    "xmp": xmp('Iptc4xmpExt:DigitalSourceType="trainedAlgorithmicMedia"'),
}
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=6,
)
FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@cache
def original(form, signer):
    if form == "PNG":
        info = PngInfo()
        info.add_text("prompt", PROMPT, zip=True)
        info.add_itxt("XML:com.adobe.xmp", SAVED["xmp"].decode())
        plain = encode("PNG", pnginfo=info, exif=SAVED["exif"])
    else:
        plain = encode(form, **(SAVED if form not in ("GIF", "TIFF") else {}))
    return sign(plain, MIME[form], signer, action("c2pa.created", "digitalCapture"))


def edited(data: bytes, edits) -> bytes:
    for kind, where, some in edits:
        at = int(where * len(data))
        if kind == "flip":
            data = data[:at] + some + data[at + len(some) :]
        elif kind == "cut":
            data = data[:at] + data[at + 16 * len(some) :]
        elif kind == "insert":
            data = data[:at] + some + data[at:]
        elif kind == "repeat":
            data = data[:at] + data[at : at + 200] * len(some) + data[at + 200 :]
        else:
            data = data[: max(at, 1)]
    return data


@pytest.mark.parametrize("form", MIME)
@FUZZ
@given(edits=EDITS)
def test_damaged_files(form, edits, trusted, believing):
    data = edited(original(form, trusted), edits)
    if data:
        assert judge(data, believing).verdict is None  # it was signed as a camera's


@FUZZ
@given(
    head=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBP",
            b"\0\0\0\x18ftypavif",
            b"\0\0\0\x18ftypheic",
            b"GIF89a",
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"BM",
        ]
    ),
    body=st.binary(max_size=400),
)
def test_noise(head, body, believing):
    if head + body:
        assert judge(head + body, believing).verdict is None


@FUZZ
@given(
    kind=st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"caBX", b"IEND"]),
    length=st.integers(0, 2**32 - 1),
    body=st.binary(max_size=200),
)
def test_png_chunks(kind, length, body, believing):
    plain = encode("PNG")
    data = plain[:33] + length.to_bytes(4, "big") + kind + body + plain[33:]
    assert judge(data, believing).verdict is None


@FUZZ
@given(block=st.binary(max_size=200))
def test_exif_blocks(block, believing):
    for head in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        data = encode("JPEG", exif=b"Exif\0\0" + head + block)
        assert judge(data, believing).verdict is None
