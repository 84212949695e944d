import pytest

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.limiting import limited
from aligngemini.evaluation.protocols import default_protocols, delivery_for
from aligngemini.images.deliveries import DeliveryError


@pytest.mark.parametrize(
    ("protocol", "real", "fake"),
    [
        ("as-is", None, None),
        ("fakes-jpeg96", None, "jpeg:96"),
        ("all-alike", "jpeg:96", "jpeg:96"),
        ("scale:0.5+jpeg:75", "scale:0.5+jpeg:75", "scale:0.5+jpeg:75"),
    ],
)
def test_what_happens_to_the_classes(protocol, real, fake):
    assert delivery_for(protocol, "real") == real
    assert delivery_for(protocol, "fake") == fake


def test_a_protocol_that_is_none_is_said_with_those_there_are():
    with pytest.raises(DeliveryError, match="no protocol 'fakes-jpeg': there are as-is, fakes-jp"):
        delivery_for("fakes-jpeg", "real")


def test_the_honest_column_is_always_there():
    for jpeg96 in (False, True):
        assert {"as-is", "all-alike"} <= set(default_protocols(jpeg96=jpeg96))
    assert "fakes-jpeg96" in default_protocols(jpeg96=True)


def rows_under(root):
    return [
        Row(f"{root}/{subset}/{label}/{k:03}.png", label, extra={"subset": subset})
        for subset, count in (("a", 40), ("b", 3))
        for label in ("real", "fake")
        for k in range(count)
    ]


def test_a_part_has_so_many_of_each_class_and_subset_in_their_order():
    rows = rows_under("/data")
    part = limited(rows, 5)
    counts = {}
    for row in part:
        key = row.extra["subset"], row.label
        counts[key] = counts.get(key, 0) + 1
    assert counts == {("a", "real"): 5, ("a", "fake"): 5, ("b", "real"): 3, ("b", "fake"): 3}
    assert part == [row for row in rows if row in part]
    assert [row.path for row in part if "/a/real" in row.path] != [row.path for row in rows[:5]]


def test_a_part_is_the_same_one_wherever_the_benchmark_lies():
    here, there = limited(rows_under("/data"), 5), limited(rows_under("/mnt/other"), 5)
    assert [row.path[len("/data") :] for row in here] == [
        row.path[len("/mnt/other") :] for row in there
    ]
