"""Manipulations: exact outside their masks, never empty or total, and repeated by a seed."""

import io

import numpy as np
import pytest
from fixtures import vaes as tiny_vaes
from fixtures.drawn import flat, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from aligngemini.datasets.manipulations import (
    ManipulationError,
    copy_move,
    draw_mask,
    inpaint_classical,
    splice,
    vae_region,
)
from aligngemini.datasets.manipulations.base import Manipulated
from aligngemini.datasets.manipulations.blending import BLENDS, Edge, blend, feather
from aligngemini.datasets.manipulations.classical import METHODS
from aligngemini.datasets.manipulations.jpeg import align_jpeg
from aligngemini.datasets.manipulations.masks import area_share
from aligngemini.datasets.manipulations.placing import (
    Piece,
    Placing,
    Turn,
    cut_out,
    lay,
)
from aligngemini.datasets.manipulations.splice import transfer_colour
from aligngemini.datasets.manipulations.window import padded, window_around
from aligngemini.images.degrade import reencode
from aligngemini.images.jpeg import JpegSettings
from aligngemini.models.vaes import open_vae

PHOTO, DONOR = texture(96, 131, seed=1), texture(120, 90, seed=2)
AREA = (0.05, 0.5)
MOVED_ONLY = Placing(plain=1.0)
HARD = Edge("hard")


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return open_vae(str(tiny_vaes.kl(tmp_path_factory.mktemp("vae") / "kl")))


class Unchanged:
    """An autoencoder that loses nothing, of factor 8."""

    factor = 8

    def reconstruct(self, images, *, seeds=None):
        assert images.shape[1] % 8 == images.shape[2] % 8 == 0
        return list(images)


def rng(seed=0):
    return np.random.default_rng(seed)


def disc(height, width, row, column, radius):
    rows, columns = np.ogrid[:height, :width]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def edits(vae, edge, seed):
    """Every manipulation of PHOTO, by name."""
    draws = rng(seed)
    region = draw_mask(96, 131, draws)
    small = draw_mask(96, 131, draws, (0.05, 0.15))
    return {
        "vae-region": vae_region(PHOTO, region, vae, draws, edge=edge),
        "classical": inpaint_classical(PHOTO, region, method=METHODS[seed % 2]),
        "copy-move": copy_move(PHOTO, small, draws, edge=edge),
        "splice": splice(PHOTO, DONOR, draw_mask(120, 90, draws), draws, edge=edge, colour=0.5),
    }


@pytest.mark.parametrize("how", BLENDS)
def test_outside_the_mask_every_pixel_is_the_photos(vae, how):
    before = PHOTO.copy()
    for seed in range(4):
        for name, made in edits(vae, Edge(how, 3.0), seed).items():
            assert isinstance(made, Manipulated)
            mask = made.generated | made.moved
            np.testing.assert_array_equal(made.pixels[~mask], PHOTO[~mask], err_msg=name)
            assert made.pixels.dtype == np.uint8, name
            assert not (made.generated & made.moved).any(), name
            assert made.generated.any() == (name == "vae-region"), name
            assert AREA[0] <= area_share(mask) <= AREA[1], name
            # Grain on grain: nearly every pixel inside is another than before.
            assert (made.pixels != PHOTO).any(axis=2)[mask].mean() > 0.8, name
    np.testing.assert_array_equal(PHOTO, before)


def test_a_seed_repeats_everything_and_another_does_not(vae):
    first, again, other = (edits(vae, Edge(), seed) for seed in (0, 0, 2))
    for name, made in first.items():
        np.testing.assert_array_equal(made.pixels, again[name].pixels)
        np.testing.assert_array_equal(made.moved, again[name].moved)
        assert made.drawn == again[name].drawn
        assert (made.pixels != other[name].pixels).any()


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(32, 400),
    width=st.integers(32, 400),
    low=st.floats(0.02, 0.6),
    more=st.floats(0.02, 0.3),
    seed=st.integers(0, 10**6),
)
def test_drawn_regions_keep_to_their_limits(height, width, low, more, seed):
    mask = draw_mask(height, width, rng(seed), (low, low + more))
    assert mask.shape == (height, width)
    assert low <= np.count_nonzero(mask) / (height * width) <= low + more


