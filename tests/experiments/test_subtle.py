"""The study of subtle mistakes, at smoke scale."""

import numpy as np

from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.subtle import LOTS, RULES, STUDY, TESTED, TRAINED, _name, conclude
from aligngemini.experiments.table import Table
from aligngemini.experiments.world.scene import draw_scene


def test_smoke_runs_every_cell_and_writes_the_report(tmp_path):
    runs = run_study(STUDY, "smoke", tmp_path, seeds=(0, 1))
    assert runs.table.cells == (*TRAINED, LOTS)
    assert runs.table.figures == tuple(map(_name, TESTED))
    assert "Does a semantic branch" in write_report(STUDY, "smoke", runs, tmp_path, "the command")
    # One pretrained model a seed, for all cells.
    assert len(list((tmp_path / "cache").rglob("vlm-seed*.pt"))) == 2


def test_grades_are_what_they_say():
    rng = np.random.default_rng(0)
    for rule in RULES:
        for low, high in TESTED:
            scene = draw_scene(rng, rule, obeys=True, grades=(low, high))
            assert low <= abs(scene.sizes[0] - scene.sizes[1]) <= high + 1e-9


def made_up(gross):
    names = [_name(grades) for grades in TESTED]
    rng = np.random.default_rng(0)
    arms = {"gross": gross, "subtle": [0.8] * 6, "all grades": [0.85] * 6, LOTS: [0.5] * 6}
    return Table(
        {
            (arm, seed): dict(zip(names, np.add(values, rng.normal(0, 0.003, 6)), strict=True))
            for arm, values in arms.items()
            for seed in range(3)
        }
    )


def test_the_numbers_decide_the_conclusion():
    lines = conclude(made_up([0.5, 0.5, 0.6, 0.8, 0.9, 0.95]))
    assert "**supports** that training on gross mistakes sees gross ones better" in lines[0]
    assert "above chance from grade 0.3 to 0.4 up" in lines[1]
    claim = "that training on subtle is better than on gross mistakes, on"
    assert f"**supports** {claim} the subtlest ones" in lines[2]
    assert f"**contradicts** {claim} gross ones" in lines[3]
    assert "above chance nowhere" in conclude(made_up([0.4] * 6))[1]
