"""The two-axis world: each axis can be read, and nothing else tells the classes apart."""

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aligngemini.datasets.leakage import probe
from aligngemini.datasets.manifest import Row
from aligngemini.datasets.traces import traces
from aligngemini.evaluation.audit import audit_rows
from aligngemini.experiments.world.decoders import LINEAR, _photos, open_decoder, reconstruct
from aligngemini.experiments.world.drawing import render
from aligngemini.experiments.world.scene import GROSS, RULES, SUBTLE, amount, draw_scene, parameters
from aligngemini.experiments.world.sets import (
    joined,
    photos,
    pixel_set,
    post_processed,
    scenes,
    semantic_set,
)
from aligngemini.experiments.world.words import PARTS, facts

SIDE = 84
PAIRS = 150


@pytest.fixture(scope="module")
def meaning():
    """Pairs of an obeying scene and its broken twin, as they were taken."""
    rng = np.random.default_rng(0)
    return semantic_set(rng, scenes(rng, PAIRS, RULES), side=SIDE, chain=None)


@pytest.fixture(scope="module")
def decoded():
    """Pairs of a photo and its reconstruction."""
    rng = np.random.default_rng(1)
    return pixel_set(rng, scenes(rng, PAIRS, RULES), open_decoder("linear-8"), side=SIDE)


def vectors(images, statistics):
    found = np.stack([statistics(pixels) for pixels in images.pixels])
    return found[images.fake], found[~images.fake]


def thumbnail(pixels):
    small = Image.fromarray(pixels).resize((12, 12), Image.Resampling.BOX)
    return np.asarray(small, np.float64).ravel() / 255


def colours(pixels):
    parts = [np.histogram(pixels[..., c], 16, (0, 256))[0] for c in range(3)]
    edges = np.abs(np.diff(pixels.astype(float), axis=0)).mean((0, 1))
    return np.concatenate([*parts, pixels.mean((0, 1)), pixels.std((0, 1)), edges])


def check_chance(accuracy):
    """Not surely more than three points above chance."""
    assert accuracy.low <= 0.53, accuracy


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_scene_differs_only_in_which_effect_is_where(rule):
    scene = draw_scene(np.random.default_rng(3), rule, obeys=True)
    twin = scene.twin()
    assert not twin.obeys
    assert twin.effects == scene.effects[::-1] != scene.effects
    assert np.array_equal(parameters(scene, effects=False), parameters(twin, effects=False))
    assert np.array_equal(render(twin.twin(), SIDE), render(scene, SIDE))
    # Somewhere something moved; light, texture and noise are the same, so most of it is not.
    changed = np.abs(render(scene, SIDE).astype(int) - render(twin, SIDE)).max(-1) > 20
    assert 0.005 < changed.mean() < 0.5


def test_the_draw_does_not_depend_on_the_class():
    for rule in RULES:
        obeying, broken = (
            draw_scene(np.random.default_rng(5), rule, obeys=obeys) for obeys in (True, False)
        )
        assert np.array_equal(parameters(obeying), parameters(broken.twin()))


def test_subtle_scenes_are_less_far_off():
    def distance(grades):
        drawn = scenes(np.random.default_rng(7), 25, RULES, grades)
        first, second = (photos(one, SIDE) for one in (drawn, [s.twin() for s in drawn]))
        return np.abs(first.astype(float) - second).mean()

    assert 0.1 < distance(SUBTLE) < 0.7 * distance(GROSS)


def test_stems_and_blossoms_come_whole_and_always_differ():
    rng = np.random.default_rng(9)
    for grades in (SUBTLE, GROSS):
        for _ in range(50):
            scene = draw_scene(rng, "count", obeys=True, grades=grades)
            left, right = (amount(size) for size in scene.sizes)
            assert left != right
            assert {left, right} <= {1, 2, 3, 4}


@pytest.mark.parametrize("statistics", [traces, colours, thumbnail])
def test_no_linear_probe_of_pixels_reads_the_meaning(meaning, statistics):
    accuracy, _ = probe(*vectors(meaning, statistics))
    check_chance(accuracy)


def test_a_probe_of_traces_reads_the_pixels(decoded):
    accuracy, _ = probe(*vectors(decoded, traces))
    assert accuracy.value > 0.9


def test_a_probe_of_what_is_shown_does_not_read_the_pixels(decoded):
    accuracy, _ = probe(*vectors(decoded, thumbnail))
    check_chance(accuracy)


