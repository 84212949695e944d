"""A run on its store: what is left to do, who does it, and what stays."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from fixtures.scan_stores import IDENTITY, answer, inputs_of, item, judgments_of, unread

from aligngemini.calibration.drift import ScoreHistogram
from aligngemini.evidence import Problem
from aligngemini.scan.histograms import read_scores
from aligngemini.scan.judge import Identity
from aligngemini.scan.run import Run
from aligngemini.scan.store import Store


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "s.sqlite", create=True) as store:
        yield store


def state(run, *arguments, **settings):
    return run.take(item(*arguments, **settings)).state


def test_what_is_done_is_not_taken_again_until_it_changes(store):
    run = Run(store, IDENTITY)
    assert state(run, "a") == "open"
    run.commit([answer("a", "aa")])
    assert state(run, "a") == "done"
    assert state(run, "a", "2") == "open"
    assert state(run, "b") == "open"


def test_an_input_that_nothing_tells_apart_is_read_again(store):
    run = Run(store, IDENTITY)
    run.commit([answer("a", "aa", stamp="")])
    assert state(run, "a", "") == "open"
    assert run.content("aa").state == "done"


def test_another_detector_judges_again_and_finds_nothing_known(store):
    Run(store, IDENTITY).commit([answer("a", "aa")])
    other = Run(store, Identity({**IDENTITY.about, "models": {"pixel": "drawn@2"}}))
    assert other.content("aa").state == "open"
    assert state(other, "a") == "open"
    other.commit([answer("a", "aa", score=0.5)])
    assert [row[3] for row in judgments_of(store)] == [0.25, 0.5]
    assert len(inputs_of(store)) == 1


def test_a_copy_is_an_input_and_no_second_judgment(store):
    run = Run(store, IDENTITY)
    run.commit([answer("a", "aa"), replace(answer("b", "aa"), record=None)])
    assert [row[:3] for row in inputs_of(store)] == [("a", "1", "aa"), ("b", "1", "aa")]
    assert len(judgments_of(store)) == 1
    assert state(run, "b") == "done"


def test_no_row_is_written_twice_and_a_verdict_stays(store):
    run = Run(store, IDENTITY)
    run.commit([answer("a", "aa"), answer("a", "aa", score=0.75)])
    Run(store, IDENTITY).commit([answer("a", "aa", error="timeout")])
    assert judgments_of(store) == [("aa", 1, None, 0.25)]
    assert len(inputs_of(store)) == 1


def test_errors_are_kept_and_tried_again_only_on_demand(store):
    Run(store, IDENTITY).commit(
        [
            unread("gone"),
            answer("slow", "ss", error="timeout"),
            answer("bad", "bb", error="corrupt"),
        ]
    )
    plain = Run(store, IDENTITY)
    assert [plain.take(item(a)).error for a in ("gone", "slow", "bad")] == [
        *("unreadable", "timeout", "corrupt"),
    ]
    retry = Run(store, IDENTITY, retry=["timeout", "unreadable"])
    assert [state(retry, a) for a in ("gone", "slow", "bad")] == ["open", "open", "failed"]
    assert retry.content("ss").state == "open"
    retry.commit([answer("gone", "gg"), answer("slow", "ss")])
    assert [row[2] for row in judgments_of(store)] == ["corrupt", None, None]
    assert [row[3] for row in inputs_of(store)] == [None] * 3


def test_a_retry_tries_each_content_once(store):
    Run(store, IDENTITY).commit([answer("a", "ss", error="timeout")])
    retry = Run(store, IDENTITY, retry=["timeout"])
    retry.commit([answer("a", "ss", error="timeout")])
    assert state(retry, "a") == "failed"
    assert retry.content("ss").state == "failed"


def test_a_branch_that_failed_beside_a_verdict_is_an_error_to_try_again(store):
    Run(store, IDENTITY).commit([answer("a", "aa", branch_error="unavailable")])
    assert state(Run(store, IDENTITY), "a") == "done"
    retry = Run(store, IDENTITY, retry=["unavailable"])
    assert state(retry, "a") == "open"
    retry.commit([answer("a", "aa", score=0.5)])
    assert judgments_of(store) == [("aa", 1, None, 0.5)]


def test_a_source_that_still_is_not_there_is_written_once(store):
    missing = Problem("not-found", "no such folder")
    run = Run(store, IDENTITY)
    run.commit([unread("x", "not-found", stamp="")])
    assert state(run, "x", "", problem=missing) == "failed"
    assert state(run, "x", "", problem=Problem("unreadable", "m")) == "open"


def test_two_runs_share_the_work(store, tmp_path):
    with Store(tmp_path / "s.sqlite") as second:
        one, two = Run(store, IDENTITY), Run(second, IDENTITY)
        assert state(one, "a") == "open"
        assert state(two, "a") == "taken"
        assert state(two, "b") == "open"
        assert one.others()
        two.end(whole=True)
        assert not one.others()
        assert state(one, "b") == "open"
        one.commit([answer("a", "aa")])
        assert state(two, "a") == "done"


def test_what_a_run_has_in_its_hands_it_does_not_take_twice(store):
    run = Run(store, IDENTITY)
    assert [state(run, "a"), state(run, "a")] == ["open", "done"]


def test_a_killed_run_holds_nothing(store):
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    dead = Run(store, IDENTITY)
    assert state(dead, "a") == "open"
    store.connection.execute("UPDATE runs SET pid = ?, born = 0", (process.pid,))
    assert state(Run(store, IDENTITY), "a") == "open"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process started")
def test_a_killed_run_holds_nothing_where_its_process_id_is_used_again(store):
    dead = Run(store, IDENTITY)
    assert state(dead, "a") == "open"
    assert state(Run(store, IDENTITY), "a") == "taken"
    store.connection.execute("UPDATE runs SET born = born - 1 WHERE id = ?", (dead.id,))
    assert state(Run(store, IDENTITY), "a") == "open"


def test_a_run_elsewhere_holds_what_it_has_until_its_lease_ends(store):
    now = [1000.0]
    away = Run(store, IDENTITY, lease=60, clock=lambda: now[0])
    assert state(away, "a") == "open"
    store.connection.execute("UPDATE runs SET host = 'elsewhere', pid = 0 WHERE id = ?", (away.id,))
    here = Run(store, IDENTITY, clock=lambda: now[0])
    assert state(here, "a") == "taken"
    now[0] += 45
    away.commit([])  # heard of
    now[0] += 45
    assert state(here, "a") == "taken"
    now[0] += 30
    assert state(here, "a") == "open"


def test_a_run_that_had_nothing_to_do_for_long_holds_what_it_takes_then(store):
    now = [1000.0]
    watching = Run(store, IDENTITY, lease=60, clock=lambda: now[0])
    now[0] += 3600
    assert state(watching, "a") == "open"
    assert state(Run(store, IDENTITY, clock=lambda: now[0]), "a") == "taken"


def test_the_process_that_runs_is_alive(store):
    assert state(Run(store, IDENTITY), "a") == "open"
    assert state(Run(store, IDENTITY), "a") == "taken"
    assert store.connection.execute("SELECT pid FROM runs").fetchall() == [(os.getpid(),)] * 2


def test_scores_are_counted_by_day_each_content_once(store):
    now = [0.0]
    run = Run(store, IDENTITY, clock=lambda: now[0])
    run.commit([answer("a", "aa"), replace(answer("b", "aa"), record=None)])
    now[0] += 12 * 3600
    run.commit([answer("c", "cc", score=0.75), answer("d", "dd", error="corrupt")])
    now[0] += 24 * 3600
    run.commit([answer("e", "ee"), answer("f", "ff", borrowed=True)])
    scores = read_scores(store.connection, run.detector)
    assert {day: one.to_dict() for day, one in scores["pixel"].items()} == {
        "1970-01-01": ScoreHistogram.of([0.25, 0.75]).to_dict(),
        "1970-01-02": ScoreHistogram.of([0.25]).to_dict(),
    }


def test_a_near_duplicate_takes_the_record_of_the_first_over_once_it_has_one(store):
    run = Run(store, IDENTITY, near=True)
    assert run.alike(("bb", 0b1000)) is None
    first = answer("a", "aa", near=0)
    run.commit([first])
    assert run.alike(("bb", 0b1000)) == first.record
    assert run.alike(("aa", 0)) is None
    assert run.alike(("bb", 0xFFFF)) is None
    run.commit([answer("c", "cc", near=0xFF00FF00, error="timeout")])
    assert run.alike(("dd", 0xFF00FF00)) is None