def test_drawn_regions_are_of_many_shapes_sizes_and_places():
    masks = [draw_mask(100, 140, rng(seed)) for seed in range(80)]
    assert all(ndimage.label(mask)[1] == 1 for mask in masks)
    shares = np.array([mask.mean() for mask in masks])
    assert shares.min() < 0.12
    assert shares.max() > 0.4
    filled = np.array([mask[box_of(mask)].mean() for mask in masks])
    assert filled.max() == 1.0  # a box
    assert filled.min() < 0.6  # a ragged polygon
    centres = np.array([ndimage.center_of_mass(mask) for mask in masks])
    assert (np.ptp(centres, axis=0) > (40, 60)).all()


def test_limits_that_no_pixel_count_meets_are_refused():
    with pytest.raises(ManipulationError) as error:
        draw_mask(32, 32, rng(), (0.1001, 0.1002))
    assert error.value.code == "mask-area"


def test_an_empty_region_is_refused_by_every_manipulation(vae):
    nothing = np.zeros((96, 131), bool)
    for manipulate in (
        lambda: vae_region(PHOTO, nothing, vae, rng()),
        lambda: copy_move(PHOTO, nothing, rng()),
        lambda: inpaint_classical(PHOTO, nothing),
        lambda: splice(DONOR, PHOTO, nothing, rng()),
    ):
        with pytest.raises(ManipulationError, match="marks no pixel"):
            manipulate()


def test_a_region_without_room_for_its_copy_is_refused():
    most = np.ones((96, 131), bool)
    most[:5] = False
    with pytest.raises(ManipulationError, match="no copy of the region has room"):
        copy_move(PHOTO, most, rng())


def test_a_copy_that_is_only_moved_is_the_region_bit_for_bit():
    region = disc(96, 131, 40, 50, 17)
    made = copy_move(PHOTO, region, rng(3), edge=HARD, placing=MOVED_ONLY)
    here, there = box_of(region), box_of(made.moved)
    np.testing.assert_array_equal(made.moved[there], region[here])
    inside = region[here]
    np.testing.assert_array_equal(made.pixels[there][inside], PHOTO[here][inside])
    assert here != there


def test_a_mirrored_copy_is_mirrored():
    region = draw_mask(96, 131, rng(4), (0.05, 0.1))
    still = Placing(scale=(1, 1), rotation=(0, 0), flip=1.0, plain=0.0)
    made = copy_move(PHOTO, region, rng(4), edge=HARD, placing=still)
    here, there = box_of(region), box_of(made.moved)
    mirrored = region[here][:, ::-1]
    np.testing.assert_array_equal(made.moved[there], mirrored)
    np.testing.assert_array_equal(made.pixels[there][mirrored], PHOTO[here][:, ::-1][mirrored])


def test_a_copy_covers_no_more_of_its_region_than_allowed():
    for seed in range(30):
        region = draw_mask(96, 131, rng(seed), (0.06, 0.12))
        made = copy_move(PHOTO, region, rng(seed), overlap=0.2)
        assert np.count_nonzero(made.moved & region) <= 0.2 * np.count_nonzero(made.moved)


def test_a_splice_that_is_only_moved_is_the_donors_bit_for_bit():
    region = disc(120, 90, 50, 40, 20)
    made = splice(PHOTO, DONOR, region, rng(1), edge=HARD, placing=MOVED_ONLY)
    here, there = box_of(region), box_of(made.moved)
    np.testing.assert_array_equal(made.moved[there], region[here])
    inside = region[here]
    np.testing.assert_array_equal(made.pixels[there][inside], DONOR[here][inside])


