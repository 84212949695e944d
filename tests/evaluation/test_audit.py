"""Sets drawn so that it is known what tells their classes apart."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fixtures.metadata import encode, exif
from PIL import Image as PILImage
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.audit import Audit, audit_rows, chosen
from aligngemini.evaluation.audit.properties import Column
from aligngemini.evaluation.audit.render import to_html, to_json, to_markdown
from aligngemini.evaluation.audit.tree import Told, rules, tell_apart

BINARY = {"PNG": ".png", "JPEG": ".jpg"}


@pytest.fixture
def write(tmp_path):
    """Writes one image and gives its row: width, height, format, what Pillow saves with."""

    def write(label, number, width=64, height=64, *, form="JPEG", subset="", **save):
        colour = tuple(np.random.default_rng(number).integers(0, 255, 3).tolist())
        path = tmp_path / f"{number:05}{BINARY[form]}"
        PILImage.new("RGB", (width, height), colour).save(path, form, **save)
        return Row(str(path), label, extra={"subset": subset} if subset else {})

    return write


def alike(write, photos, fakes, *, seed=0):
    """A set in which nothing tells: sizes and qualities of both classes from one urn."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(["real"] * photos + ["fake"] * fakes)
    return [
        write(
            str(label),
            number,
            int(rng.choice([48, 64, 80, 96])),
            int(rng.choice([48, 64, 80])),
            quality=int(rng.choice([75, 85, 95])),
        )
        for number, label in enumerate(labels)
    ]


def test_format_that_tells_is_found_and_named(write):
    rng = np.random.default_rng(0)
    sizes = rng.integers(40, 90, (80, 2))
    rows = [write("real", k, *map(int, sizes[k]), form="JPEG") for k in range(40)]
    rows += [write("fake", k, *map(int, sizes[k]), form="PNG") for k in range(40, 80)]
    audit = audit_rows(rows)
    assert audit.state == "solved"
    assert audit.tree.accuracy == 1
    alone = {told.by: told.accuracy for told in audit.properties}
    assert alone["format"] == 1
    assert {told.by: told.accuracy for told in audit.groups}["format"] == 1
    assert alone["width"] < 0.8
    assert "SOLVED" in audit.line()
    assert audit.line() == next(iter(json.loads(to_json(audit)).values()))
    by_format = next(one for one in audit.distributions if one.property == "format")
    assert (by_format.real, by_format.fake) == ({"JPEG": 1.0}, {"PNG": 1.0})


@pytest.mark.parametrize(
    ("photo", "fake", "group", "by"),
    [
        ({"width": 72}, {"width": 64}, "size", "width"),
        ({"quality": 95}, {"quality": 75}, "compression", "JPEG quality"),
        (
            {"subsampling": "4:4:4"},
            {"subsampling": "4:2:0"},
            "compression",
            "chroma subsampling",
        ),
        (
            {"progressive": False},
            {"progressive": True},
            "compression",
            "several passes (progressive or interlaced)",
        ),
        ({"exif": exif(Make="Canon")}, {}, "metadata", "EXIF"),
    ],
)
def test_whatever_tells_is_found(write, photo, fake, group, by):
    rows = [write("real", k, **photo) for k in range(20)]
    rows += [write("fake", k, **fake) for k in range(20, 40)]
    audit = audit_rows(rows)
    assert audit.state == "solved"
    assert {told.by: told.accuracy for told in audit.groups}[group] == 1
    assert {told.by: told.accuracy for told in audit.properties}[by] == 1


def test_where_nothing_tells_there_is_no_shout(write):
    audit = audit_rows(alike(write, 80, 80))
    assert audit.state == "clear"
    assert audit.tree.low <= audit.tree.accuracy <= audit.tree.high
    assert "do not tell" in audit.line()
    assert "SOLVED" not in to_markdown(audit, "set")


def test_images_that_do_not_differ_at_all_do_not_tell(write):
    audit = audit_rows([write("real" if k % 2 else "fake", k) for k in range(40)])
    assert audit.state == "clear"
    assert {told.by: told.accuracy for told in audit.groups}["size"] == 0.5