def test_the_axes_are_independent(meaning):
    """Reconstructions of broken scenes carry the trace that those of obeying ones do."""
    decoder = open_decoder("linear-8")
    found = np.stack([traces(pixels) for pixels in reconstruct(decoder, meaning.pixels)])
    accuracy, _ = probe(found[meaning.fake], found[~meaning.fake])
    check_chance(accuracy)


@pytest.mark.parametrize("rule", RULES)
def test_the_scene_without_the_rule_does_not_tell_the_class(rule):
    rng = np.random.default_rng(11)
    drawn = [s for one in scenes(rng, 800, [rule]) for s in (one, one.twin())]
    broken = np.array([not scene.obeys for scene in drawn])
    pairs = np.arange(len(drawn)) // 2

    def accuracy(model, **parts):
        table = np.stack([parameters(scene, **parts) for scene in drawn])
        return cross_val_score(model, table, broken, groups=pairs, cv=GroupKFold(5)).mean()

    linear = make_pipeline(StandardScaler(), LogisticRegression())
    boosted = HistGradientBoostingClassifier(max_iter=15)
    assert accuracy(boosted, effects=False) <= 0.56
    assert accuracy(boosted, causes=False) <= 0.56
    assert accuracy(linear) <= 0.56
    # Which of both fits which is all there is to know, and it suffices.
    assert accuracy(boosted) > 0.9


def test_files_tell_neither_axis(tmp_path, meaning, decoded):
    for name, images in (("meaning", meaning), ("decoded", decoded)):
        rows = []
        for k, (pixels, fake) in enumerate(zip(images.pixels[:240], images.fake, strict=False)):
            path = tmp_path / f"{name}-{k}.jpg"
            Image.fromarray(pixels).save(path, quality=92)
            rows.append(Row(str(path), "fake" if fake else "real"))
        # How well a file compresses is no header's: it is what a decoder's pixels are.
        found = audit_rows(rows)
        assert found.state == "clear" or name == "decoded", found.line()
        assert found.unreadable == ()


def test_a_pair_is_worn_down_alike():
    rng = np.random.default_rng(13)
    one = scenes(rng, 1, ["shadow"])[0]
    images = semantic_set(rng, [one], side=SIDE)
    far = np.abs(images.pixels[0].astype(int) - images.pixels[1])[: SIDE // 3]
    assert far.max() <= 40  # above the shadows: the same noise, JPEG's blocks apart
    assert np.abs(images.pixels[0].astype(int) - render(one, SIDE)).mean() > 2


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_decoder_is_the_principal_components_of_patches(name):
    side, latents = LINEAR[name]
    images = photos(scenes(np.random.default_rng(15), 3, RULES), 48)
    found = reconstruct(open_decoder(name), images)

    def patches(of):
        count = of.shape[1] // side
        rows = of[:, : count * side, : count * side].reshape(-1, count, side, count, side, 3)
        return rows.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side * side * 3)

    model = PCA(latents, svd_solver="full").fit(patches(_photos().astype(float)))
    tested = patches(images.astype(float))
    expected = np.clip(model.inverse_transform(model.transform(tested)), 0, 255)
    assert np.abs(patches(found.astype(float)) - expected).max() <= 0.51


def test_a_decoder_keeps_any_size():
    images = photos(scenes(np.random.default_rng(17), 2, RULES), 50)
    found = reconstruct(open_decoder("linear-8"), images)
    assert found.shape == images.shape
    assert 0.5 < np.abs(found.astype(float) - images).mean() < 12


def test_labels_by_lot_mean_nothing(meaning):
    by_lot = meaning.by_lot(np.random.default_rng(21))
    wrong = by_lot.fake != meaning.fake
    assert wrong[meaning.fake].mean() == wrong[~meaning.fake].mean() == 0.5


def test_post_processing_keeps_labels_and_size(decoded):
    part = joined(decoded, decoded)
    found = post_processed(part)
    assert found.pixels.shape == part.pixels.shape
    assert np.array_equal(found.fake, part.fake)


def test_facts_say_what_is_there_and_do_not_judge():
    for rule in RULES:
        scene = draw_scene(np.random.default_rng(19), rule, obeys=True)
        cause, effect = PARTS[rule]
        told, twins = facts(scene), facts(scene.twin())
        side = "left" if scene.sizes[0] > scene.sizes[1] else "right"
        assert told == {cause: side, effect: side}
        assert twins[cause] == side != twins[effect]