@settings(max_examples=40, deadline=None)
@given(
    sides=st.tuples(*[st.integers(40, 160)] * 4),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 10**6),
)
def test_splices_are_never_empty_or_total(sides, share, seed):
    photo, donor = np.zeros((*sides[:2], 3), np.uint8), np.full((*sides[2:], 3), 200, np.uint8)
    region = np.zeros(sides[2:], bool)
    region.flat[: max(1, round(share * region.size))] = True
    try:
        made = splice(photo, donor, region, rng(seed), edge=HARD)
    except ManipulationError:  # a line a pixel high, say
        return
    assert AREA[0] <= made.moved.mean() <= AREA[1]
    np.testing.assert_array_equal((made.pixels > 0).all(axis=2), made.moved)


def test_pixels_and_mask_turn_together():
    region = disc(100, 100, 45, 50, 22) | disc(100, 100, 60, 60, 14)
    pixels = np.repeat(region[..., None], 3, axis=2).astype(np.uint8) * 255
    for turn in (Turn(1, 0, True), Turn(1.37, 0, False), Turn(0.6, 25, True), Turn(1, -70, False)):
        piece = cut_out(pixels, region, turn)
        # What lies outside the region in its box is black: a mask out of place would hold some.
        assert (piece.pixels[..., 0] > 127)[piece.mask].mean() > 0.98, turn
        area = np.count_nonzero(piece.mask) / np.count_nonzero(region)
        assert area == pytest.approx(turn.scale**2, rel=0.03), turn


def test_a_quarter_turn_is_numpys():
    region = np.ones((31, 48), bool)
    piece = cut_out(PHOTO[:31, :48], region, Turn(1.0, 90.0, False))
    turned = np.rot90(PHOTO[:31, :48]).astype(int)
    rows, columns = (
        (there - own) // 2 for there, own in zip(piece.mask.shape, turned.shape[:2], strict=True)
    )
    inner = piece.pixels[rows : rows + turned.shape[0], columns : columns + turned.shape[1]]
    assert np.abs(inner - turned).max() <= 1


def test_a_piece_is_cut_off_at_the_canvas():
    piece = Piece(PHOTO[:20, :30], np.ones((20, 30), bool))
    laid = lay(piece, 40, 50, -5, 35)
    assert np.count_nonzero(laid.mask) == 15 * 15
    np.testing.assert_array_equal(laid.pixels[:15, 35:], PHOTO[5:20, :15])


def test_colours_are_brought_to_those_of_the_place():
    rows = np.linspace(60, 120, 40).round().astype(np.uint8)
    piece = Piece(
        np.broadcast_to(rows[:, None, None], (40, 40, 3)) + np.array([40, 0, 0], np.uint8),
        disc(40, 40, 20, 20, 15),
    )
    place = np.broadcast_to(rows[:, None, None], (40, 40, 3)) + np.array([0, 10, 60], np.uint8)

    def mean(pixels):
        return pixels[piece.mask].mean(axis=0)

    all_the_way = mean(transfer_colour(piece, place, 1.0))
    half_way = mean(transfer_colour(piece, place, 0.5))
    np.testing.assert_allclose(all_the_way, mean(place), atol=3)
    np.testing.assert_allclose(half_way, (mean(piece.pixels) + mean(place)) / 2, atol=8)
    np.testing.assert_allclose(
        transfer_colour(piece, place, 0.0)[piece.mask], piece.pixels[piece.mask], atol=1
    )


def test_a_soft_edge_rises_with_the_distance_from_it():
    mask = disc(80, 100, 40, 50, 30)
    depth = ndimage.distance_transform_edt(mask)
    expected = np.clip(depth / 6, 0, 1)
    np.testing.assert_allclose(feather(mask, 5.0), expected, atol=0.05)


def test_the_border_of_the_image_is_no_edge():
    mask = np.zeros((40, 60), bool)
    mask[:, :30] = True
    weights = feather(mask, 4.0)
    np.testing.assert_array_equal(weights[:, 0], 1)
    np.testing.assert_array_equal(weights[0], weights[20])


