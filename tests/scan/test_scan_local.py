"""The scan on one machine: every input once, whatever its reader or its file does."""

import hashlib
import itertools
import os
import signal
import time

import pytest
from fixtures.drawn import png, texture
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
from fixtures.scan_stores import inputs_of, judgments_of
from PIL import Image

from aligngemini.detector import Detector
from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError
from aligngemini.runner import DetectorOptions
from aligngemini.scan import loop
from aligngemini.scan.counting import counted
from aligngemini.scan.items import ScanItem
from aligngemini.scan.local import LocalEngine
from aligngemini.scan.loop import scan
from aligngemini.scan.run import Run
from aligngemini.scan.store import Store
from aligngemini.scan.tally import Tally


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    model = brightness_folder(tmp_path_factory.mktemp("models") / "m")
    return DetectorOptions(pixel=(str(model),), gamma="off")


@pytest.fixture(scope="module")
def engine(options):
    return LocalEngine(options, workers=2)


@pytest.fixture(scope="module")
def strict(options):
    """An engine that gives up early, though not on images on a machine with other work to do."""
    return LocalEngine(options, workers=2, timeout=6, memory=256 << 20)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "s.sqlite", create=True) as store:
        yield store


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def go(engine, store, items, **settings):
    run, tally = Run(store, engine.identity), Tally(engine.workers)
    scan(engine.answers, lambda: items, run, tally, **settings)
    return tally


def test_records_are_those_of_the_detector(engine, options, store, tmp_path):
    paths = drawn_files(tmp_path / "i", 12)
    tally = go(engine, store, [file_item(path) for path in paths])
    rows = store.connection.execute(
        "SELECT i.address, j.record FROM inputs i JOIN judgments j ON j.sha256 = i.sha256"
    )
    kept = {address: without_times(record) for address, record in rows}
    detector = Detector.load(pixel=options.pixel, gamma="off", threads=1)
    for path in paths:
        expected = without_times(detector.judge(str(path)).to_json())
        del expected["path"]
        assert kept[str(path)] == expected
    assert tally.outcomes == {"judged": 12}
    assert tally.verdicts.total() == 12
    assert tally.errors == {"truncated": 1, "unsupported": 1}


def test_nothing_is_done_twice(engine, store, tmp_path):
    items = [file_item(path) for path in drawn_files(tmp_path / "i", 6)]
    go(engine, store, items)
    before = judgments_of(store), inputs_of(store)
    tally = go(engine, store, items)
    assert tally.outcomes == {"before": 6}
    assert tally.errors == {"truncated": 1}
    assert (judgments_of(store), inputs_of(store)) == before


def test_a_copy_is_neither_decoded_nor_judged(engine, store, tmp_path):
    (path,) = drawn_files(tmp_path / "i", 1)
    go(engine, store, [file_item(path)])
    copy = tmp_path / "copy.png"
    copy.write_bytes(path.read_bytes())
    tally = go(engine, store, [file_item(copy)])
    assert tally.outcomes == {"copies": 1}
    assert tally.seconds["decode"] == tally.seconds["judge"] == 0
    assert len(judgments_of(store)) == 1
    assert len(inputs_of(store)) == 2


def test_a_copy_of_what_cannot_be_judged_counts_as_an_error(engine, store, tmp_path):
    bad, copy = tmp_path / "bad.png", tmp_path / "copy.png"
    for path in (bad, copy):
        path.write_bytes(b"no image")
    go(engine, store, [file_item(bad)])
    assert go(engine, store, [file_item(copy)]).errors == {"unsupported": 1}


def test_readers_that_do_harm_take_nothing_along(strict, store, tmp_path):
    good = [file_item(path) for path in drawn_files(tmp_path / "i", 3)]
    bad = {
        "dies": (Deadly(), "crashed"),
        "hangs": (Endless(), "timeout"),
        "eats": (Hungry(), "crashed"),
        "gone": (Unreadable(), "unreadable"),
    }
    items = [ScanItem(name, reader, stamp="1") for name, (reader, _) in bad.items()]
    tally = go(strict, store, [*itertools.chain(*zip(items, [*good, *good[:1]], strict=True))])
    found = {address: error for address, _, _, error in inputs_of(store)}
    assert {name: found[name] for name in bad} == {name: code for name, (_, code) in bad.items()}
    assert all(found[item.address] is None for item in good)
    assert tally.errors == {"crashed": 2, "timeout": 1, "unreadable": 1}


def test_copies_of_a_deadly_content_kill_one_worker(options, store, tmp_path, monkeypatch):
    from aligngemini.images import decode

    died = tmp_path / "died"

    def dying(data, **settings):
        with died.open("a") as file:
            file.write(".")
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(decode, "decode", dying)  # in the workers too, which are forked
    engine = LocalEngine(options, workers=1)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(b"the same")
    tally = go(engine, store, [file_item(path) for path in paths])
    assert died.read_text() == "."
    assert tally.errors == {"crashed": 3}
    assert judgments_of(store) == [(sha256_of(paths[0]), 1, "crashed", None)]


