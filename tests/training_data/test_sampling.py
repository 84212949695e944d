"""How often each row is drawn."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligngemini.datasets.manifest import Row
from aligngemini.datasets.pixel import group_of, sampling_weights
from aligngemini.datasets.pool import kind_of

REAL = st.builds(Row, path=st.just("a"), label=st.just("real"), source=st.sampled_from("xyz"))
FAKE = st.builds(Row, path=st.just("a"), label=st.just("fake"), generator=st.sampled_from("pqr"))
PAIR = st.builds(
    Row,
    path=st.just("a"),
    label=st.just("fake"),
    generator=st.just("d"),
    source=st.sampled_from("xyz"),
    pair=st.just("photo"),
)
MIXED = st.tuples(*(st.lists(kind, min_size=1, max_size=12) for kind in (REAL, FAKE, PAIR)))


def totals(rows, weights, key=kind_of):
    sums = defaultdict(float)
    for row, weight in zip(rows, weights, strict=True):
        sums[key(row)] += weight
    return sums


@given(MIXED, st.floats(0, 1), st.floats(0, 1))
def test_kinds_get_the_shares_promised(parts, pair_share, power):
    rows = [row for part in parts for row in part]
    sums = totals(rows, sampling_weights(rows, pair_share, power))
    assert sums["real"] == pytest.approx(0.5)
    assert sums["fake"] == pytest.approx(0.5 * (1 - pair_share))
    assert sums["pair"] == pytest.approx(0.5 * pair_share)


@given(st.lists(REAL, min_size=1), st.lists(FAKE | PAIR, min_size=1), st.floats(0, 1))
def test_labels_are_equal_even_if_a_kind_of_fakes_is_missing(real, fake, pair_share):
    kinds = {kind_of(row) for row in fake}
    rows = [*real, *fake]
    sums = totals(rows, sampling_weights(rows, pair_share, 0.5), key=lambda row: row.label)
    assert sums == pytest.approx({"real": 0.5, "fake": 0.5})
    for kind in kinds:
        alone = [*real, *(row for row in fake if kind_of(row) == kind)]
        sums = totals(alone, sampling_weights(alone, pair_share, 0.5), key=lambda row: row.label)
        assert sums == pytest.approx({"real": 0.5, "fake": 0.5})


@pytest.mark.parametrize(("power", "ratio"), [(0.0, 1.0), (0.5, 3.0), (1.0, 9.0)])
def test_groups_are_drawn_as_their_size_to_the_power(power, ratio):
    rows = [
        *[Row("a", "real", source="small")] * 2,
        *[Row("a", "real", source="large")] * 18,
        *[Row("a", "fake", generator="rare", source="large")] * 3,
        *[Row("a", "fake", generator="common", source="small")] * 27,
    ]
    weights = sampling_weights(rows, 0.2, power)
    sums = totals(rows, weights, key=lambda row: (row.label, row.generator or row.source))
    assert sums["real", "large"] / sums["real", "small"] == pytest.approx(ratio)
    assert sums["fake", "common"] / sums["fake", "rare"] == pytest.approx(ratio)


def test_pairs_are_evened_out_by_the_source_of_their_photo():
    assert group_of(Row("a", "fake", generator="taef2", source="phones", pair="p")) == "phones"
    assert group_of(Row("a", "fake", generator="flux", source="forum")) == "flux"
    assert group_of(Row("a", "real", generator="", source="phones")) == "phones"
