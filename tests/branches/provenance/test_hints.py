"""Unsigned metadata, kind by kind and container by container: a hint, and never a verdict."""

import struct

import pytest
from fixtures.metadata import (
    AI_ATTRIBUTE,
    IPTC_AI,
    PARAMETERS,
    PROMPT,
    SOURCE,
    WORKFLOW,
    encode,
    exif,
    facts,
    gif_with_xmp,
    judge,
    png,
    png_with_late_text,
    riff_chunk,
    segment,
    tiff_with_xmp,
    xmp,
)
from PIL.PngImagePlugin import PngInfo

IN_EVERY_CONTAINER = {
    "JPEG": lambda packet: encode("JPEG", xmp=packet),
    "PNG": lambda packet: png(**{"XML:com.adobe.xmp": packet.decode()}),
    "WEBP": lambda packet: encode("WEBP", xmp=packet),
    "WEBP without flag": lambda packet: riff_chunk(encode("WEBP"), b"XMP ", packet),
    "AVIF": lambda packet: encode("AVIF", xmp=packet),
    "HEIF": lambda packet: encode("HEIF", xmp=packet),
    "TIFF": tiff_with_xmp,
    "GIF": gif_with_xmp,
}


@pytest.mark.parametrize("container", IN_EVERY_CONTAINER)
def test_xmp_in_every_container(container, believing):
    evidence = judge(IN_EVERY_CONTAINER[container](xmp(AI_ATTRIBUTE)), believing)
    assert facts(evidence) == IPTC_AI
    assert evidence.verdict is None
    assert evidence.signals[0].detail == "DigitalSourceType trainedAlgorithmicMedia"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
def test_exif_in_every_container(form, believing):
    camera = exif({"ExposureTime": 0.01, "FNumber": 2.8}, Make="Kamera", Model="K-1")
    evidence = judge(encode(form, exif=camera), believing)
    assert facts(evidence) == {("exif", "hint", "camera")}
    assert evidence.signals[0].detail == "Kamera K-1"
    evidence = judge(encode(form, exif=exif(Software="DALL-E 3")), believing)
    assert facts(evidence) == {("exif", "hint", "ai")}
    assert evidence.verdict is None


def test_make_and_model_without_an_exposure_is_no_capture():
    assert judge(encode("JPEG", exif=exif(Make="Scanner", Model="S-1"))).signals == ()


@pytest.mark.parametrize("key", ["parameters", "Comment"])
def test_generation_settings_in_png(key):
    assert facts(judge(png(**{key: PARAMETERS}))) == {("stable-diffusion", "hint", "ai")}


def test_png_text_in_all_three_chunks_and_after_the_pixels():
    packed, wide = PngInfo(), PngInfo()
    packed.add_text("parameters", PARAMETERS, zip=True)
    wide.add_itxt("parameters", "狐\n" + PARAMETERS, zip=True)
    for data in (
        encode("PNG", pnginfo=packed),
        encode("PNG", pnginfo=wide),
        png_with_late_text("parameters", PARAMETERS),
    ):
        assert facts(judge(data)) == {("stable-diffusion", "hint", "ai")}


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-16"])
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_generation_settings_in_user_comment(form, encoding):
    comment = b"UNICODE\0" + PARAMETERS.encode(encoding)
    evidence = judge(encode(form, exif=exif({"UserComment": comment})))
    assert facts(evidence) == {("stable-diffusion", "hint", "ai")}
    assert "Steps: 20, Sampler: Euler a" in evidence.signals[0].detail


def test_generation_settings_in_a_jpeg_comment():
    data = encode("JPEG", comment=PARAMETERS.encode())
    assert facts(judge(data)) == {("stable-diffusion", "hint", "ai")}


def test_imagemagick_keeps_exif_in_text():
    block = exif({"UserComment": b"ASCII\0\0\0" + PARAMETERS.encode()})
    data = png(Raw_profile_type_exif=f"\nexif\n{len(block):8}\n{block.hex()}\n")
    assert facts(judge(data)) == {("stable-diffusion", "hint", "ai")}