def test_file_names_alone_do_not_make_a_set_solvable_but_are_said(tmp_path):
    rows = []
    for number in range(40):
        label = "fake" if number % 2 else "real"
        path = tmp_path / (f"sd_{number}.png" if number % 2 else f"IMG-{number}.png")
        path.write_bytes(encode("PNG"))
        rows.append(Row(str(path), label))
    audit = audit_rows(rows)
    assert audit.state == "clear"
    assert {told.by: told.accuracy for told in audit.groups}["file name"] == 1
    assert "File names" in to_markdown(audit, "set")


def test_names_of_folders_are_not_looked_at(tmp_path):
    rows = []
    for number in range(40):
        label = "fake" if number % 2 else "real"
        path = tmp_path / {"real": "real", "fake": "generated-2024"}[label] / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode("PNG"))
        rows.append(Row(str(path), label))
    audit = audit_rows(rows)
    assert max(told.accuracy for told in audit.groups) < 0.7


def test_a_rare_class_weighs_as_much_as_a_common_one(write):
    rows = alike(write, 300, 15)
    audit = audit_rows(rows)
    # Always "real" would be right on 95 % of the images, and is no better than chance.
    assert audit.state == "clear"
    rows = [write("real", k, width=64 + 8 * (k % 4)) for k in range(300)]
    rows += [write("fake", k, width=60) for k in range(300, 315)]
    audit = audit_rows(rows)
    assert audit.state == "solved"
    assert audit.tree.fakes == 1


def test_few_images_are_not_judged(write):
    audit = audit_rows([write("real", 0), write("fake", 1), write("fake", 2)])
    assert (audit.photos, audit.fakes, audit.tree) == (1, 2, None)
    assert audit.state == "unknown"
    assert "1 photo and 2 fakes" in audit.line()
    assert audit.distributions
    for render in (to_markdown, to_html):
        assert "cannot be said" in render(audit, "set")


def test_one_class_alone_and_no_image_at_all(write):
    alone = audit_rows([write("fake", k) for k in range(30)])
    assert (alone.photos, alone.fakes, alone.state) == (0, 30, "unknown")
    assert "none" in to_markdown(alone, "set")
    nothing = audit_rows([])
    assert (nothing.photos, nothing.fakes, nothing.state) == (0, 0, "unknown")
    assert to_html(nothing, "set")


def test_unreadable_files_are_counted_and_listed(write, tmp_path):
    rows = alike(write, 20, 20)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(encode("JPEG")[:80])
    rows += [Row(str(broken), "fake"), Row(str(tmp_path / "gone.png"), "real")]
    audit = audit_rows(rows)
    assert (audit.photos, audit.fakes) == (20, 20)
    assert {(one.label, one.code) for one in audit.unreadable} == {
        ("fake", "truncated"),
        ("real", "not-found"),
    }
    assert "2 files could not be read" in audit.line()
    for text in (to_markdown(audit, "s"), to_html(audit, "s"), to_json(audit)):
        assert "gone.png" in text


def test_the_sample_is_of_each_class_each_file_once_and_the_same_again(write):
    rows = [write("real" if k % 3 else "fake", k) for k in range(60)]
    rows += [replace(row) for row in rows[:10]]
    taken = chosen(rows, most=12, seed=1)
    assert [row.label for row in taken].count("real") == 12
    assert [row.label for row in taken].count("fake") == 12
    assert len({row.path for row in taken}) == 24
    assert taken == chosen(rows, most=12, seed=1) != chosen(rows, most=12, seed=2)
    assert len(chosen(rows, most=None)) == 60
    audit = audit_rows(rows, most=12)
    assert (audit.photos, audit.photos_listed, audit.fakes_listed) == (12, 40, 20)
    assert "A random sample" in to_markdown(audit, "set")


def test_subsets_are_told_apart_with_the_photos_they_share(write):
    rows = [write("real", k, width=64, subset="*") for k in range(30)]
    rows += [write("fake", k, width=72, subset="wide") for k in range(30, 60)]
    rows += [write("fake", k, width=64, subset="same") for k in range(60, 90)]
    by_subset = {told.by: told.accuracy for told in audit_rows(rows).subsets}
    assert by_subset["wide"] == 1
    assert by_subset["same"] < 0.7


def test_every_step_is_told(write):
    steps = []
    audit_rows(alike(write, 12, 12), step=lambda: steps.append(1))
    assert len(steps) == 24


