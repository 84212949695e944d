"""The study of fusion, whole, at its smallest."""

from pathlib import Path

import numpy as np
import pytest

from aligngemini.experiments import fusion
from aligngemini.experiments.fusion import (
    CALIBRATION,
    JPEG,
    KNOWN,
    RESIZED,
    SHIFTED,
    STRANGE,
    STUDY,
    conclude,
)
from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.study import Task
from aligngemini.experiments.table import Table


@pytest.fixture
def aligned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A task of any cell over two branches that each know one axis: logits drawn, no pictures."""

    def judge(settings: fusion.Settings, seed: int, cache: Path) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        marks = {"trace": (3, 0), "meaning": (0, 3), "both": (3, 3), "unseen decoder": (1, 0)}
        found = {}
        for prefix in (CALIBRATION, ""):
            for name in ("intact", "others", JPEG, RESIZED, *KNOWN, *STRANGE):
                for branch, mean in zip(
                    ("pixel", "semantic"), marks.get(name, (0, 0)), strict=True
                ):
                    found[f"{prefix}{name}/{branch}"] = rng.normal(mean, 1, 500)
        return found

    monkeypatch.setattr(fusion, "_judge", judge)
    return lambda cell: fusion.run(Task(cell, 0, fusion.SETTINGS["tiny"], tmp_path))


def test_the_study_runs_and_reports(tmp_path: Path) -> None:
    runs = run_study(STUDY, "smoke", tmp_path, seeds=(0, 1))
    table = runs.table
    assert set(table.cells) >= {"or", "vote", "weighted", "learned", "or, 5 % each"}
    for cell in table.cells:
        for figure in (*KNOWN, *STRANGE, "false alarms", "precision 1:9"):
            assert ((table.values(cell, figure) >= 0) & (table.values(cell, figure) <= 1)).all()
    assert "false alarms" in write_report(STUDY, "smoke", runs, tmp_path, "test")


def test_every_rule_has_one_budget_but_or_without_one(aligned) -> None:
    for cell in ("pixel alone", "semantic alone", "or", "vote", "weighted", "learned"):
        assert aligned(cell)["false alarms"] == pytest.approx(0.05, abs=0.03), cell
    # Two independent branches at 5 % each: 1 - 0.95 ** 2.
    assert aligned("or, 5 % each")["false alarms"] == pytest.approx(0.0975, abs=0.03)


def test_or_finds_what_one_branch_sees_and_a_vote_does_not(aligned) -> None:
    either, both, alone = aligned("or"), aligned("vote"), aligned("pixel alone")
    assert either["trace"] > 0.75
    assert either["meaning"] > 0.75
    assert both["trace"] < either["trace"] - 0.2
    assert alone["meaning"] < 0.1
    assert either["trace"] < alone["trace"]  # half the budget
    assert aligned("learned")["both"] > either["both"]


def test_precision_follows_bayes_and_controls_are_at_chance(aligned) -> None:
    found = aligned("or")
    recall = np.mean([found[kind] for kind in KNOWN])
    fakes, photos = 0.01 * recall, 0.99 * found["false alarms"]
    assert found["precision 1:99"] == pytest.approx(fakes / (fakes + photos))
    assert found["nothing to find"] == pytest.approx(0.5, abs=0.04)
    assert found["labels by lot"] == pytest.approx(0.5, abs=0.05)


def test_where_or_loses_is_said() -> None:
    low = dict.fromkeys((*KNOWN, *STRANGE, "false alarms", *SHIFTED, "precision 1:99"), 0.4)
    results = {}
    for seed in (0, 1, 2):
        for cell in STUDY.cells(STUDY.settings["tiny"]):
            results[cell, seed] = {name: value + 0.001 * seed for name, value in low.items()}
        results["learned", seed] |= {"both": 0.9 + 0.002 * seed}
        results["vote", seed] |= {"trace": 0.1 + 0.002 * seed}
    said = " ".join(conclude(Table(results)))
    assert "OR finds **less** of `both` than learned" in said
    assert "OR finds **more** of `trace` than vote" in said
    assert "of `meaning` than" not in said
