"""The frame of studies: resumable runs, numbers that decide the words, a report that is whole."""

import json
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from aligngemini.experiments.figures import bars
from aligngemini.experiments.registry import STUDIES, open_study
from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.study import Control, Study, StudyError
from aligngemini.experiments.table import Difference, Table, difference_of, judged


@dataclass(frozen=True)
class Settings:
    gain: float = 0.2


def draws(task):
    return {"score": 0.5 + task.settings.gain * (task.cell == "b") + random.random() / 1000}


def study(run=draws, *, gain=0.2, controls=()):
    return Study(
        name="made-up",
        question="Is b better than a?",
        design="Two cells.",
        settings={"smoke": Settings(gain)},
        cells=lambda _: ["a", "b"],
        run=run,
        figure=lambda table: bars(table, {"both": table.figures}, table.cells),
        conclude=lambda table: [
            judged("b is better than a", table.difference(("b", "score"), ("a", "score")))
        ],
        controls=controls,
        meaning={"score": "how good"},
    )


class Counting:
    """A cell that says how often it was run."""

    def __init__(self):
        self.runs = []

    def __call__(self, task):
        self.runs.append((task.cell, task.seed))
        return draws(task)


def test_finished_runs_are_not_run_again(tmp_path):
    run = Counting()
    first = run_study(study(run), "smoke", tmp_path, seeds=(0, 1))
    again = run_study(study(run), "smoke", tmp_path, seeds=(0, 1, 2))
    assert run.runs == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert (
        again.table.values("b", "score")[:2].tolist() == first.table.values("b", "score").tolist()
    )


def test_other_settings_are_not_mixed_with_finished_runs(tmp_path):
    run_study(study(), "smoke", tmp_path, seeds=(0, 1))
    other = run_study(study(gain=-0.2), "smoke", tmp_path, seeds=(0, 1)).table
    assert other.mean("b", "score") < 0.4
    assert len(list((tmp_path / "runs").iterdir())) == 2
    revised = replace(study(Counting()), revision=2)
    run_study(revised, "smoke", tmp_path, seeds=(0, 1))
    assert len(revised.run.runs) == 4


def test_a_half_written_run_is_run_again(tmp_path):
    run_study(study(), "smoke", tmp_path, seeds=(0, 1))
    file = next((tmp_path / "runs").rglob("00-a-seed0.json"))
    whole = json.loads(file.read_text())
    file.write_text(file.read_text()[:40])
    run = Counting()
    run_study(study(run), "smoke", tmp_path, seeds=(0, 1))
    assert run.runs == [("a", 0)]
    assert json.loads(file.read_text())["figures"] == whole["figures"]  # seeded


def test_a_stopped_study_goes_on_where_it_was(tmp_path):
    def stops(task):
        if task.seed == 1:
            raise KeyboardInterrupt
        return draws(task)

    with pytest.raises(KeyboardInterrupt):
        run_study(study(stops), "smoke", tmp_path, seeds=(0, 1))
    run = Counting()
    run_study(study(run), "smoke", tmp_path, seeds=(0, 1))
    assert run.runs == [("a", 1), ("b", 1)]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seeds": (0,)}, "two seeds"),
        ({"seeds": (0, 0)}, "two seeds"),
        ({"data": True}, "takes no --data"),
        ({"scale": "tiny"}, "no scale 'tiny'; it has smoke"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path, settings, says):
    given = {"scale": "smoke", "seeds": (0, 1)} | settings
    if "data" in given:
        given["data"] = tmp_path
    with pytest.raises(StudyError, match=says):
        run_study(study(), given.pop("scale"), tmp_path / "out", **given)


