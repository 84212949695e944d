"""What the studies of decoders, leakage, fusion and completeness are built from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fixtures.drawn import png, texture
from fixtures.pairs import expert_recipe
from fixtures.vaes import taef2

from aligngemini.evaluation.metrics import auc
from aligngemini.experiments.budgets import called_fake, probabilities, within_budget
from aligngemini.experiments.decoders_full import train_full_expert
from aligngemini.experiments.edits import KINDS, edit
from aligngemini.experiments.photos import (
    AI,
    REAL,
    by_group,
    drawn_patches,
    find_images,
    kept,
    read_patches,
)
from aligngemini.experiments.small_decoders import open_decoder
from aligngemini.experiments.small_expert import ExpertSettings, score, train_small_expert
from aligngemini.experiments.small_gamma import (
    GammaSettings,
    _cells,
    look,
    train_small_gamma,
)
from aligngemini.experiments.small_reader import (
    Reader,
    ReaderSettings,
    draw_twins,
    read,
    train_reader,
)
from aligngemini.experiments.study import StudyError
from aligngemini.experiments.two_branches import draw
from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.experiments.world.drawing import render
from aligngemini.fusion import FUSIONS
from aligngemini.images.degrade import blur
from aligngemini.models.reconstruction import VaeError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Photos of two sources, AI images of two generators, one file that is none."""
    for number, name in enumerate(
        ["real/a/1", "real/a/2", "real/b/1", "ai/x/1", "ai/x/2", "ai/y/1"]
    ):
        file = tmp_path / "data" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(texture(80, 90, seed=number)))
    (tmp_path / "data/ai/y/broken.png").write_bytes(b"no image")
    return tmp_path / "data"


def test_images_are_grouped_and_what_cannot_be_used_is_counted(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos, fakes = find_images(data, REAL), find_images(data, AI)
    assert [image.group for image in photos] == ["a", "a", "b"]
    rng = np.random.default_rng(0)
    patches = read_patches(fakes, 32, rng, scale=0.5, each=2)
    assert patches.pixels.shape == (6, 32, 32, 3)
    assert patches.groups == ["x"] * 4 + ["y"] * 2
    assert patches.left_out == 1
    assert "broken.png is left out" in caplog.text
    assert read_patches(fakes, 32, rng, scale=0.4, each=1).left_out == 1
    with pytest.raises(StudyError, match="60 pixels a side"):
        read_patches(photos, 60, rng, scale=0.5, each=1)
    with pytest.raises(StudyError, match="real/"):
        find_images(data / "ai", REAL)


def test_a_patch_is_a_part_of_its_image(data: Path) -> None:
    image = find_images(data, REAL)[:1]
    patch = read_patches(image, 16, np.random.default_rng(1), each=1).pixels[0]
    whole = texture(80, 90, seed=0)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (16, 16, 3))[:, :, 0]
    assert (windows == patch).all((2, 3, 4)).any()


def test_small_groups_are_joined() -> None:
    groups = ["a", "b", "a", "c", "a", "b"]
    assert list(by_group(groups, 2)) == [("a", [0, 2, 4]), ("b", [1, 5]), ("others", [3])]


def test_arrays_are_made_once(tmp_path: Path) -> None:
    made = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"one": np.arange(3)}

    for _ in range(2):
        assert kept(tmp_path / "some.npz", make)["one"].tolist() == [0, 1, 2]
    assert len(made) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["some.npz"]


@pytest.mark.parametrize("name", ["kl-1", "dc-1"])
def test_a_small_decoder_learns_and_is_kept(name: str, tmp_path: Path) -> None:
    photos = drawn_patches(6, 48, seed=1)

    def error(steps: int, folder: str) -> float:
        cache = tmp_path / folder
        cache.mkdir(exist_ok=True)
        decoder = open_decoder(name, photos, steps, cache, None)
        assert decoder.factor == 2
        return float(np.abs(reconstruct(decoder, photos).astype(float) - photos).mean())

    assert error(12, "long") < 0.9 * error(1, "short")
    assert error(0, "long") == error(12, "long")  # out of the cache


def test_decoders_of_one_family_differ_by_their_number(tmp_path: Path) -> None:
    photos = drawn_patches(4, 48, seed=1)
    one, two = (
        reconstruct(open_decoder(name, photos, 2, tmp_path, None), photos)
        for name in ("kl-1", "kl-2")
    )
    assert (one != two).any()


