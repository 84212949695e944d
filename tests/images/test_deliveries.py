import io
import re

import numpy as np
import pytest
from fixtures.drawn import texture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageFilter

from aligngemini.images.deliveries import (
    HOPS,
    SCREEN_WIDTH,
    DeliveryError,
    deliver_image,
    parse_delivery,
)
from aligngemini.images.item import Image, ImageError


def pillow(pixels):
    return PILImage.fromarray(pixels)


def through(pixels, **options):
    file = io.BytesIO()
    pillow(pixels).save(file, **options)
    return np.asarray(PILImage.open(file).convert("RGB"))


def resized(pixels, width, height, filter_):
    return np.asarray(pillow(pixels).resize((width, height), filter_))


PIXELS = texture(90, 120, spread=10)
BICUBIC, BILINEAR = PILImage.Resampling.BICUBIC, PILImage.Resampling.BILINEAR


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("as-is", PIXELS),
        ("jpeg:75", through(PIXELS, format="JPEG", quality=75, subsampling="4:2:0")),
        ("webp:60", through(PIXELS, format="WEBP", quality=60)),
        ("scale:0.5", resized(PIXELS, 60, 45, BICUBIC)),
        ("scale:1", PIXELS),
        ("side:45", resized(PIXELS, 60, 45, BICUBIC)),
        ("side:112", PIXELS),
        ("blur:1.5", np.asarray(pillow(PIXELS).filter(ImageFilter.GaussianBlur(1.5)))),
        ("blur:0", PIXELS),
        ("noise:0", PIXELS),
        ("crop:0.5", PIXELS[22:67, 30:90]),
        ("screenshot", resized(PIXELS, SCREEN_WIDTH, 810, BILINEAR)),
        ("screenshot:240", resized(PIXELS, 240, 180, BILINEAR)),
        (
            " scale:0.5 + jpeg:75 ",
            through(
                resized(PIXELS, 60, 45, BICUBIC), format="JPEG", quality=75, subsampling="4:2:0"
            ),
        ),
    ],
)
def test_a_step_does_what_its_name_says(spec, expected):
    np.testing.assert_array_equal(parse_delivery(spec)(PIXELS), expected)


def test_the_order_of_steps_is_that_of_the_text():
    one, other = (parse_delivery(s)(PIXELS) for s in ("blur:2+noise:9", "noise:9+blur:2"))
    assert np.abs(np.diff(one.astype(int), axis=1)).mean() > 2 * (
        np.abs(np.diff(other.astype(int), axis=1)).mean()
    )


def test_noise_has_its_strength_and_is_the_same_for_one_picture_alone():
    deliver = parse_delivery("noise:5")
    grey = np.full((256, 256, 3), 128, np.uint8)
    noise = deliver(grey).astype(int) - 128
    assert noise.std() == pytest.approx(5, rel=0.02)
    np.testing.assert_array_equal(deliver(grey), deliver(grey.copy()))
    other = deliver(grey + np.uint8(1)).astype(int) - 129
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.02


def test_hops_follow_one_another():
    pixels = texture(300, 1700, spread=10)
    shared = [parse_delivery(f"share:{n}")(pixels) for n in range(1, len(HOPS) + 1)]
    longest, codec, quality = HOPS[0]
    small = resized(pixels, longest, round(300 * longest / 1700), BICUBIC)
    first = through(small, format=codec, quality=quality, subsampling="4:2:0")
    np.testing.assert_array_equal(shared[0], first)
    sides = [max(image.shape) for image in shared]
    assert sides == [min(hop[0] for hop in HOPS[:n]) for n in range(1, len(HOPS) + 1)]
    np.testing.assert_array_equal(
        shared[3], through(shared[2], format=HOPS[3][1], quality=HOPS[3][2])
    )


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "there is no step ''"),
        ("jpeg", "there is no step 'jpeg'"),
        ("smear:2", "there is no step 'smear:2'"),
        ("jpeg:75++blur:1", "there is no step ''"),
        ("jpeg:0", "jpeg takes a whole number from 1 to 100, not '0'"),
        ("jpeg:7.5", "a whole number"),
        ("scale:nan", "a number from 0.05 to 4, not 'nan'"),
        ("scale:inf", "a number from 0.05 to 4"),
        ("share:6", "from 1 to 5"),
        ("blur:much", "not 'much'"),
        ("text:", "takes words"),
        ("text:hello@nowhere", "behind @ one of bottom, top, large, bar"),
        ("control:aaa", "no other order"),
    ],
)
def test_a_text_that_is_no_delivery_is_refused_in_a_sentence(spec, says):
    with pytest.raises(DeliveryError, match=re.escape(says)):
        parse_delivery(spec)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        ["jpeg:30", "webp:30", "scale:0.3", "crop:0.1", "noise:9", "side:32", "share:5"]
    ),
    st.integers(1, 70),
    st.integers(1, 70),
)
def test_every_picture_comes_out_as_a_picture(spec, height, width):
    pixels = texture(height, width)
    before = pixels.copy()
    delivered = parse_delivery(spec)(pixels)
    assert delivered.dtype == np.uint8
    assert delivered.ndim == 3
    assert delivered.shape[2] == 3
    assert min(delivered.shape) >= 1
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(parse_delivery(spec)(pixels), delivered)


def test_a_delivered_image_has_no_file_and_says_what_was_done():
    image = Image(PIXELS, "PNG", b"bytes", "a.png", ("first of 2 frames",))
    delivered = deliver_image(image, "jpeg:75")
    assert delivered.data == b""
    assert (delivered.path, delivered.format) == ("a.png", "PNG")
    assert delivered.notes == ("first of 2 frames", "delivered as jpeg:75")
    assert deliver_image(image, "as-is") is image


def test_a_picture_that_a_format_cannot_hold_is_said_to_be_one():
    wide = Image(np.zeros((4, 17_000, 3), np.uint8), path="wide.png")
    with pytest.raises(ImageError, match="cannot be delivered as webp:80") as caught:
        deliver_image(wide, "webp:80")
    assert caught.value.code == "unsupported"
