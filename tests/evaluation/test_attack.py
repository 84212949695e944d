"""An attack on labelled files, as rows of scores."""

import numpy as np
import pytest
from fixtures.drawn import png, texture
from fixtures.experts import expert_folder

from aligngemini import Detector
from aligngemini.datasets.journal import read_journals
from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.robustness import attack
from aligngemini.evaluation.robustness.attack import attack_rows
from aligngemini.evaluation.store import FILE

EPSILONS = (1, 4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return expert_folder(tmp_path_factory.mktemp("m") / "tiny", scale=3.0)


@pytest.fixture
def rows(tmp_path):
    found = []
    for k in range(4):
        path = tmp_path / f"{k}.png"
        path.write_bytes(png(texture(60 + k, 70, seed=k, spread=20)))
        found.append(Row(str(path), ("real", "fake")[k % 2]))
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(texture(60, 60))[:200])
    return [*found, Row(str(broken), "fake")]


def test_each_class_is_pushed_towards_the_other(model, rows, tmp_path):
    steps = []
    found = attack_rows(
        rows,
        model,
        tmp_path / "out",
        epsilons=EPSILONS,
        steps=5,
        device="cpu",
        step=lambda: steps.append(1),
    )
    assert len(steps) == len(rows)
    assert [row.protocol for row in found[:: len(rows)]] == ["as-is", "pgd:1", "pgd:4"]
    assert {row.branch for row in found} == {"pixel"}
    detector = Detector.load(pixel=model, device="cpu")
    for k, row in enumerate(rows[:4]):
        scores = [found[p * len(rows) + k].score for p in range(3)]
        sign = 1 if row.label == "real" else -1
        assert (sign * np.diff(scores) > 0).all()
        assert scores[0] == pytest.approx(detector.judge(row.path).score, abs=1e-6)
    assert [row.error for row in found[4 :: len(rows)]] == ["truncated"] * 3


def test_what_is_there_is_not_attacked_again(model, rows, tmp_path, monkeypatch):
    settings = {"epsilons": EPSILONS, "steps": 3, "device": "cpu"}
    whole = attack_rows(rows[:3], model, tmp_path / "whole", **settings)
    attack_rows(rows[:2], model, tmp_path / "out", **settings)
    asked = []

    class Counting(attack.Attacker):
        def attack(self, pixels, **of):
            asked.append(pixels.shape)
            return super().attack(pixels, **of)

    monkeypatch.setattr(attack, "Attacker", Counting)
    assert attack_rows(rows[:3], model, tmp_path / "out", **settings) == whole
    assert asked == [(62, 70, 3)]
    attack_rows(rows[:1], model, tmp_path / "out", **{**settings, "steps": 4})
    assert len(asked) == 2  # another attack has results of its own
    assert len(list(read_journals(tmp_path / "out", FILE))) == 4 * 3