def test_taef2_is_found_beside_the_data(data: Path) -> None:
    with pytest.raises(VaeError, match="weights/"):
        open_decoder("taef2", np.empty(0), 0, data, data)
    taef2(data.parent / "weights")
    assert open_decoder("taef2", np.empty(0), 0, data, data).name == "taef2"


def test_a_small_expert_learns_a_trace_and_sees_none_where_there_is_none() -> None:
    photos = np.stack([texture(48, 48, seed=k) for k in range(32)])
    fakes = np.stack([blur(one, 0.7) for one in photos])
    settings = ExpertSettings(widths=(8, 12), strides=(2, 2), crop=32, pairs=8, steps=40, jpeg=0.2)
    network = train_small_expert(photos[:20], fakes[:20], settings, 0)
    held_out = score(network, photos[20:])
    assert auc(held_out, score(network, fakes[20:])) > 0.9
    assert auc(held_out, held_out) == 0.5
    again = train_small_expert(photos[:20], fakes[:20], settings, 0)
    assert score(again, photos[20:]).tolist() == held_out.tolist()


def test_photo_and_fake_of_a_batch_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "aligngemini.experiments.small_expert.squares",
        lambda pixels, side, rng: seen.append(pixels) or pixels[:, :side, :side],
    )
    photos = np.stack([np.full((32, 32, 3), 10 * k, np.uint8) for k in range(5)])
    fakes = np.concatenate([photos + 1, photos + 2])
    settings = ExpertSettings(widths=(8,), strides=(2,), crop=32, pairs=4, steps=3, jpeg=0)
    train_small_expert(photos, fakes, settings, 0)
    for batch in seen:
        real, fake = batch[:4, 0, 0, 0].astype(int), batch[4:, 0, 0, 0].astype(int)
        assert set((fake - real).tolist()) <= {1, 2}


def test_the_paper_s_expert_trains_on_the_same_pairs(tmp_path: Path) -> None:
    recipe = expert_recipe(steps=2, eval_steps=1)
    file = tmp_path / "recipe.yaml"
    values = json.loads(json.dumps(recipe, default=vars))
    file.write_text(yaml.safe_dump({"kind": "expert", **values}))
    side = recipe.crop_size
    photos = np.stack([texture(side, side, seed=k) for k in range(4)])
    fakes = np.concatenate([np.stack([blur(one, 0.8) for one in photos])] * 2)
    scorer = train_full_expert(str(file), photos, fakes, tmp_path / "work", 0)
    assert scorer(photos).shape == (4,)
    assert len(list((tmp_path / "work/pairs").glob("fake-*.png"))) == 8


def test_a_reader_learns_a_rule_and_says_nothing_without_one() -> None:
    settings = ReaderSettings(("containment",), 300, 28, (12, 24, 24), (1, 2, 2), 16, 150)
    reader = train_reader(settings, 0, lambda picture, _: picture)
    scenes = draw_twins(80, ("containment",), np.random.default_rng(9))
    logits = read(reader, np.stack([render(scene, 56) for scene in scenes]))
    broken = np.array([not scene.obeys for scene in scenes])
    assert auc(logits[~broken], logits[broken]) > 0.8
    assert abs(auc(logits[~broken][::2], logits[~broken][1::2]) - 0.5) < 0.25


def test_scenes_and_their_twins_stand_side_by_side() -> None:
    scenes = draw_twins(6, ("support", "count"), np.random.default_rng(0))
    assert [scene.obeys for scene in scenes] == [True, False] * 3
    assert [scene.rule for scene in scenes[::2]] == ["support", "count", "support"]
    assert all(a.seed == b.seed for a, b in zip(scenes[::2], scenes[1::2], strict=True))


