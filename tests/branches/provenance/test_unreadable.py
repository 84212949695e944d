"""Metadata that is there and cannot be read is told, never passed over."""

import struct
import zlib

import pytest
from fixtures.metadata import chunk, encode, exif, facts, judge, segment

from aligngemini.branches.provenance import ProvenanceBranch, generators
from aligngemini.branches.provenance.png import MAX_TEXT
from aligngemini.images.item import Image


def with_chunk(kind: bytes, body: bytes) -> bytes:
    data = encode("PNG")
    return data[:33] + chunk(kind, body) + data[33:]


@pytest.mark.parametrize(
    "block",
    [
        b"garbage",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        exif(Software="Midjourney")[:16],
        exif({"FNumber": 2.8}, Make="A", Model="B")[:40],
    ],
)
def test_damaged_exif(block):
    data = segment(encode("JPEG"), 0xE1, b"Exif\0\0" + block.removeprefix(b"Exif\0\0"))
    assert facts(judge(data)) == {("exif", "unreadable", None)}


def test_exif_field_that_points_outside_is_named():
    block = bytearray(exif(Software="Midjourney", Artist="somebody"))
    at = block.index(struct.pack("<H", 0x0131)) if block[6:8] == b"II" else -1
    at = at if at >= 0 else block.index(struct.pack(">H", 0x0131))
    block[at + 8 : at + 12] = b"\x7f\xff\xff\xff"
    evidence = judge(encode("JPEG", exif=bytes(block)))
    (signal,) = evidence.signals
    assert signal.state == "unreadable"
    assert "Software" in signal.detail


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"zTXt", b"parameters\0\0not deflated"),
        (b"zTXt", b"parameters\0\0" + zlib.compress(b"Steps: 20, Seed: 1")[:-6]),
        (b"zTXt", b"parameters\0\0" + zlib.compress(b" " * (MAX_TEXT + 1))),
        (b"iTXt", b"parameters\0"),
        (b"iTXt", b"parameters\0\1\0\0\0broken"),
        (b"tEXt", b"parameters\0" + b" " * (MAX_TEXT + 1)),
        (b"tEXt", b"Raw profile type exif\0\nexif\n4\nnot hexadecimal"),
    ],
)
def test_damaged_png_text(kind, body):
    assert facts(judge(with_chunk(kind, body))) == {("text", "unreadable", None)}


def test_png_text_cut_by_the_end_of_the_file():
    data = with_chunk(b"tEXt", b"parameters\0Steps: 20, Seed: 1")
    assert ("text", "unreadable", None) in facts(judge(data[:60]))


def test_many_inflated_texts_share_one_allowance():
    bomb = b"".join(
        chunk(b"zTXt", b"k%d\0\0" % k + zlib.compress(b" " * MAX_TEXT)) for k in range(12)
    )
    data = encode("PNG")
    evidence = judge(data[:33] + bomb + data[33:])
    assert len([s for s in evidence.signals if s.state == "unreadable"]) == 4


def test_damaged_iptc_keeps_the_rest():
    data = encode("JPEG", exif=exif(Software="Midjourney"))
    data = segment(
        data, 0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x06\x1d\xff\xff\xff\xff\xff"
    )
    assert facts(judge(data)) == {("iptc", "unreadable", None), ("exif", "hint", "ai")}


def test_what_is_no_image_is_told():
    assert facts(judge(b"hello")) == {("file", "unreadable", None)}
    assert facts(judge(encode("JPEG")[:30])) == {("file", "unreadable", None)}


def test_arrays_have_no_provenance():
    evidence = judge(b"")
    assert evidence.signals == ()
    assert evidence.verdict is None


def test_a_bug_of_ours_is_told_twice(monkeypatch):
    def buggy(_fields):
        raise RuntimeError("oops\n")

    monkeypatch.setattr("aligngemini.branches.provenance.find_generators", buggy)
    image = Image(None, data=encode("JPEG", exif=exif({"FNumber": 2}, Make="A", Model="B")))
    (evidence,) = ProvenanceBranch().judge([image])
    assert facts(evidence) == {("exif", "hint", "camera"), ("text", "unreadable", None)}
    assert evidence.error.code == "internal"
    assert "RuntimeError: oops" in evidence.error.message
    assert callable(generators.find_generators)


def test_order_and_record():
    branch = ProvenanceBranch()
    images = [Image(None, data=data) for data in (b"", encode("PNG"), b"x")]
    records = [evidence.to_dict() for evidence in branch.judge(images, heatmaps=True)]
    assert [len(record["signals"]) for record in records] == [0, 0, 1]
    assert all(record["verdict"] is None and "score" not in record for record in records)
    assert all(record["ms"] >= 0 for record in records)
