"""The study of completeness, whole, at its smallest."""

from pathlib import Path

import numpy as np
import pytest
from fixtures.drawn import png, texture

from aligngemini.experiments import completeness
from aligngemini.experiments.completeness import BRANCHES, EDITS, FIT, STUDY, THREE, TWO, conclude
from aligngemini.experiments.completeness_shipped import SHIPPED
from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.study import Task
from aligngemini.experiments.table import Table


def test_the_study_runs_and_reports(tmp_path: Path) -> None:
    runs = run_study(STUDY, "smoke", tmp_path, seeds=(0, 1))
    assert runs.table.cells == (*BRANCHES, *SHIPPED)
    for cell in BRANCHES:
        for kind in (*EDITS, "whole", "rule"):
            assert ((runs.table.values(cell, f"missed: {kind}") * 8) % 1 == 0).all()  # of 8
    assert runs.table.mean(SHIPPED[0], "judged") == 0
    assert "two branches miss" in write_report(STUDY, "smoke", runs, tmp_path, "test")


def test_the_models_that_ship_judge_real_images(tmp_path: Path) -> None:
    for folder, count in (("real", 4), ("ai/one", 3)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for k in range(count):
            file = tmp_path / "data" / folder / f"{k}.png"
            file.write_bytes(png(texture(180, 200, seed=k)))
    (tmp_path / "data/ai/one/broken.png").write_bytes(b"none")
    found = {
        cell: completeness.run(Task(cell, 0, STUDY.settings["smoke"], tmp_path, tmp_path / "data"))
        for cell in SHIPPED
    }
    assert found[SHIPPED[0]]["judged"] == 5  # 2 AI images and 3 photos
    assert {"missed: AI images", "false alarms"} <= found[SHIPPED[1]].keys()


def test_gamma_lowers_what_is_missed_where_it_alone_sees(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def judge(settings: object, seed: int, cache: Path) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        marks = {"whole": (3, 0, 0), "rule": (0, 3, 0), "decoded region": (0, 0, 3)}
        names = ("intact", "others", "no edit", "whole", "rule", *EDITS)
        return {
            f"{prefix}{name}/{branch}": rng.normal(mean, 1, 500)
            for prefix in (FIT, "")
            for name in names
            for branch, mean in zip(
                ("pixel", "semantic", "gamma"), marks.get(name, (0, 0, 0)), strict=True
            )
        }

    monkeypatch.setattr(completeness, "_judge", judge)
    found = {
        cell: completeness.run(Task(cell, 0, completeness.SETTINGS["tiny"], tmp_path))
        for cell in BRANCHES
    }
    assert found[TWO]["missed: decoded region"] > 0.9
    assert found[THREE]["missed: decoded region"] < 0.4
    assert found[TWO]["missed: whole"] < found[THREE]["missed: whole"] < 0.4  # the price
    for cell in BRANCHES:
        assert found[cell]["false alarms"] == pytest.approx(0.05, abs=0.045)
        assert found[cell]["nothing to find"] == pytest.approx(0.5, abs=0.04)
    assert found["gamma"]["no edit"] == pytest.approx(0.5, abs=0.06)


def test_the_conclusion_follows_the_numbers() -> None:
    names = [f"missed: {kind}" for kind in (*EDITS, "whole", "rule")]
    results = {
        (cell, seed): {
            "false alarms": 0.05,
            **dict.fromkeys(names, 0.9 + 0.001 * seed),
        }
        for cell in BRANCHES
        for seed in (0, 1, 2)
    }
    for seed in (0, 1, 2):
        results[THREE, seed] |= {"missed: splice": 0.2 + 0.002 * seed, "missed: rule": 0.97}
    said = conclude(Table(results))
    assert "the two branches miss 90% at 5.0%" in said[0]
    assert any("**supports** that GAMMA lowers what is missed of `splice`" in one for one in said)
    assert any("**contradicts** that GAMMA lowers what is missed of `rule`" in one for one in said)
    assert any(
        "**does not tell** whether GAMMA lowers what is missed of `whole`" in x for x in said
    )
