"""Scores that are counted, kept and compared."""

import json
import logging

import numpy as np
import pytest
from asking import post
from fixtures.drawn import png, striped

from aligngemini.serve.drift import DriftWatch
from aligngemini.settings import SettingsError

DETECTOR = {"models": {"pixel": "brightness@1"}}


class Calendar:
    """Days that pass when told to."""

    def __init__(self):
        self.number = 1

    def __call__(self):
        return f"2026-01-{self.number:02}"


def fill(watch, mean, seed):
    for score in np.random.default_rng(seed).normal(mean, 0.1, 300).clip(0, 1):
        watch.add([("pixel", float(score))])


def test_a_day_that_scores_otherwise_is_warned_of_when_it_is_over(caplog):
    calendar = Calendar()
    watch = DriftWatch(today=calendar)
    for mean in (0.4, 0.4, 0.7):
        fill(watch, mean, calendar.number)
        calendar.number += 1
        assert not caplog.records
    with caplog.at_level(logging.WARNING):
        fill(watch, 0.4, 9)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "drift, branch pixel"
    ]
    assert watch.latest()["pixel"].warned


def test_a_stream_that_stays_the_same_is_not_warned_of(caplog):
    calendar = Calendar()
    watch = DriftWatch(today=calendar)
    for day in range(1, 8):
        calendar.number = day
        fill(watch, 0.4, day)
    assert not caplog.records
    assert not watch.latest()["pixel"].warned


def test_the_file_goes_on_where_it_was(tmp_path):
    calendar, path = Calendar(), tmp_path / "scores.json"
    first = DriftWatch(path, today=calendar)
    first.open(DETECTOR)
    fill(first, 0.4, 1)
    first.save()
    calendar.number = 2
    second = DriftWatch(path, today=calendar)
    second.open(DETECTOR)
    fill(second, 0.7, 2)
    calendar.number = 3
    assert second.latest()["pixel"].warned


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"detector": {}, "scores": {"a": 1}}', "[" * 9999]
)
def test_a_file_that_is_something_else_is_refused(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match="holds no scores"):
        DriftWatch(path).open(DETECTOR)
    assert path.read_text() == text


def test_scores_of_another_detector_are_refused(tmp_path):
    path = tmp_path / "scores.json"
    DriftWatch(path).open(DETECTOR)
    with pytest.raises(SettingsError, match="another detector"):
        DriftWatch(path).open({"models": {"pixel": "brightness@2"}})


def test_what_the_service_judges_is_counted_and_nothing_else(service, app, monkeypatch, tmp_path):
    watch = DriftWatch(tmp_path / "scores.json")
    watch.open(DETECTOR)
    monkeypatch.setattr(service, "drift", watch)
    picture = png(striped(200, 200, 200))
    answer = post(app, ("a.png", picture), ("broken.png", b"none"), ("b.png", picture)).json()
    counted = [one["branches"] for one in answer["results"] if one["error"] is None]
    assert len(counted) == 2
    watch.save()
    kept = json.loads((tmp_path / "scores.json").read_text())["scores"]
    total = sum(sum(day.values()) for branch in kept.values() for day in branch.values())
    usable = [b for one in counted for b in one.values() if b.get("verdict") and "remark" not in b]
    assert total == len([one for one in usable if one.get("score") is not None])
    assert "a.png" not in (tmp_path / "scores.json").read_text()