def test_a_cell_without_a_number_is_no_result(tmp_path):
    with pytest.raises(StudyError, match="made-up, a, seed 0: score is no number"):
        run_study(study(lambda _: {"score": float("nan")}), "smoke", tmp_path, seeds=(0, 1))
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_the_interval_is_students(tmp_path):
    values = np.random.default_rng(0).normal(0.1, 0.2, 7)
    found = difference_of(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert difference_of(values[:1]).word == "does not tell"


def test_differences_are_paired_by_seed():
    # Seeds differ more than cells do; within each seed, b is always a little better.
    seeds = {0: 0.2, 1: 0.5, 2: 0.9}
    results = {
        (cell, seed): {"x": base + (cell == "b") * (0.01 + seed / 1000)}
        for cell in "ab"
        for seed, base in seeds.items()
    }
    found = Table(results).difference(("b", "x"), ("a", "x"))
    assert found.word == "supports"
    assert found.mean == pytest.approx(0.011)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.1, 0.3, "**supports** that"),
        (-0.3, -0.1, "**contradicts** that"),
        (-0.1, 0.3, "**does not tell** whether"),
    ],
)
def test_the_numbers_decide_the_words(low, high, says):
    sentence = judged("pigs fly", Difference((low + high) / 2, low, high, 3))
    assert f"{says} pigs fly" in sentence


def test_the_table_has_mean_and_deviation():
    results = {("a", seed): {"x": value} for seed, value in enumerate((0.1, 0.2, 0.6))}
    results |= {("b", seed): {"y": 1.0} for seed in range(3)}
    table = Table(results)
    assert "| a | 0.300 ± 0.265 | - |" in table.markdown()
    assert table.sd("a", "x") == pytest.approx(np.std((0.1, 0.2, 0.6), ddof=1))


def test_the_report_is_whole_and_repeatable(tmp_path):
    runs = run_study(study(), "smoke", tmp_path, seeds=(0, 1, 2))
    text = write_report(study(), "smoke", runs, tmp_path, "the command")
    assert "**supports** that b is better than a: +0.2" in text
    assert "`the command`" in text
    names = ("results.json", "table.md", "figure.png", "figure.svg", "conclusion.md")
    first = {name: (tmp_path / name).read_bytes() for name in names}
    results = json.loads(first["results.json"])
    assert results["cells"]["b"]["score"]["mean"] == runs.table.mean("b", "score")
    assert results["settings"] == {"gain": 0.2}
    again = run_study(study(), "smoke", tmp_path, seeds=(0, 1, 2))
    write_report(study(), "smoke", again, tmp_path, "the command")
    assert first == {name: (tmp_path / name).read_bytes() for name in names}
    assert not list(tmp_path.glob("*partial*"))


def test_a_control_that_fails_is_said_first(tmp_path):
    fine = Control("a", "score", "nothing to find")
    off = Control("b", "score", "labels drawn by lot")
    runs = run_study(study(), "smoke", tmp_path, seeds=(0, 1))
    text = write_report(study(controls=[fine]), "smoke", runs, tmp_path, "c")
    assert "at chance" in text
    assert "cannot be trusted" not in text
    text = write_report(study(controls=[fine, off]), "smoke", runs, tmp_path, "c")
    assert text.index("cannot be trusted") < text.index("supports")
    assert "labels drawn by lot (b, score)" in text
    assert "**not at chance**" in text


def test_every_registered_study_can_be_opened():
    for name in STUDIES:
        found = open_study(name)
        assert found.name == name
        assert found.question.endswith("?")
        assert found.settings.keys() >= {"smoke", "tiny"}
        for control in found.controls:
            assert any(control.cell in found.cells(of) for of in found.settings.values())
    with pytest.raises(StudyError, match="there is no study 'nonsense'"):
        open_study("nonsense")


def test_bars_show_every_seed():
    results = {(cell, seed): {"x": 0.5 + seed / 10} for cell in "ab" for seed in range(3)}
    figure = bars(Table(results), {"panel": ["x", "missing"]}, ["a", "b"])
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert len(axes.patches) == 2
    dots = [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "."]
    assert dots == [pytest.approx([0.5, 0.6, 0.7])] * 2
