"""Every benchmark's folders are found whole, and what is missing or odd is told exactly."""

import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.benchmark_layouts import EACH, LAYOUTS, named, two_classes, write

from aligngemini.benchmarks import (
    BENCHMARKS,
    NAMES,
    BenchmarkError,
    Expected,
    Hole,
    discover,
    open_benchmark,
)
from aligngemini.benchmarks.layout import FAKE, REAL, Layout, plain

every_benchmark = pytest.mark.parametrize("name", LAYOUTS)


def counted(benchmark, files):
    """The benchmark as if it had been published with these files."""
    subsets = dict.fromkeys(subset for subset, _ in files)
    return replace(
        benchmark,
        expected={
            subset: Expected(*(len(files.get((subset, label), ())) for label in ("real", "fake")))
            for subset in subsets
        },
    )


def listed(found, root):
    files = {}
    for row in found.rows:
        path = os.path.relpath(row.path, root)
        files.setdefault((row.extra["subset"], row.label), []).append(path)
    return {key: sorted(paths) for key, paths in files.items()}


def in_order(files):
    return {key: sorted(paths) for key, paths in files.items()}


def test_every_benchmark_has_a_synthetic_copy():
    assert {*LAYOUTS, "manifest"} == set(NAMES)


@every_benchmark
def test_a_copy_is_found_whole(name, tmp_path):
    files = LAYOUTS[name]()
    write(tmp_path, files)
    found = discover(counted(open_benchmark(name), files), tmp_path)
    assert listed(found, tmp_path) == in_order(files)
    assert (found.holes, found.extra) == ([], [])
    for row in found.rows:
        assert row.generator == (row.extra["subset"] if row.label == "fake" else "")
        assert (row.source, row.split) == (name, "test")


@every_benchmark
def test_the_canonical_names_are_those_of_the_copy(name):
    """But for those that name their subsets by what they find."""
    published = set(BENCHMARKS[name].expected)
    if name not in ("folder", "mnw"):
        assert published == {subset for subset, _ in LAYOUTS[name]()}


@every_benchmark
def test_missing_files_are_counted_exactly(name, tmp_path):
    files = LAYOUTS[name]()
    write(tmp_path, files)
    for number, paths in enumerate(files.values()):
        (tmp_path / paths[number % EACH]).unlink()
    found = discover(counted(open_benchmark(name), files), tmp_path)
    holes = {(hole.subset, hole.label): (hole.expected, hole.found) for hole in found.holes}
    assert holes == dict.fromkeys(files, (EACH, EACH - 1))
    assert len(found.rows) == (EACH - 1) * len(files)
    assert all("1 of 10" in hole.message for hole in found.holes)


@every_benchmark
def test_a_subset_that_is_not_there_is_named(name, tmp_path):
    files = LAYOUTS[name]()
    write(tmp_path, files)
    gone = list(files)[-1]
    for path in files[gone]:
        (tmp_path / path).unlink()
    found = discover(counted(open_benchmark(name), files), tmp_path)
    (hole,) = found.holes
    assert (hole.subset, hole.label, hole.expected, hole.found) == (*gone, EACH, 0)
    assert "10 expected" in hole.message


@every_benchmark
@pytest.mark.parametrize("spelling", [str.upper, str.lower], ids=["upper", "lower"])
def test_other_cases_and_separators_are_the_same(name, spelling, tmp_path):
    files = LAYOUTS[name]()
    renamed = {
        key: [
            f"{spelling(folder).replace('-', '_')}/{file.upper()}"
            for folder, file in map(os.path.split, paths)
        ]
        for key, paths in files.items()
    }
    write(tmp_path, renamed)
    benchmark = open_benchmark(name)
    found = discover(benchmark, tmp_path)
    counts = Counter((row.extra["subset"], row.label) for row in found.rows)
    if name in ("folder", "mnw"):  # their subsets are called what the folders are called
        assert sorted(counts.values()) == [EACH] * len(files)
    else:
        assert counts == dict.fromkeys(files, EACH)
    assert found.extra == []


@every_benchmark
def test_a_folder_too_many_is_named_and_left_out(name, tmp_path):
    files = LAYOUTS[name]()
    write(tmp_path, files)
    write(tmp_path, {("", ""): [*named("holidays/2019", each=3), *named("holidays", each=4)]})
    found = discover(counted(open_benchmark(name), files), tmp_path)
    assert listed(found, tmp_path) == in_order(files)
    assert found.holes == []
    assert sum("holidays" in line for line in found.extra) == len(found.extra) >= 1
    assert sum(int(line.split("(")[1].split()[0]) for line in found.extra) == 7