def test_what_is_known_to_be_unreadable_needs_no_worker(engine, store):
    problem = Problem("not-found", "no file matches this pattern")
    tally = go(engine, store, [ScanItem("*.jpg", problem=problem)])
    assert inputs_of(store) == [("*.jpg", "", None, "not-found")]
    assert tally.errors == {"not-found": 1}


def test_a_slow_input_holds_up_no_other_nor_its_commit(strict, store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "BATCH_SECONDS", 0)
    committed = []
    commit = Run.commit

    def noting(run, answers):
        committed.extend(answer.address for answer in answers)
        commit(run, answers)

    monkeypatch.setattr(Run, "commit", noting)
    good = [file_item(path) for path in drawn_files(tmp_path / "i", 3)]
    go(strict, store, [ScanItem("hangs", Endless(), stamp="1"), *good])
    assert committed[-1] == "hangs"
    assert len(committed) == 4


def test_an_interrupt_commits_what_was_answered(engine, store, tmp_path):
    items = [file_item(path) for path in drawn_files(tmp_path / "i", 8)]
    seen = []

    def stop():
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(engine, store, items, step=stop)
    assert len(inputs_of(store)) == 3
    assert store.connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    assert go(engine, store, items).outcomes == {"before": 3, "judged": 5}


def test_a_watched_source_is_looked_at_again(engine, store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "NAP", 0.01)
    paths = drawn_files(tmp_path / "i", 4)
    looks = []

    def sources():
        looks.append(1)
        if len(looks) == 4:
            raise KeyboardInterrupt
        return [file_item(path) for path in paths[: 2 * len(looks)]]

    run, tally = Run(store, engine.identity), Tally(2)
    with pytest.raises(KeyboardInterrupt):
        scan(engine.answers, sources, run, tally, watch=0.05)
    assert len(inputs_of(store)) == 4
    assert tally.outcomes == {"judged": 4}


def test_what_another_run_left_undone_is_done_in_the_end(engine, store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "NAP", 0.01)
    items = [file_item(path) for path in drawn_files(tmp_path / "i", 3)]
    with Store(store.path) as second:
        other = Run(second, engine.identity)
        other.take(items[1])
        asked = []

        def others():
            asked.append(1)
            if len(asked) == 3:
                other.end(whole=False)
            return Run.others(mine)

        mine, tally = Run(store, engine.identity), Tally(2)
        monkeypatch.setattr(mine, "others", others)
        scan(engine.answers, lambda: items, mine, tally)
    assert tally.taken == 1
    assert tally.outcomes == {"judged": 3}
    assert len(asked) >= 3


def test_near_duplicates_take_the_verdict_of_a_first_that_is_no_smaller(options, store, tmp_path):
    engine = LocalEngine(options, workers=1, near=True)
    pixels = texture(96, 128, seed=7, spread=20)
    paths = []
    for number, scale in enumerate((1.0, 0.5, 1.5)):
        picture = Image.fromarray(pixels).resize((int(128 * scale), int(96 * scale)))
        paths.append(tmp_path / f"{number}.jpg")
        picture.save(paths[-1], quality=85)
    other = tmp_path / "z.png"
    other.write_bytes(png(texture(96, 128, seed=6, spread=20)))
    items = [file_item(path) for path in (*paths, other)]
    run, tally = Run(store, engine.identity, near=True), Tally(1)
    scan(engine.answers, lambda: items, run, tally, take_over=True)
    assert tally.outcomes == {"judged": 3, "near": 1}
    sha256, record = store.connection.execute(
        "SELECT j.sha256, j.record FROM judgments j JOIN inputs i USING (sha256) "
        "WHERE i.address = ?",
        (str(paths[1]),),
    ).fetchone()
    fields = without_times(record)
    assert fields["sha256"] == sha256
    assert (fields["width"], fields["height"]) == (64, 48)
    first = sha256_of(paths[0])
    assert fields["notes"][-1].endswith(f"the verdict of its near-duplicate {first}")
    scores = {content: score for content, _, _, score in judgments_of(store)}
    assert scores[sha256] == scores[first]


def test_inputs_are_counted_beside_the_scan():
    with counted(lambda: [ScanItem("a"), ScanItem("b")]) as total:
        until = time.monotonic() + 60
        while total() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert total() == 2
    with counted(None) as total:
        assert total() is None


def test_a_detector_that_cannot_be_loaded_is_said_at_once():
    with pytest.raises(WorkerStartError, match="nonsense"):
        LocalEngine(DetectorOptions(pixel=("nonsense",)))


def test_another_detector_than_the_one_that_began_is_refused(options, engine, store, tmp_path):
    other = brightness_folder(tmp_path / "m", threshold=0.6)
    engine = LocalEngine(options)
    engine._options = DetectorOptions(pixel=(str(other),), gamma="off")
    items = [file_item(path) for path in drawn_files(tmp_path / "i", 1)]
    with pytest.raises(WorkerStartError, match="no longer those that this scan began"):
        go(engine, store, items)
    assert inputs_of(store) == []
