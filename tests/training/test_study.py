"""Leave one generator and one photo source out."""

from collections import Counter
from dataclasses import replace

import pytest
from fixtures.training import STUDIED

from aligngemini.branches.pixel import PixelBranch
from aligngemini.datasets.manifest import ManifestError, Row
from aligngemini.datasets.pool import kind_of
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import DELIVERIES
from aligngemini.models.compact import CompactExpert
from aligngemini.training import study
from aligngemini.training.pixel import hold_out
from aligngemini.training.study import Fold, make_folds, run_study


def rows_of(**counts):
    """Rows by count: `real_x` photos of source x, `fake_y` images of generator y."""
    rows = []
    for name, count in counts.items():
        label, origin = name.split("_")
        key = "source" if label == "real" else "generator"
        rows += [Row(f"{name}-{k}", label, **{key: origin}) for k in range(count)]
    return rows


def test_every_generator_and_source_is_held_out_largest_with_largest():
    rows = rows_of(real_a=50, real_b=90, fake_p=20, fake_q=60, fake_r=40)
    assert make_folds(rows) == [
        Fold(("q",), ("b",)),
        Fold(("r",), ("a",)),
        Fold(("p",), ("b",)),
    ]


def test_more_sources_than_generators():
    rows = rows_of(real_a=30, real_b=29, real_c=28, fake_p=25, fake_q=24)
    folds = make_folds(rows)
    assert [fold.sources for fold in folds] == [("a",), ("b",), ("c",)]
    assert [fold.generators for fold in folds] == [("p",), ("q",), ("p",)]


def test_rare_ones_are_held_out_together():
    rows = rows_of(real_a=30, real_b=3, real_c=19, fake_p=20, fake_q=19, fake_r=1)
    assert make_folds(rows) == [Fold(("p",), ("a",)), Fold(("q", "r"), ("c", "b"))]


def test_decoders_of_reconstructions_are_no_generators():
    pairs = [Row("r", "fake", "taef2", source="a", pair="p")] * 30
    folds = make_folds(rows_of(real_a=30, real_b=30, fake_p=30, fake_q=30) + pairs)
    assert {name for fold in folds for name in fold.generators} == {"p", "q"}


PAIR = Row("r", "fake", "taef2", source="a", pair="p")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        rows_of(real_a=30, real_b=30),
        rows_of(fake_p=30, fake_q=30),
        rows_of(real_a=30, fake_p=30, fake_q=30),
        rows_of(real_a=30, real_b=30, fake_p=30),
        rows_of(real_a=5, real_b=5, fake_p=30, fake_q=30),
        [*rows_of(real_a=30, real_b=30), PAIR],
    ],
)
def test_too_little_to_hold_out_is_said(rows):
    with pytest.raises(ManifestError, match="leaving one out needs two photo sources"):
        make_folds(rows)


def test_one_generator_will_do_beside_reconstructions():
    assert len(make_folds([*rows_of(real_a=30, real_b=30, fake_p=30), PAIR])) == 2


def folds_of(rows):
    return [hold_out(fold.generators, fold.sources) for fold in make_folds(rows)]


def test_held_out_images_are_scored_once_a_delivery_and_no_others(studied):
    rows, _, predictions = studied
    expected = Counter(
        (number, row.path, delivery)
        for number, keep in enumerate(folds_of(rows))
        for row in rows
        if not keep(row) and kind_of(row) != "pair" and "broken" not in row.path
        for delivery in DELIVERIES
    )
    assert Counter((p.fold, p.path, p.delivery) for p in predictions) == expected
    assert set(expected.values()) == {1}
    assert len(predictions) == 2 * 12 * 4


def test_predictions_say_where_the_image_is_from(studied):
    rows, _, predictions = studied
    by_path = {row.path: row for row in rows}
    for p in predictions:
        row = by_path[p.path]
        assert (p.label, p.generator, p.source) == (row.label, row.generator, row.source)


def test_predictions_are_those_of_the_folds_own_model(studied):
    _, work, predictions = studied
    for number in (0, 1):
        branch = PixelBranch.load(work / f"fold-{number}" / "model", device="cpu", threads=1)
        for p in [p for p in predictions if p.fold == number][:8]:
            pixels = decode(read_bytes(p.path)).pixels
            assert p.logit == pytest.approx(branch.logit(DELIVERIES[p.delivery](pixels)), abs=1e-5)


def test_second_call_reads_and_does_not_train(studied, monkeypatch):
    rows, work, predictions = studied

    def trained(*arguments, **settings):
        raise AssertionError("a fold that was done is trained again")

    monkeypatch.setattr(study, "train_compact", trained)
    assert run_study(STUDIED, rows, work) == predictions


def test_training_never_sees_what_is_held_out(studied, tmp_path, monkeypatch):
    rows, _, _ = studied
    seen = []

    def spy(recipe, pool, work, *, keep, resume):
        seen.append([row for row in pool.rows if keep(row)])
        return CompactExpert(recipe.native, recipe.whole)

    monkeypatch.setattr(study, "train_compact", spy)
    predictions = run_study(STUDIED, rows, tmp_path)
    for number, (kept, fold) in enumerate(zip(seen, make_folds(rows), strict=True)):
        held_out = {p.path for p in predictions if p.fold == number}
        assert held_out.isdisjoint({row.path for row in kept} | {row.pair for row in kept})
        assert not {row.source for row in kept} & set(fold.sources)
        assert not {row.generator for row in kept} & set(fold.generators)


def test_fold_that_was_not_done_is_done_alone(studied):
    rows, work, predictions = studied
    done = work / "fold-1" / "predictions.csv"
    kept = done.read_text()
    first = (work / "fold-0" / "model" / "model.onnx").stat().st_mtime_ns
    done.unlink()
    again = run_study(STUDIED, rows, work)
    assert done.read_text() == kept
    assert (work / "fold-0" / "model" / "model.onnx").stat().st_mtime_ns == first
    assert [p.logit for p in again] == pytest.approx([p.logit for p in predictions], abs=1e-6)


def test_other_settings_or_images_are_not_answered_with_these_predictions(studied):
    rows, work, _ = studied
    for recipe, images in ((replace(STUDIED, steps=5), rows), (STUDIED, rows[:-1])):
        with pytest.raises(ManifestError, match="holds a study of other images or settings"):
            run_study(recipe, images, work)


def test_folds_side_by_side_give_the_same(studied):
    rows, work, predictions = studied
    # Both folds are done: what the processes do is read them, in the folds' order.
    assert run_study(STUDIED, rows, work, jobs=2) == predictions