@every_benchmark
def test_what_systems_leave_behind_is_passed_over(name, tmp_path):
    files = LAYOUTS[name]()
    write(tmp_path, files)
    first = next(iter(files.values()))[0]
    folder, file = os.path.split(first)
    litter = [f"{folder}/._{file}", f"{folder}/.hidden/{file}", f"__MACOSX/{first}"]
    write(tmp_path, {("", ""): litter})
    found = discover(open_benchmark(name), tmp_path)
    assert listed(found, tmp_path) == in_order(files)
    assert found.extra == []


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "folder"])
def test_the_folder_above_will_do(name, tmp_path):
    files = LAYOUTS[name]()
    write(tmp_path / "downloads", files)
    found = discover(open_benchmark(name), tmp_path)
    assert listed(found, tmp_path / "downloads") == in_order(files)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        (name, benchmark.find.__self__)
        for name, benchmark in BENCHMARKS.items()
        if isinstance(getattr(benchmark.find, "__self__", None), Layout)
    ],
)
def test_no_name_stands_for_two_things(name, layout):
    names = [*REAL, *FAKE, *layout.real, *layout.skip, *layout.skip_top]
    spoken = {plain(one) for one in names}
    for axis in layout.axes:
        for canonical, others in axis.items():
            keys = {plain(canonical), *map(plain, others)}
            assert not keys & spoken, (canonical, keys & spoken)
            spoken |= keys


def test_genimage_repacked_and_its_training_part_left_out(tmp_path):
    files = two_classes({"ADM": "test/adm", "stable_diffusion_v_1_4": "test/SDv1.4"})
    write(tmp_path, files)
    write(tmp_path, two_classes({"": "ADM/imagenet_ai_0508_adm/train"}, "nature", "ai"))
    found = discover(open_benchmark("genimage"), tmp_path)
    assert listed(found, tmp_path) == in_order(files)
    assert found.extra == []


def test_cocos_parts_stay_apart(tmp_path):
    """The training part of these photos is what DDA is trained on."""
    write(tmp_path, {("", ""): named("coco/train2017") + named("coco/val2017", each=4)})
    write(tmp_path, {("", ""): named("DRCT/sd-turbo/train2017") + named("DRCT/sd-turbo/val2017")})
    found = discover(open_benchmark("drct-2m"), tmp_path / "DRCT", real_root=tmp_path / "coco")
    counts = Counter((row.extra["subset"], row.label) for row in found.rows)
    assert counts == {("*", "real"): 4, ("sd-turbo", "fake"): EACH}
    assert all("val2017" in row.path for row in found.rows)


def test_evalgen_takes_the_first_image_of_a_prompt(tmp_path):
    write(tmp_path, {("", ""): [f"Flux/{p}_{n}.jpg" for p in range(5) for n in range(4)]})
    found = discover(open_benchmark("evalgen"), tmp_path)
    assert sorted(Path(row.path).name for row in found.rows) == [f"{p}_0.jpg" for p in range(5)]
    assert "images left out by the protocol: 15" in found.extra


@pytest.mark.parametrize("name", ["synthwildx", "synthbuster", "co-spy-in-the-wild"])
def test_copies_with_photos_beside_the_fakes_need_no_others(name, tmp_path):
    subsets = [subset for subset in BENCHMARKS[name].expected if subset != "*"]
    files = two_classes({subset: subset for subset in subsets})
    write(tmp_path, files)
    found = discover(open_benchmark(name), tmp_path)
    assert listed(found, tmp_path) == in_order(files)
    assert not [hole for hole in found.holes if hole.label == "real"]


def test_a_folder_inside_a_subset_of_fakes_that_nobody_knows_is_no_fake(tmp_path):
    write(tmp_path, {("", ""): named("dalle2") + named("dalle2/thumbnails", each=3)})
    found = discover(open_benchmark("synthbuster"), tmp_path)
    assert len(found.rows) == EACH
    assert found.extra == ["not understood: dalle2/thumbnails (3 images)"]


