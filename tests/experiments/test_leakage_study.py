"""The study of leakage, whole, at its smallest, and the chain at a strength."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.drawn import texture

from aligngemini.experiments.leakage import STUDY, _controls, _worn
from aligngemini.experiments.leakage_report import (
    CHAIN,
    NOTHING,
    STEPS,
    _alone,
    chain_of,
    recommended,
)
from aligngemini.experiments.report import write_report
from aligngemini.experiments.runs import run_study
from aligngemini.experiments.table import Table
from aligngemini.images.degrade import SemanticChain, semantic_chain


def curves(
    pixels: tuple[float, ...], meaning: tuple[float, ...], *, network: float = -0.05
) -> Table:
    """Strengths 0, 0.5 and 1; the network reads so much more than the linear probe."""
    results = {}
    for seed in (0, 1):
        at = {
            name: value
            for k, strength in enumerate((0, 0.5, 1))
            for name, value in {
                f"pixels@{strength:g}": pixels[k] + 0.001 * seed,
                f"network@{strength:g}": pixels[k] + network,
                f"meaning@{strength:g}": meaning[k] - 0.001 * seed,
            }.items()
        }
        results[NOTHING, seed] = {name: at[name] for name in at if name.endswith("@0")}
        for cell in (CHAIN, *STEPS):
            results[cell, seed] = {name: at[name] for name in at if not name.endswith("@0")}
    return Table(results)


def test_the_study_runs_and_reports(tmp_path: Path) -> None:
    runs = run_study(STUDY, "smoke", tmp_path, seeds=(0, 1))
    assert runs.table.cells == (NOTHING, CHAIN, *STEPS)
    assert runs.table.has(CHAIN, "network@1")
    assert runs.table.has("noise", "network@1")
    text = write_report(STUDY, "smoke", runs, tmp_path, "test")
    assert "noise alone, at strength 1" in text


def test_strength_one_is_the_default_chain_and_nothing_does_nothing() -> None:
    assert chain_of(CHAIN, 1.0) == SemanticChain()
    picture = texture(40, 40)
    for step in (CHAIN, NOTHING, *STEPS):
        done = semantic_chain(picture, np.random.default_rng(0), chain_of(step, 0.0))
        assert (done[0] == picture).all(), step
    half = chain_of(CHAIN, 0.5)
    assert half.scale == (0.625, 0.75)
    assert half.noise == (1.0, 5.0)
    assert half.quality == (65, 85)


@pytest.mark.parametrize("step", STEPS)
def test_one_step_alone_leaves_the_others_out(step: str) -> None:
    done = semantic_chain(texture(40, 40), np.random.default_rng(0), chain_of(step, 1.0))[1]
    happened = {
        "shrink": done.scale is not None and done.enlarge_filter is not None,
        "noise": done.noise is not None,
        "blur": done.blur is not None,
        "JPEG": done.jpeg_quality is not None,
    }
    assert [name for name, yes in happened.items() if yes] == [step]


def test_both_of_a_pair_are_worn_alike_and_pictures_are_not() -> None:
    noise = replace(chain_of("noise", 1.0), noise=(8.0, 8.0))
    grey = np.full((2, 24, 24, 3), 128, np.uint8)
    one, two = _worn(grey, noise, 0), _worn(grey, noise, 0)
    assert (one == two).all()
    assert (one[0] != one[1]).any()
    assert (_worn(grey, noise, 1) != one).any()
    assert (_worn(grey, noise, 0, apart=True) != one).any()


def test_the_mildest_strength_that_silences_the_pixels_is_recommended() -> None:
    kept = recommended(curves((0.99, 0.58, 0.5), (1.0, 0.98, 0.7)))
    assert kept.startswith("**Recommended: strength 0.5** (scale 0.625 to 0.75")
    assert "keeps 96% of what it has above chance." in kept
    lost = recommended(curves((0.99, 0.8, 0.55), (1.0, 0.9, 0.7)))
    assert "strength 1** (scale 0.25" in lost
    assert "keeps 40% of what it has above chance, less than the 90%" in lost
    network = recommended(curves((0.99, 0.55, 0.45), (1.0, 0.98, 0.9), network=0.1))
    assert "strength 1**" in network
    assert "No strength tried" in recommended(curves((0.99, 0.9, 0.8), (1.0, 0.9, 0.7)))


def test_steps_that_are_enough_alone_are_named() -> None:
    assert "at strength 1, shrink (0.550 and 0.500)" in _alone(curves((0.9, 0.6, 0.55), (1, 1, 1)))
    assert "at strength 1, no step" in _alone(curves((0.9, 0.6, 0.55), (1, 1, 0.9)))
    assert "at strength 1, no step" in _alone(curves((0.9, 0.6, 0.55), (1, 1, 1), network=0.1))


def test_controls_find_nothing_and_the_trace_is_found_without_them() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(0, 1, (150, 6))
    fake = real + np.array([1.0, 0, 0, 0, 0, 0])
    found = _controls([fake, real], rng.normal(0, 1, 200), 0)
    assert all(abs(value - 0.5) < 0.12 for value in found.values()), found
