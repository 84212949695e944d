import pytest

from aligngemini.runner import DetectorOptions
from aligngemini.scan.pools import Pool, PoolError, parse_pool, part_of, plan_pools

URL = "http://127.0.0.1:8000/v1"
ALL = DetectorOptions(pixel=("compact", "dda"), gamma="gamma-compact", semantic=URL)


def test_a_pool_as_it_is_written():
    assert parse_pool("pixel=8:0.25") == Pool(("pixel",), 8, 0.25)
    assert parse_pool("semantic=32") == Pool(("semantic",), 32, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        *("pixel", "pixel=", "pixel=x", "pixel=0", "pixel=-1", "pixel=1:x", "pixel=1:-1"),
        *("provenance=1", "=1", "pixel=1:nan", "pixel=1:inf"),
    ],
)
def test_what_is_no_pool_is_refused_with_a_sentence(text):
    with pytest.raises(PoolError, match=r"write KIND=WORKERS|a pool is for one of|a pool has one"):
        parse_pool(text)


def test_unnamed_branches_go_to_the_first_pool():
    assert plan_pools([], ALL) == (Pool(("pixel", "gamma", "semantic", "provenance")),)
    pools = plan_pools([parse_pool("semantic=32"), parse_pool("pixel=8:0.25")], ALL)
    assert [pool.kinds for pool in pools] == [("pixel", "gamma", "provenance"), ("semantic",)]
    assert [(pool.workers, pool.gpus) for pool in pools] == [(8, 0.25), (32, 0.0)]


def test_a_pool_that_only_asks_a_server_takes_a_part_of_a_cpu():
    pools = plan_pools([parse_pool("pixel=1"), parse_pool("semantic=2")], ALL)
    assert [pool.cpus for pool in pools] == [1.0, 0.25]
    own = DetectorOptions(semantic="qwen")
    assert plan_pools([parse_pool("pixel=1"), parse_pool("semantic=2")], own)[1].cpus == 1.0


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (["pixel=1", "pixel=2"], ALL),
        (["gamma=1"], DetectorOptions(gamma="off")),
        (["semantic=1"], DetectorOptions()),
        (["pixel=1"], DetectorOptions(pixel=("off",))),
    ],
)
def test_pools_that_make_no_sense_are_refused(names, options):
    with pytest.raises(PoolError, match=r"name one|leave it out"):
        plan_pools([parse_pool(name) for name in names], options)


def test_every_branch_is_loaded_in_exactly_one_pool():
    pools = plan_pools(
        [parse_pool("pixel=1"), parse_pool("gamma=1"), parse_pool("semantic=1")], ALL
    )
    parts = [part_of(ALL, pool) for pool in pools]
    assert [part.pixel for part in parts] == [ALL.pixel, ("off",), ("off",)]
    assert [part.gamma for part in parts] == ["off", ALL.gamma, "off"]
    assert [part.semantic for part in parts] == ["off", "off", URL]
    assert [pool.kinds.count("provenance") for pool in pools] == [1, 0, 0]