def test_of_mnw_only_the_generated_images_are_taken(tmp_path):
    """What its experts met in the wild has opinions for labels."""
    write(tmp_path, LAYOUTS["mnw"]())
    others = ["AI_media_in_the_wild/Images/likely_authentic", "AI_Video/Kling", "docs"]
    write(tmp_path, {("", ""): [path for other in others for path in named(other)]})
    found = discover(open_benchmark("mnw"), tmp_path)
    assert listed(found, tmp_path) == in_order(LAYOUTS["mnw"]())
    assert found.extra == []
    assert "in the wild" in found.notes[0]


def test_a_subset_of_unknown_size_can_be_missing_too(tmp_path):
    write(tmp_path, {("", ""): named("test/reddit/0_real")})
    found = discover(open_benchmark("wildrf"), tmp_path)
    holes = [(hole.subset, hole.label, hole.expected) for hole in found.holes]
    assert holes == [("reddit", "fake", None)] + [
        (subset, label, None) for subset in ("twitter", "facebook") for label in ("real", "fake")
    ]


def test_more_than_published_is_said(tmp_path):
    write(tmp_path, {("", ""): named("Flux", "{}_0.jpg", each=554)})
    found = discover(open_benchmark("evalgen"), tmp_path)
    assert found.notes == ["Flux: 554 fakes, though 553 are published"]
    assert Hole("NOVA", "fake", 553, 0, "NOVA: no fakes, 553 expected") in found.holes
    assert not [hole for hole in found.holes if hole.subset == "Flux"]


def test_packed_files_and_others_are_named(tmp_path):
    write(tmp_path, {("", ""): ["ADM/x.zip", "README.md", "a.json", "b.json"]})
    found = discover(open_benchmark("genimage"), tmp_path)
    assert found.extra == [
        "not unpacked: ADM/x.zip",
        "files that are no images: 3 (.json, .md)",
    ]


# --- the user's own -------------------------------------------------------------------------------


def test_one_folder_of_photos_beside_fakes_by_generator(tmp_path):
    write(tmp_path, {("", ""): named("real") + named("fake/sdxl") + named("fake/flux/a")})
    found = discover(open_benchmark("folder"), tmp_path)
    counts = Counter((row.extra["subset"], row.label) for row in found.rows)
    assert counts == {("*", "real"): EACH, ("sdxl", "fake"): EACH, ("flux", "fake"): EACH}


def test_a_folder_of_fakes_and_one_of_photos(tmp_path):
    write(tmp_path, {("", ""): named("made") + named("made/flux") + named("made/photos/2019")})
    found = discover(
        open_benchmark("folder"), tmp_path / "made", real_root=tmp_path / "made/photos"
    )
    counts = Counter((row.extra["subset"], row.label) for row in found.rows)
    assert counts == {("*", "real"): EACH, ("all", "fake"): EACH, ("flux", "fake"): EACH}


def test_fakes_among_the_photos_are_refused(tmp_path):
    write(tmp_path, {("", ""): named("photos/made")})
    with pytest.raises(BenchmarkError, match="keep them apart"):
        discover(open_benchmark("folder"), tmp_path / "photos/made", real_root=tmp_path / "photos")


@pytest.mark.parametrize("root", ["nowhere", "file"])
def test_a_root_that_is_no_folder_is_one_sentence(root, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BenchmarkError, match=f"there is no folder .*{root}"):
        discover(open_benchmark("wildrf"), tmp_path / root)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(BenchmarkError, match="no benchmark 'imagenet'; known: genimage, drct-2m"):
        open_benchmark("imagenet")
    assert open_benchmark("GenImage").name == "genimage"


def test_a_manifest_says_itself_what_is_missing(tmp_path):
    write(tmp_path, {("", ""): named("a", each=3) + named("b", each=5)})
    lines = [f"a/{n:05}.png,real,,\n" for n in range(4)]  # one of them is not there
    lines += [f"b/{n:05}.png,fake,flux,\n" for n in range(3)]
    lines += [f"b/{n:05}.png,fake,flux,hard\n" for n in range(3, 7)]  # two are not
    (tmp_path / "set.csv").write_text("path,label,generator,subset\n" + "".join(lines))
    found = discover(open_benchmark("manifest"), tmp_path / "set.csv")
    counts = Counter((row.extra["subset"], row.label) for row in found.rows)
    assert counts == {("*", "real"): 3, ("flux", "fake"): 3, ("hard", "fake"): 2}
    holes = [(hole.subset, hole.label, hole.expected, hole.found) for hole in found.holes]
    assert holes == [("*", "real", 4, 3), ("hard", "fake", 4, 2)]
    shutil.move(tmp_path / "set.csv", tmp_path / "manifest.csv")
    assert discover(open_benchmark("manifest"), tmp_path) == found


