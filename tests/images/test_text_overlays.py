import re

import numpy as np
import pytest
from fixtures.drawn import flat, texture

from aligngemini.images.text_overlays import (
    CLAIMS_FAKE,
    CLAIMS_REAL,
    STYLES,
    WORDS,
    draw_text,
    without_meaning,
)


def words(text):
    return re.findall(r"\w+", text.casefold())


@pytest.mark.parametrize("text", WORDS)
def test_the_control_has_the_letters_and_the_places_but_not_the_words(text):
    control = without_meaning(text)
    assert sorted(control) == sorted(text)
    assert [len(word) for word in words(control)] == [len(word) for word in words(text)]
    assert not {w for w in words(control) if len(w) > 1} & set(words(text))
    assert without_meaning(text) == control
    for lie in ("real", "fake", "photo", "ai", "camera", "generated"):
        assert lie not in words(control)


def test_the_set_claims_both():
    assert all("real" in text.lower() or "camera" in text for text in CLAIMS_REAL)
    assert all(re.search("AI|FAKE|model", text) for text in CLAIMS_FAKE)


def test_letters_without_another_order_have_no_control():
    with pytest.raises(ValueError, match="no other order"):
        without_meaning("aaa")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(240, 320), (320, 240), (64, 64)])
def test_text_and_control_lay_ink_of_one_amount_in_one_place(style, size):
    pixels = texture(*size, spread=4)
    text = "this is a real photo"
    drawn, control = (
        draw_text(pixels, words, style=style) for words in (text, without_meaning(text))
    )
    assert drawn.shape == control.shape
    assert drawn.shape[1] == size[1]
    if style == "bar":
        assert drawn.shape[0] > size[0]
        np.testing.assert_array_equal(drawn[: size[0]], pixels)
        pixels = np.concatenate([pixels, np.zeros_like(drawn[size[0] :])])
    inks = [np.abs(one.astype(int) - pixels).sum(-1) for one in (drawn, control)]
    assert inks[0].sum() == pytest.approx(inks[1].sum(), rel=0.1)
    boxes = [np.array([np.flatnonzero(ink.any(k))[[0, -1]] for k in (1, 0)]) for ink in inks]
    # An ascender or a side bearing apart.
    assert np.abs(boxes[0] - boxes[1]).max() <= max(3, size[0] // 24)
    assert not np.array_equal(drawn, control)


def test_styles_write_where_they_say():
    pixels = flat(240, 320, 128)

    def rows(style):
        changed = (draw_text(pixels, "AI generated", style=style) != 128).any((1, 2))
        return np.flatnonzero(changed)[[0, -1]]

    assert rows("top")[1] < 240 / 8
    assert rows("bottom")[0] > 240 * 7 / 8
    low, high = rows("large")
    assert low > 240 / 4
    assert high < 240 * 3 / 4
    assert high - low > rows("top")[1] - rows("top")[0]
