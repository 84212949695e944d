"""Answers as they are done, workers that ask back, sources that have nothing just now."""

import os
import signal
import sys
import time

import pytest

from aligngemini import isolation_worker
from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError
from aligngemini.isolation_stream import stream_isolated
from aligngemini.isolation_worker import ask


def answer(item):
    match item:
        case "hang":
            time.sleep(3600)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "ask and die":
            ask("who am I?")
            os.kill(os.getpid(), signal.SIGKILL)
        case ("ask", question):
            return ask(question)
        case ("ask and work", question):
            reply = ask(question)
            time.sleep(0.5)
            return reply
    return item


def answering():
    return answer


def stream(items, *, workers=2, timeout=30.0, **settings):
    return list(stream_isolated(answering, items, workers=workers, timeout=timeout, **settings))


def test_every_item_comes_back_with_its_answer():
    found = stream(range(50))
    assert sorted(found) == [(number, number) for number in range(50)]


def test_an_item_that_hangs_or_dies_holds_up_no_other():
    found = stream(["hang", *range(20), "die"], timeout=2)
    assert [item for item, _ in found][-1] == "hang"
    codes = {item: said.code for item, said in found if isinstance(said, Problem)}
    assert codes == {"hang": "timeout", "die": "crashed"}
    assert len(found) == 22


def test_no_item_is_taken_before_a_worker_is_free_for_it():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    for done, _ in enumerate(stream_isolated(answering, items(), workers=2, timeout=30), start=1):
        assert len(taken) <= done + 2


def test_a_source_that_has_nothing_just_now_keeps_no_answer_waiting():
    answered = []

    def items():
        yield "first"
        while not answered:
            time.sleep(0.01)
            yield None
        yield "second"

    for item, _ in stream_isolated(answering, items(), workers=1, timeout=30):
        answered.append(item)
    assert answered == ["first", "second"]


def test_a_worker_is_told_what_it_asks():
    replies = {"one": 1, "two": 2}
    asked = []

    def reply(item, question):
        asked.append((item, question))
        return replies[question]

    items = [("ask", "one"), ("ask", "two")]
    assert sorted(stream(items, reply=reply)) == [(("ask", "one"), 1), (("ask", "two"), 2)]
    assert sorted(asked) == [(("ask", "one"), "one"), (("ask", "two"), "two")]


def test_who_asked_and_died_is_known_to_have_asked():
    asked = []
    ((_, problem),) = stream(["ask and die"], reply=lambda *question: asked.append(question))
    assert asked == [("ask and die", "who am I?")]
    assert problem.code == "crashed"


@pytest.mark.skipif(sys.platform == "win32", reason="relies on alarms")
def test_a_parent_that_takes_its_time_to_reply_costs_nobody_their_life(monkeypatch):
    monkeypatch.setattr(isolation_worker, "ORPHAN_GRACE", 0)

    def slow(item, question):
        time.sleep(4)
        return "late"

    item = ("ask and work", "x")
    assert stream([item], timeout=3, reply=slow) == [(item, "late")]


def test_only_workers_have_somebody_to_ask():
    with pytest.raises(RuntimeError, match="no worker"):
        ask("anybody there?")


def failing():
    raise FileNotFoundError("no model there")


def test_a_worker_that_cannot_load_ends_it():
    with pytest.raises(WorkerStartError, match="no model there"):
        list(stream_isolated(failing, [1], workers=1, timeout=30))