@pytest.mark.parametrize("text", [None, "path,label\nx.jpg,maybe\n"])
def test_a_manifest_that_is_none_is_one_sentence(text, tmp_path):
    if text is not None:
        (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(BenchmarkError, match="manifest"):
        discover(open_benchmark("manifest"), tmp_path)


# --- links ----------------------------------------------------------------------------------------


def test_links_in_a_circle_end(tmp_path):
    write(tmp_path, LAYOUTS["wildrf"]())
    (tmp_path / "test/reddit/0_real/back").symlink_to(tmp_path)
    (tmp_path / "test/again").symlink_to(tmp_path / "test")
    found = discover(open_benchmark("wildrf"), tmp_path)
    assert listed(found, tmp_path) == in_order(LAYOUTS["wildrf"]())


def test_links_in_a_circle_end_where_every_folder_is_a_subset(tmp_path):
    write(tmp_path, LAYOUTS["folder"]())
    (tmp_path / "sketches/again").symlink_to(tmp_path)
    (tmp_path / "phones/old/again").symlink_to(tmp_path / "phones")
    found = discover(open_benchmark("folder"), tmp_path)
    assert listed(found, tmp_path) == in_order(LAYOUTS["folder"]())


def test_links_upon_links_do_not_multiply(tmp_path):
    """Each of 20 folders has three links to the next: 3 ** 20 ways to the last."""
    for number in range(20):
        folder = tmp_path / "all" / f"{number:02}"
        folder.mkdir(parents=True)
        for way in "abc":
            (folder / way).symlink_to(tmp_path / "all" / f"{number + 1:02}")
    write(tmp_path / "all", {("", ""): ["20/1_fake/x.png"]})
    found = discover(open_benchmark("folder"), tmp_path / "all/00")
    assert 1 <= len(found.rows) <= 1000


def test_photos_linked_into_each_subset_count_in_each(tmp_path):
    write(tmp_path, {("", ""): named("elsewhere/photos")})
    for name in ("dalle3", "firefly"):
        write(tmp_path, {("", ""): named(f"x/{name}/1_fake")})
        (tmp_path / "x" / name / "0_real").symlink_to(tmp_path / "elsewhere/photos")
    found = discover(open_benchmark("synthwildx"), tmp_path / "x")
    counts = Counter((row.extra["subset"], row.label) for row in found.rows)
    assert counts == dict.fromkeys(
        [(name, label) for name in ("dalle3", "firefly") for label in ("real", "fake")], EACH
    )


def test_files_in_both_classes_are_said(tmp_path):
    write(tmp_path, {("", ""): named("test/reddit/1_fake")})
    (tmp_path / "test/reddit/0_real").symlink_to(tmp_path / "test/reddit/1_fake")
    found = discover(open_benchmark("wildrf"), tmp_path)
    assert found.notes == ["10 files are in both classes"]


def test_links_to_nowhere_and_pipes_are_said(tmp_path):
    write(tmp_path, {("", ""): named("test/reddit/0_real", each=2)})
    (tmp_path / "test/reddit/0_real/gone.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "test/reddit/0_real/pipe.jpg")
    found = discover(open_benchmark("wildrf"), tmp_path)
    assert len(found.rows) == 2
    (said,) = found.extra
    assert "test/reddit/0_real/gone.jpg" in said
    assert "test/reddit/0_real/pipe.jpg" in said


# --- documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("folder", "manifest")])
def test_the_documentation_says_the_same(name):
    page = Path(__file__).resolve().parents[2] / "docs/benchmarks.md"
    rows = re.findall(rf"^\| `{name}` \|.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    sets, layouts = rows[:2]
    benchmark = BENCHMARKS[name]
    for text in (benchmark.title, benchmark.licence, benchmark.how_to_get):
        assert text in sets
    for label in ("real", "fake"):
        counts = [getattr(expected, label) for expected in benchmark.expected.values()]
        known = [count for count in counts if count]
        nothing = "not published" if None in counts else "none"
        assert (f"| {sum(known):,}" if known else f"| {nothing} |") in sets
    assert benchmark.layout in layouts
    assert benchmark.protocol in layouts
