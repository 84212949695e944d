"""Near-duplicates: the hash is ImageHash's, the index finds what brute force finds."""

import random
import sqlite3
from pathlib import Path

import imagehash
import numpy as np
import pytest
from fixtures.drawn import flat, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aligngemini.images.decode import decode
from aligngemini.images.degrade import reencode, rescale
from aligngemini.scan.near import DISTANCE, MAX_DISTANCE, NearIndex, perceptual_hash

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "photos"


def apart(one, other):
    return bin(one ^ other).count("1")


def by_brute_force(hashes, distance):
    """Leader of each image in this order: the nearest there is, the smallest hash of several."""
    leaders: dict[int, str] = {}
    found = {}
    for name, value in hashes.items():
        near = [leader for leader in leaders if apart(leader, value) <= distance]
        # As SQLite keeps them: with a sign.
        best = min(near, key=lambda k: (apart(k, value), k - (k >> 63 << 64)), default=None)
        if best is None:
            leaders[value] = name
            best = value
        found[name] = leaders[best]
    return found


@st.composite
def crowds(draw):
    """Hashes that lie near each other more often than not."""
    bits = st.integers(0, 2**64 - 1)
    centres = draw(st.lists(bits, min_size=1, max_size=4))
    hashes = []
    for _ in range(draw(st.integers(1, 40))):
        value = draw(st.sampled_from(centres))
        for bit in draw(st.lists(st.integers(0, 63), max_size=10)):
            value ^= 1 << bit
        hashes.append(value)
    return {f"image {k}": value for k, value in enumerate(hashes)}


@settings(max_examples=60, deadline=None)
@given(hashes=crowds(), distance=st.integers(0, MAX_DISTANCE))
def test_groups_are_those_of_brute_force(hashes, distance):
    index = NearIndex(sqlite3.connect(":memory:"), distance=distance)
    expected = by_brute_force(hashes, distance)
    for name, value in hashes.items():
        nearest = index.leader_of(value)
        place = index.add(name, value)
        assert place.leader == expected[name]
        assert nearest == (None if place.leader == name else place.leader)
        assert place.distance == apart(value, hashes[place.leader]) <= distance
        assert index.add(name, 0) == index.find(name) == place  # it stays where it is


@settings(max_examples=30, deadline=None)
@given(hashes=crowds())
def test_groups_are_listed_with_all_their_copies(hashes):
    index = NearIndex(sqlite3.connect(":memory:"))
    for name, value in hashes.items():
        index.add(name, value)
    groups = list(index.groups(smallest=1))
    expected = by_brute_force(hashes, DISTANCE)
    assert {copy.sha256: copy.leader for group in groups for copy in group} == expected
    assert all(group[0].sha256 == group[0].leader for group in groups)
    sizes = [len(group) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert [len(group) for group in index.groups()] == [size for size in sizes if size > 1]


def test_the_hash_is_that_of_imagehash():
    for seed in range(5):
        pixels = texture(200, 300, seed=seed)
        value = perceptual_hash(pixels)
        assert f"{value:016x}" == str(imagehash.phash(Image.fromarray(pixels)))


def test_copies_have_nearly_the_same_hash_and_others_have_not():
    photos = sorted(SAMPLES.glob("*.jpg"))
    pictures = [decode(photo.read_bytes()).pixels for photo in photos]
    hashes = [perceptual_hash(pixels) for pixels in pictures]
    for pixels, value in zip(pictures, hashes, strict=True):
        smaller = rescale(pixels, 0.5)
        for copy in (reencode(pixels, 75), smaller, reencode(smaller, 80, codec="WEBP")):
            assert apart(perceptual_hash(copy), value) <= DISTANCE
    others = [apart(a, b) for k, a in enumerate(hashes) for b in hashes[:k]]
    assert min(others) > MAX_DISTANCE


@pytest.mark.parametrize("grey", [0, 127, 255])
def test_pictures_of_nothing_are_no_copies_of_each_other(grey):
    noise = np.random.default_rng(0).integers(-2, 3, (64, 64, 3))
    assert perceptual_hash(flat(64, 64, grey)) is None
    assert perceptual_hash(np.clip(grey + noise, 0, 255).astype(np.uint8)) is None


def test_a_look_up_reads_no_table():
    """Every band has its index: without one the cost would grow with the square of the images."""
    connection = sqlite3.connect(":memory:")
    index = NearIndex(connection)
    rng = random.Random(0)
    for number in range(500):
        index.add(str(number), rng.getrandbits(64))
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    index.add("new", rng.getrandbits(64))
    index.find("7")
    connection.set_trace_callback(None)
    assert len(statements) > 4
    for statement in statements:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert not [row for row in plan if "SCAN" in row[3]], statement


def test_what_is_not_committed_is_gone(tmp_path):
    path = tmp_path / "a.sqlite"
    connection = sqlite3.connect(path)
    index = NearIndex(connection)
    index.add("kept", 1)
    connection.commit()
    index.add("lost", 2)
    connection.close()
    again = NearIndex(sqlite3.connect(path))
    assert again.find("kept") is not None
    assert again.find("lost") is None


@pytest.mark.parametrize("distance", [-1, MAX_DISTANCE + 1])
def test_a_distance_that_finds_everything_is_refused(distance):
    with pytest.raises(ValueError, match="distance"):
        NearIndex(sqlite3.connect(":memory:"), distance=distance)