@pytest.mark.parametrize("place", [(40, 50), (5, 4), (75, 97)])
def test_seamless_keeps_the_place_and_takes_the_colour_around(place):
    mask = disc(80, 100, *place, 20)
    smooth = ndimage.gaussian_filter(texture(80, 100, seed=5).astype(float), (6, 6, 0))
    photo = smooth.round().astype(np.uint8)
    stripes = (np.arange(100) // 4 % 2 * 24)[None, :, None].astype(np.uint8)
    pasted = np.clip(photo.astype(int) + stripes + 50, 0, 255).astype(np.uint8)
    edited = blend(photo, pasted, mask, Edge("seamless")).astype(float)
    inner = ndimage.binary_erosion(mask, iterations=3, border_value=0)
    change = (edited - photo)[inner]
    wanted = np.broadcast_to(stripes, photo.shape)[inner].astype(float)
    # The stripes are there, in place, and most of the 50 levels are gone.
    assert np.corrcoef(change.ravel(), wanted.ravel())[0, 1] > 0.8
    assert abs(np.median(change - wanted)) < 25


def test_windows_and_edges_move_nothing(vae):
    for seed in range(12):
        photo = texture(*rng(seed).integers(40, 130, 2), seed=seed)
        region = draw_mask(*photo.shape[:2], rng(seed))
        made = vae_region(photo, region, Unchanged(), rng(seed), edge=Edge(BLENDS[seed % 2]))
        np.testing.assert_array_equal(made.pixels, photo)
        np.testing.assert_array_equal(made.generated, region)


def test_all_of_a_photo_becomes_its_reconstruction(vae):
    photo, everything = texture(48, 64, seed=7), np.ones((48, 64), bool)
    made = vae_region(photo, everything, vae, rng(5), edge=HARD)
    seed = int(rng(5).integers(2**63))
    (expected,) = vae.reconstruct(photo[None], seeds=[seed])
    np.testing.assert_array_equal(made.pixels, expected)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(32, 200), st.integers(32, 200)),
    seed=st.integers(0, 10**6),
    context=st.integers(0, 70),
    least=st.sampled_from([0, 64, 150]),
)
def test_a_window_holds_its_region_and_the_context(sides, seed, context, least):
    mask = draw_mask(*sides, rng(seed))
    window = window_around(mask, context, multiple=8, least=least)
    rows, columns = box_of(mask)
    for side, start, end, span in (
        (sides[0], window.top, window.bottom, rows),
        (sides[1], window.left, window.right, columns),
    ):
        assert 0 <= start < end <= side
        assert start % 8 == 0
        assert start <= max(0, span.start - context)
        assert end >= min(side, span.stop + context)
        assert end - start >= min(side, least)


def test_padding_mirrors_and_is_taken_off_again():
    pixels = padded(PHOTO, 64)
    assert pixels.shape == (128, 192, 3)
    np.testing.assert_array_equal(pixels[:96, :131], PHOTO)
    np.testing.assert_array_equal(pixels[96:128, :131], PHOTO[:63:-1])


@pytest.mark.parametrize("method", METHODS)
def test_classical_inpainting_fills_from_the_surroundings(method):
    mask = disc(60, 60, 30, 30, 14)
    spoilt = flat(60, 60, 90)
    spoilt[mask] = 255
    made = inpaint_classical(spoilt, mask, method=method)
    np.testing.assert_allclose(made.pixels, flat(60, 60, 90), atol=4)


def test_classical_inpainting_needs_surroundings():
    with pytest.raises(ManipulationError) as error:
        inpaint_classical(PHOTO, np.ones((96, 131), bool))
    assert error.value.code == "no-surroundings"


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_aligned_pixels_have_the_photos_compression(subsampling):
    jpeg = JpegSettings(70, subsampling)
    photo = reencode(texture(96, 128, seed=3), 70, subsampling=subsampling)
    region = np.zeros((96, 128), bool)
    region[16:80, 32:112] = True
    fresh = np.where(region[..., None], texture(96, 128, seed=4), photo)
    aligned = align_jpeg(photo, fresh, region, jpeg)
    np.testing.assert_array_equal(aligned[~region], photo[~region])

    def change(pixels):
        """How much a second compression of the same kind changes inside."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=70, subsampling=subsampling)
        again = np.asarray(Image.open(file)).astype(int)
        return np.abs(again - pixels)[32:64, 48:96].mean()

    assert change(aligned) < 0.4 * change(fresh)