def test_comfyui_in_png_and_in_exif():
    (signal,) = judge(png(prompt=PROMPT, workflow=WORKFLOW)).signals
    assert (signal.kind, signal.claim) == ("comfyui", "ai")
    block = exif(Make=f"workflow:{WORKFLOW}", Model=f"prompt:{PROMPT}")
    for form in ("WEBP", "JPEG"):
        assert facts(judge(encode(form, exif=block))) == {("comfyui", "hint", "ai")}


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ({"invokeai_metadata": "{}"}, "invokeai"),
        ({"sd-metadata": "{}"}, "invokeai"),
        ({"Dream": '"a fox" -s 50'}, "text"),
        ({"fooocus_scheme": "fooocus"}, "fooocus"),
        ({"parameters": '{"sui_image_params": {}}'}, "swarmui"),
        ({"Software": "NovelAI", "Source": "Stable Diffusion F1022D28"}, "text"),
        ({"AIGC": '{"Label": "1"}'}, "aigc-label"),
        (
            {"Description": "fox --v 6 Job ID: 01234567-89ab-cdef-0123-456789abcdef"},
            "midjourney",
        ),
        ({"prompt": "a fox", "seed": "5"}, "text"),
    ],
)
def test_other_generators_leave_png_text(texts, kind):
    assert facts(judge(png(**texts))) == {(kind, "hint", "ai")}


@pytest.mark.parametrize(
    "packet",
    [
        xmp(AI_ATTRIBUTE),
        xmp(
            elements="<Iptc4xmpExt:DigitalSourceType>trainedAlgorithmicMedia"
            "</Iptc4xmpExt:DigitalSourceType>"
        ),
        xmp(
            elements="<Iptc4xmpExt:DigitalSourceType "
            f'rdf:resource="{SOURCE}trainedAlgorithmicMedia"/>'
        ),
        xmp(
            elements="<Iptc4xmpExt:DigitalSourceType><rdf:Seq>\n<rdf:li>"
            f"{SOURCE}trainedAlgorithmicMedia </rdf:li></rdf:Seq></Iptc4xmpExt:DigitalSourceType>"
        ),
        xmp(AI_ATTRIBUTE).decode().encode("utf-16-be"),
        xmp(AI_ATTRIBUTE).decode().encode("utf-16"),
        xmp(AI_ATTRIBUTE) + b"\0" * 100,
    ],
)
def test_every_spelling_of_a_source_type(packet):
    assert facts(judge(encode("JPEG", xmp=packet))) == IPTC_AI


@pytest.mark.parametrize(
    ("source", "claim"),
    [
        ("compositeWithTrainedAlgorithmicMedia", "edited"),
        ("digitalCapture", "camera"),
        ("algorithmicMedia", None),
        ("somethingNew", None),
    ],
)
def test_source_types_claim_what_they_mean(source, claim):
    packet = xmp(f'Iptc4xmpExt:DigitalSourceType="{SOURCE}{source}"')
    assert facts(judge(encode("PNG", xmp=packet))) | facts(judge(encode("JPEG", xmp=packet))) == {
        ("iptc", "hint", claim)
    }


def test_extended_xmp_is_put_together():
    packet = xmp(AI_ATTRIBUTE)
    head, tail = packet[:200], packet[200:]
    more = b"http://ns.adobe.com/xmp/extension/\0" + b"0123456789ABCDEF" * 2
    data = encode("JPEG")
    for offset, part in ((0, head), (200, tail)):  # the later part ends up in front
        data = segment(data, 0xE1, more + struct.pack(">II", len(packet), offset) + part)
    assert facts(judge(data)) == IPTC_AI


@pytest.mark.parametrize(
    ("attributes", "claim"),
    [
        ('xmp:CreatorTool="Adobe Firefly"', "ai"),
        ('xmp:CreatorTool="Adobe Photoshop 25.0"', None),
        ('photoshop:Credit="Made with Google AI"', "ai"),
        ('photoshop:Credit="Edited with Google AI"', "edited"),
        ('xmp:CreatorTool="Journey Photo Manager"', None),
    ],
)
def test_programs_named_in_xmp(attributes, claim):
    found = facts(judge(encode("JPEG", xmp=xmp(attributes))))
    assert found == ({("xmp", "hint", claim)} if claim else set())


def test_credit_in_iptc_iim():
    iim = b"\x1c\x02\x6e" + struct.pack(">H", 19) + b"Made with Google AI"
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iim)) + iim
    data = segment(encode("JPEG"), 0xED, block + b"\0" * (len(iim) % 2))
    assert facts(judge(data)) == {("iptc", "hint", "ai")}


def test_one_reader_s_failure_leaves_the_others_their_findings():
    data = segment(encode("JPEG", exif=exif(Software="Midjourney")), 0xE1, b"Exif\0\0broken")
    data = segment(data, 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta")
    data = segment(data, 0xFE, b"Created with Stable Diffusion")
    found = facts(judge(data))
    assert ("exif", "unreadable", None) in found
    assert ("xmp", "unreadable", None) in found
    assert ("comment", "hint", "ai") in found
