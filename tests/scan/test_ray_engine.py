"""The Ray engine gives what the local one gives, whatever dies on the way."""

import os
import signal
import time
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import pytest
from fixtures.gammas import colour_folder
from fixtures.models import brightness_folder
from fixtures.scan_inputs import (
    Deadly,
    Endless,
    Hungry,
    Unreadable,
    drawn_files,
    file_item,
    without_times,
)

from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError
from aligngemini.runner import DetectorOptions
from aligngemini.scan.items import ScanItem
from aligngemini.scan.local import LocalEngine
from aligngemini.scan.pools import parse_pool, plan_pools

ray = pytest.importorskip("ray", reason="Ray is not installed (the extra `cluster`)")

from aligngemini.scan import ray_engine, ray_feed  # noqa: E402
from aligngemini.scan.ray_cluster import ClusterError, cluster  # noqa: E402
from aligngemini.scan.ray_engine import RayEngine  # noqa: E402

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return DetectorOptions(
        pixel=(str(brightness_folder(folder / "a")),), gamma=str(colour_folder(folder / "g"))
    )


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return [file_item(path) for path in drawn_files(tmp_path_factory.mktemp("images"), 48)]


@pytest.fixture(scope="module", autouse=True)
def running():
    with pytest.MonkeyPatch.context() as patch:
        # Ray's processes unpickle the readers that are defined among the tests.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
        with cluster(cpus=2):
            yield


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(ray_feed, "SHARD_ITEMS", 4)


def engine(options, *names, **limits):
    return RayEngine(options, plan_pools([parse_pool(name) for name in names], options), **limits)


def by_address(answers):
    """Answers as two runs have them in common; each address must have one."""
    answers = list(answers)
    found = {one.address: replace(one, record=None) for one in answers}
    assert len(found) == len(answers)
    records = {one.address: without_times(one.record) for one in answers}
    return {address: (one, records[address]) for address, one in found.items()}


def test_answers_are_those_of_the_local_engine(models, items):
    harm = [
        ScanItem("gone", Unreadable(), "s"),
        ScanItem("deadly", Deadly(), "s"),
        ScanItem("endless", Endless(), "s"),
        ScanItem("hungry", Hungry(), "s"),
        ScanItem("cut", None, problem=Problem("truncated", "the archive ends")),
    ]
    mixed = [*items[:10], *harm, *items[10:20]]
    limits = {"timeout": 20, "memory": 256 << 20}
    ours, theirs = engine(models, **limits), LocalEngine(models, workers=1, **limits)
    assert ours.identity == theirs.identity
    found = by_address(ours.answers(mixed))
    assert found == by_address(theirs.answers(mixed))
    codes = {address: one.problem.code for address, (one, _) in found.items() if one.problem}
    assert codes == {
        **{"gone": "unreadable", "deadly": "crashed", "endless": "timeout"},
        **{"hungry": "crashed", "cut": "truncated"},
    }
    errors = [record["error"] for _, record in found.values() if record and record["error"]]
    assert {error["code"] for error in errors} == {"truncated", "unsupported"}


def test_processes_that_are_killed_change_nothing(models, items):
    """Each kind of process that Ray runs for a scan is killed in the middle of it."""
    judge, killed, answers = engine(models, "pixel=1", "gamma=1"), {}, []

    def source():
        for number, item in enumerate(items):
            while number == 36 and len(killed) < 2:
                yield None  # both have to do until they are killed
            yield item

    for answer in judge.answers(source()):
        answers.append(answer)
        for victim, after in {"MapWorker": 8, "ReadShards": 24}.items():
            if len(answers) == after:
                killed[victim] = _kill(victim)
    assert killed == {"MapWorker": 2, "ReadShards": 1}
    assert by_address(answers) == by_address(LocalEngine(models, workers=1).answers(items))


def test_answers_wait_for_no_further_input_and_few_inputs_are_taken_ahead(models, items):
    answered, taken = [], []

    def waiting():
        """As of a folder that is watched: another input comes after the answer to the first."""
        for number in count():
            item = items[number % len(items)]
            taken.append(item)
            yield item
            until = time.monotonic() + 60
            while number < 3 and len(answered) <= number:
                assert time.monotonic() < until, "no answer without a further input"
                time.sleep(0.05)
                yield None

    answers = engine(models, "pixel=1").answers(waiting())
    answered.extend(islice(answers, 3))
    assert [one.address for one in answered] == [item.address for item in items[:3]]
    answered.extend(islice(answers, 100))
    answers.close()
    ahead = (ray_engine.SHARDS_AHEAD + 1) * ray_feed.SHARD_ITEMS
    assert 103 <= len(taken) <= 103 + ahead


def test_models_that_a_worker_cannot_load_end_the_run_with_their_reason(models, tmp_path):
    with pytest.raises(WorkerStartError, match="no model named or at"):
        engine(replace(models, pixel=(str(tmp_path / "none"),)))


def test_models_that_change_under_a_scan_end_it(models, items, tmp_path):
    folder = brightness_folder(tmp_path / "m")
    judge = engine(replace(models, pixel=(str(folder),)))
    folder.rename(tmp_path / "old")
    brightness_folder(folder, gain=1 / 20)
    with pytest.raises(WorkerStartError, match="no longer those that this scan began with"):
        list(judge.answers(items))


@pytest.mark.parametrize(
    ("address", "said"),
    [("ray://127.0.0.1:10001", "on a machine of the cluster"), ("127.0.0.1:1", "at 127.0.0.1:1")],
)
def test_a_cluster_that_cannot_be_used_is_named(address, said, monkeypatch):
    """Connecting itself is Ray's, takes its time, and cannot be had twice in a process."""

    def refuse(**_):
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(ClusterError, match=said), cluster(address):
        pass


def _kill(victim):
    """Kill the processes of Ray with this in their title; gives how many."""
    ours = [pid for pid, title in _ray_processes() if victim.encode() in title]
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    return len(ours)


def _ray_processes():
    """(id, title) of those that Ray's own daemon on this machine runs for this test."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                pid, stat = int(entry.name), (entry / "stat").read_text()
                titles[pid] = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            parents[pid] = int(stat.rpartition(")")[2].split()[1])
    return [
        (pid, titles[pid])
        for pid, parent in parents.items()
        if b"raylet" in titles.get(parent, b"") and parents.get(parent) == os.getpid()
    ]
