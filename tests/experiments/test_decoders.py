"""The study of decoders, whole, at its smallest."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from fixtures.drawn import png, texture
from fixtures.pairs import expert_recipe
from fixtures.vaes import kl

from aligngemini.experiments.decoders import SETTINGS, STUDY, run
from aligngemini.experiments.decoders_report import ALL, conclude
from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.study import StudyError, Task
from aligngemini.experiments.table import Table


def matrix(values: dict[tuple[str, str], float]) -> Table:
    """A table of three decoders and of all, with two seeds a little apart."""
    names = ("taef2", "kl-1", "kl-2")
    results = {}
    for cell in (*names, ALL):
        for seed in (0, 1):
            auc = {name: values.get((cell, name), 0.9) + 0.001 * seed for name in names}
            worn = {f"{name}, JPEG 90": value - 0.1 for name, value in auc.items()}
            results[cell, seed] = {**auc, **worn}
    return Table(results)


def test_the_study_runs_and_reports(tmp_path: Path) -> None:
    runs = run_study(STUDY, "smoke", tmp_path, seeds=(0, 1))
    table = runs.table
    assert table.cells == ("kl-1", "dc-1", ALL, "no trace")
    for cell in table.cells[:3]:
        for figure in ("kl-1", "dc-1", "kl-1, JPEG 90", "dc-1, JPEG 90"):
            assert ((table.values(cell, figure) >= 0) & (table.values(cell, figure) <= 1)).all()
    assert table.mean("kl-1", "PSNR") != table.mean("dc-1", "PSNR")
    assert "Own decoder" in write_report(STUDY, "smoke", runs, tmp_path, "test")
    assert (tmp_path / "figure.svg").is_file()


def test_real_ai_images_are_tested_by_generator(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder, count in (("real/camera", 12), ("ai/one", 3), ("ai/two", 2), ("ai/three", 1)):
        (data / folder).mkdir(parents=True)
        for k in range(count):
            (data / folder / f"{k}.png").write_bytes(png(texture(110, 110, seed=k)))
    (data / "ai/three/broken.png").write_bytes(b"none")
    table = run_study(STUDY, "smoke", tmp_path / "out", seeds=(0, 1), data=data).table
    groups = {name for name in table.figures if name.startswith("AI: ")}
    assert groups == {"AI: one", "AI: two", "AI: others"}
    mean = np.mean([table.values(ALL, name) for name in groups], axis=0)
    assert table.values(ALL, "AI images") == pytest.approx(mean)
    assert table.mean(ALL, "left out") == 1
    assert table.has("no trace", "AI images")


def test_the_full_scale_s_way_with_a_small_vae_and_a_small_dinov2(tmp_path: Path) -> None:
    vae = str(kl(tmp_path / "vae"))
    recipe = json.loads(json.dumps(expert_recipe(steps=2, eval_steps=1), default=vars))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"kind": "expert", **recipe}))
    settings = replace(
        SETTINGS["smoke"], decoders=(vae,), photos=40, recipe=str(tmp_path / "recipe.yaml")
    )
    (tmp_path / "cache").mkdir()
    found = run(Task(vae, 0, settings, tmp_path / "cache"))
    assert {vae, f"{vae}, JPEG 90", "PSNR"} <= found.keys()
    assert list(tmp_path.glob("cache/*-0/pairs/fake-*.png"))


def test_too_few_photos_are_said(tmp_path: Path) -> None:
    (tmp_path / "data/real").mkdir(parents=True)
    (tmp_path / "data/real/1.png").write_bytes(png(texture(110, 110)))
    with pytest.raises(StudyError, match="has 1 photos; this scale needs 12"):
        run_study(STUDY, "smoke", tmp_path / "out", seeds=(0, 1), data=tmp_path / "data")


def test_larger_scales_ask_for_photos(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="--data"):
        run_study(STUDY, "tiny", tmp_path, seeds=(0, 1))


def test_the_conclusion_follows_the_numbers() -> None:
    names = ("taef2", "kl-1", "kl-2")
    own = {(name, name): 0.99 for name in names}
    kin = {("kl-1", "kl-2"): 0.95, ("kl-2", "kl-1"): 0.95}
    apart = {(a, b): 0.6 for a in names for b in names if a != b} | kin
    said = conclude(matrix({**apart, **own}))
    assert said[0].startswith("This run **supports** that an expert reads the decoder it was")
    assert "**supports** that a decoder of the same architecture" in said[2]
    assert "from taef2 to kl-1: 0.60" in said[1]
    turned = conclude(matrix({**dict.fromkeys(apart, 0.99), **dict.fromkeys(own, 0.6)}))
    assert "**contradicts**" in turned[0]
    assert not math.isnan(matrix({}).mean(ALL, "taef2"))
