"""XMP is untrusted XML."""

import pytest

from aligngemini.branches.provenance.xmp import MAX_FIELDS, MAX_PACKET, read_xmp

BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<x><CreatorTool>&c;</CreatorTool></x>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><x><Credit>&f;</Credit></x>"""


@pytest.mark.parametrize("packet", [BOMB, OUTSIDE, b"<!DOCTYPE x><x/>"])
def test_dtd_and_entities_are_refused(packet):
    found = read_xmp(packet)
    assert found.fields == ()
    assert "declares" in found.problem


@pytest.mark.parametrize("packet", [b"", b"text", b"<x>", b"<x></y>", b"\xff\xfe", b"<x>\xff</x>"])
def test_damage_is_a_problem(packet):
    assert read_xmp(packet).problem


def test_unknown_encoding_is_a_problem():
    assert read_xmp(b"<?xml version='1.0' encoding='made-up'?><x/>").problem


def test_what_stands_before_the_damage_is_kept():
    found = read_xmp(b"<x CreatorTool='Midjourney'><y></x>")
    assert [field.text for field in found.fields] == ["Midjourney"]
    assert found.problem


def test_size_is_capped():
    assert str(MAX_PACKET) in read_xmp(b"<x>" + b" " * MAX_PACKET + b"</x>").problem
    found = read_xmp(b"<x>" + b"<Credit>c</Credit>" * (MAX_FIELDS + 50) + b"</x>")
    assert len(found.fields) == MAX_FIELDS


def test_deep_nesting():
    depth = 200_000
    found = read_xmp(b"<Credit>" + b"<a>t" * depth + b"</a>" * depth + b"</Credit>")
    assert len(found.fields) == MAX_FIELDS


def test_text_belongs_to_the_property_around_it():
    found = read_xmp(b"<x>loose<title><Alt><li>A</li><li>B</li></Alt></title><other>C</other></x>")
    assert [(field.name, field.text) for field in found.fields] == [("title", "A"), ("title", "B")]