def test_every_other_scene_of_a_rule_breaks_it() -> None:
    one, two = (
        draw(4, ("support",), np.random.default_rng(0), 48, broken=broken)
        for broken in (False, True)
    )
    mixed = draw(4, ("support",), np.random.default_rng(0), 48)
    assert (mixed[::2] == one[::2]).all()
    assert (mixed[1::2] == two[1::2]).all()
    assert (one != two).any((1, 2, 3)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_changes_its_mask_and_nothing_else(kind: str) -> None:
    rng = np.random.default_rng(0)
    picture, made, other = (texture(48, 48, seed=k) for k in range(3))
    edited = edit(kind, picture, made, other, rng)
    marked = edited.generated | edited.moved
    assert 0.03 < marked.mean() < 0.4
    assert (edited.pixels[~marked] == picture[~marked]).all()
    assert (edited.pixels[marked] != picture[marked]).any()
    assert edited.generated.any() == (kind == "decoded region")
    source = {"decoded region": made, "splice": other}.get(kind)
    if source is not None:
        assert (edited.pixels[marked] == source[marked]).all()


def test_cells_of_a_mask_hold_its_share() -> None:
    edited = edit("splice", *(texture(32, 32, seed=k) for k in range(3)), np.random.default_rng(0))
    cells = _cells(edited, 8)
    assert cells.shape == (2, 4, 4)
    assert not cells[0].any()
    assert cells[1].mean() == pytest.approx(edited.moved.mean(), abs=1e-6)


def test_a_small_gamma_learns_edits() -> None:
    photos = np.stack([texture(48, 48, seed=k) for k in range(24)])
    made = np.stack([blur(one, 1.2) for one in photos])
    gamma = train_small_gamma(photos, made, GammaSettings(width=8, batch=8, steps=60), 0)
    rng = np.random.default_rng(0)
    new = np.stack([texture(48, 48, seed=100 + k) for k in range(24)])
    edited = [edit("decoded region", one, blur(one, 1.2), one, rng).pixels for one in new]
    assert auc(look(gamma, new), look(gamma, np.stack(edited))) > 0.8


def branch_scores(seed: int, count: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"pixel": rng.random(count), "semantic": rng.random(count)}


@pytest.mark.parametrize("name", ["or", "vote", "weighted"])
def test_every_rule_keeps_its_budget_and_uses_it(name: str) -> None:
    photos, rule = branch_scores(0), FUSIONS[name]
    thresholds = within_budget(rule, photos, 0.1)
    alarms = called_fake(rule, photos, thresholds).mean()
    assert 0.085 <= alarms <= 0.1
    # Brute force: no higher rate of the branches' own keeps the budget.
    rate = np.mean(photos["pixel"] >= thresholds["pixel"])
    for more in np.arange(rate + 0.01, 0.6, 0.01):
        own = {branch: float(np.quantile(values, 1 - more)) for branch, values in photos.items()}
        if called_fake(rule, photos, own).mean() <= 0.099:
            pytest.fail(f"{name} stays within its budget at {more:.2f} too")


def test_or_and_vote_call_what_their_names_say() -> None:
    scores, half = branch_scores(1), {"pixel": 0.5, "semantic": 0.7}
    above = np.stack([scores[name] >= half[name] for name in scores])
    assert (called_fake(FUSIONS["or"], scores, half) == above.any(0)).all()
    assert (called_fake(FUSIONS["vote"], scores, half) == above.all(0)).all()


def test_probabilities_keep_the_order_and_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    photos, fakes = {"pixel": rng.normal(-1, 1, 3000)}, {"pixel": rng.normal(1, 1, 3000)}
    logits = np.linspace(-3, 3, 50)
    found = probabilities({"pixel": logits}, photos, fakes)["pixel"]
    assert (np.diff(found) > 0).all()
    assert found == pytest.approx(1 / (1 + np.exp(-2 * logits)), abs=0.03)  # two unit normals


def test_a_branch_that_knows_nothing_is_not_turned_round() -> None:
    rng = np.random.default_rng(0)
    photos, fakes = {"pixel": rng.normal(1, 1, 200)}, {"pixel": rng.normal(-1, 1, 200)}
    found = probabilities({"pixel": np.array([-3.0, 3.0])}, photos, fakes)["pixel"]
    assert found[0] <= found[1]


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    settings = ReaderSettings(side=24, widths=(8, 8), strides=(2, 2))
    reader = Reader(settings).eval()
    torch.save(reader.state_dict(), tmp_path / "reader.pt")
    again = Reader(settings).eval()
    again.load_state_dict(torch.load(tmp_path / "reader.pt", weights_only=True))
    pictures = drawn_patches(3, 48, seed=2)
    assert read(reader, pictures).tolist() == read(again, pictures).tolist()
