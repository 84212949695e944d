"""Published numbers: sourced, of metrics and subsets that exist, and none that nobody published."""

import pytest

from aligngemini.benchmarks import BENCHMARKS
from aligngemini.benchmarks.published import (
    METRICS,
    TRUST_WORDS,
    PublishedError,
    load_published,
    parse_block,
    published_for,
)
from aligngemini.evaluation.tables import FIGURES


def value(method, benchmark, subset="mean", metric=None, source=""):
    (number,) = {
        number.value
        for number in published_for(benchmark)
        if (number.method, number.subset) == (method, subset)
        and metric in (None, number.metric)
        and source in number.source
    }
    return number


def test_every_number_is_a_share_with_a_source_and_a_trust():
    numbers = load_published()
    assert len(numbers) > 250
    for number in numbers:
        assert 0 <= number.value <= 1
        assert number.source
        assert number.trust in TRUST_WORDS
        assert number.metric in FIGURES, "a figure of ours must be there to stand beside it"
    keys = [
        (one.method, one.benchmark, one.subset, one.metric, one.source, one.protocol, one.remark)
        for one in numbers
    ]
    assert len(set(keys)) == len(keys), "two numbers for the same thing"
    assert {number.metric for number in numbers} == set(METRICS)


def test_numbers_that_the_source_gives_to_the_wrong_set_are_not_there():
    """One summary has them under CommunityUI of WildRF, Civitai of AIGIBench, Reddit of Chameleon:
    subsets that belong to other sets. For GenImage it shows no value.
    """
    ours = [number for number in load_published() if number.method == "AlignGemini"]
    assert {number.benchmark for number in ours} == {
        *("bfree-online", "drct-2m", "co-spy-in-the-wild", "aigi-now", "in-the-wild")
    }
    assert not {0.929, 0.888, 0.922} & {number.value for number in ours}
    assert all(number.trust == "S" for number in ours)


def test_gamma_has_no_number_that_could_stand_beside_ours():
    assert not [number for number in load_published() if "GAMMA" in number.method.upper()]


def test_numbers_are_those_of_their_sources():
    assert value("AlignGemini", "bfree-online") == 0.975
    assert value("AlignGemini", "aigi-now", "Nano-Banana/semantic") == 0.956
    assert value("DDA", "genimage") == 0.917
    assert value("NPR", "evalgen") == 0.029
    assert value("C2P-CLIP", "forensynths") == 0.92
    assert value("DDA", "dda-coco", "FLUX.1") == 0.502
    assert value("MIRROR", "genimage") == 0.998
    assert value("MIRROR", "drct-2m") == 0.93
    assert value("DDA", "aigibench", metric="ap") == 0.902
    assert value("CNNDetection", "aigibench", metric="accuracy") == 0.549
    assert value("DINOv3 probe", "chameleon", metric="real_accuracy") == 0.933
    assert value("MetaCLIP2 probe", "aigi-now", "Jimeng/semantic") == 0.825
    assert value("SigLIP2 probe", "aigi-now", "MiniMax/semantic") == 0.688
    (spread,) = {n.spread for n in published_for("wildrf") if n.method == "DDA" and n.spread}
    assert spread == 0.035


def test_the_mean_of_the_linear_probes_is_that_of_their_subsets():
    for method, digits in (("MetaCLIP2", 3), ("PE-CLIP", 3), ("DINOv3", 3), ("SigLIP2", 3)):
        parts = [
            number.value
            for number in published_for("aigi-now")
            if number.method == f"{method} probe" and number.subset != "mean"
        ]
        assert len(parts) == 18
        mean = value(f"{method} probe", "aigi-now")
        assert sum(parts) / 18 == pytest.approx(mean, abs=2 * 10**-digits), method


AVERAGES = {
    **{"NPR": 46.1, "UnivFD": 56.3, "FatFormer": 59.6, "SAFE": 47.6, "C2P-CLIP": 62.1},
    **{"AIDE": 54.1, "DRCT": 70.1, "AlignedForensics": 75.0, "DDA": 90.7},
}
"""Last line of DDA's table."""


@pytest.mark.parametrize("method", AVERAGES)
def test_the_columns_of_ddas_table_have_the_averages_that_it_states(method):
    column = [
        number.value
        for number in load_published()
        if number.source.startswith("DDA, README") and number.method == method
    ]
    assert len(column) == 11
    assert 100 * sum(column) / 11 == pytest.approx(AVERAGES[method], abs=0.06)


def test_the_protocol_is_said_where_fakes_alone_were_saved_as_jpeg():
    for number in load_published():
        if number.source.startswith("DDA, README"):
            expected = "fakes-jpeg96" if BENCHMARKS[number.benchmark].jpeg96 else "as-is"
            assert number.protocol == expected, number


BLOCK = {
    "source": "a paper",
    "trust": "P",
    "metric": "accuracy",
    "method": "X",
    "numbers": {"wildrf": {"mean": 90.0, "reddit": [91.0, 2.0]}},
}


def test_a_block_gives_its_numbers():
    assert [number.value for number in parse_block(BLOCK)] == [0.9, 0.91]


@pytest.mark.parametrize(
    "change",
    [
        {"trust": "Q"},
        {"metric": "luck"},
        {"authors": "me"},
        {"numbers": {"wildrf": {"mean": 900}}},
        {"numbers": {"wildrf": {"mean": "90"}}},
        {"numbers": {"wildrf": {"CommunityUI": 92.9}}},
        {"numbers": {"wildrf": {"reddit+instagram": 92.9}}},
        {"numbers": {"flickr": {"mean": 90}}},
        {"numbers": {}, "table": {"methods": ["A", "B"], "mean": {"wildrf": [1]}}},
    ],
)
def test_a_block_that_cannot_be_is_refused_by_its_source(change):
    with pytest.raises(PublishedError, match="a paper"):
        list(parse_block({**BLOCK, **change}))