def test_hostile_names_stay_text(tmp_path):
    name = "<img src=x onerror=alert(1)>|`a`\u202eb.png"
    rows = []
    for number in range(24):
        path = tmp_path / f"{number}{name}"
        path.write_bytes(encode("PNG"))
        rows.append(Row(str(path), "fake" if number % 2 else "real"))
    rows.append(Row(str(tmp_path / "<script>.png"), "real"))
    audit = audit_rows(rows)
    page = to_html(audit, "<script>set</script>")
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page + to_markdown(audit, "set")
    assert "\\|\\`a\\`" in to_markdown(audit, "set")


@pytest.mark.parametrize(
    ("accuracy", "high", "state"),
    [
        (0.97, 0.55, "solved"),
        (0.80, 0.55, "solved"),
        (0.79, 0.55, "leaks"),
        (0.60, 0.55, "leaks"),
        (0.59, 0.55, "clear"),  # beyond chance, and too little to matter
        (0.85, 0.90, "clear"),  # high, and no wonder among so few
    ],
)
def test_a_shout_takes_a_high_accuracy_that_is_no_chance(accuracy, high, state):
    told = Told("everything", accuracy, accuracy, accuracy, 1 - high, high)
    audit = Audit(50, 50, 50, 50, (), (), tree=told, properties=(told,))
    assert audit.state == state
    assert ("SOLVED" in audit.line()) == (state == "solved")
    assert ("IN PART" in audit.line()) == (state == "leaks")


def columns(table):
    return [
        Column(column, f"c{k} over {{}}", f"c{k} at most {{}}") for k, column in enumerate(table)
    ]


def test_the_tree_is_scikit_learns_on_held_out_folds():
    rng = np.random.default_rng(0)
    fake = rng.random(150) < 0.3
    table = np.stack([rng.normal(size=150) + fake, rng.integers(0, 3, 150).astype(float)])
    told = tell_apart("it", columns(table), fake, seed=3)
    said = np.empty(150, bool)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=3).split(table.T, fake):
        tree = DecisionTreeClassifier(
            max_depth=3, min_samples_leaf=5, class_weight="balanced", random_state=3
        )
        said[test] = tree.fit(table.T[train].astype(np.float32), fake[train]).predict(
            table.T[test].astype(np.float32)
        )
    assert told.accuracy == pytest.approx(balanced_accuracy_score(fake, said))
    assert told.fakes == pytest.approx(said[fake].mean())


def test_shuffled_labels_stay_within_the_range_of_chance():
    rng = np.random.default_rng(0)
    table = np.stack([rng.normal(size=240), rng.integers(0, 4, 240).astype(float)])
    fake = np.arange(240) < 80
    inside = []
    for seed in range(40):
        told = tell_apart("it", columns(table), rng.permutation(fake), seed=seed)
        inside.append(told.low <= told.accuracy <= told.high)
    assert sum(inside) >= 35  # of 40, 95 % should be


def test_rules_in_words_hold_for_the_images_they_count():
    rng = np.random.default_rng(1)
    table = np.stack([rng.integers(0, 100, 200).astype(float), rng.normal(size=200)])
    fake = (table[0] > 60) & (table[1] < 0.5)
    found = rules(columns(table), fake)
    assert sum(rule.photos + rule.fakes for rule in found) == 200
    for rule in found:
        holds = np.ones(200, bool)
        for condition in rule.conditions:
            name, _, threshold = condition.replace("at most", "<=").replace("over", ">").split()
            cells = table[int(name[1:])]
            holds &= (
                cells > float(threshold)
                if ">" in condition.replace("over", ">")
                else cells <= float(threshold)
            )
        # Numbers in words are rounded, so a cell beside the threshold may fall on either side.
        assert abs(int((holds & fake).sum()) - rule.fakes) <= 2
        assert abs(int((holds & ~fake).sum()) - rule.photos) <= 2
    assert {rule.label for rule in found} == {"real", "fake"}


def test_leaves_that_say_the_same_are_one_rule():
    table = np.r_[np.zeros(40), np.ones(20), np.full(20, 2.0)][None]
    # Fakes are the majority at 1 and, more of them, at 2: a question that changes no answer.
    fake = np.r_[np.zeros(46), np.ones(14), np.zeros(1), np.ones(19)].astype(bool)
    found = rules(columns(table), fake)
    assert [(rule.label, rule.conditions, rule.photos, rule.fakes) for rule in found] == [
        ("real", ("c0 at most 0",), 40, 0),
        ("fake", ("c0 over 0",), 7, 33),
    ]
