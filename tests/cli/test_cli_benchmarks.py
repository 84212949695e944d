"""`aligngemini evaluate list`, `evaluate verify` and `reproduce`, from the command line."""

import json
import statistics
import tarfile

import killed
import pytest
import standin
from fixtures.benchmark_layouts import LAYOUTS, named, write
from PIL import Image as PILImage

from aligngemini.benchmarks import NAMES
from aligngemini.cli import main
from aligngemini.evaluation.paper_tables import TABLES, locate, our_grid
from aligngemini.evaluation.table_file import read_table
from aligngemini.runner import DetectorOptions


@pytest.fixture
def say(capsys):
    def say(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return say


def test_the_list_names_every_benchmark_with_its_licence(say):
    code, out, _ = say("evaluate", "list")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines() if line[:1].isalpha()][:-1] == [*NAMES]
    assert "genimage: GenImage, 8 subsets, 50,000 photos, 50,000 fakes" in out
    assert "licence: CC BY-NC-SA 4.0" in out


def test_one_benchmark_is_described_whole(say):
    code, out, _ = say("evaluate", "list", "drct-2m")
    assert code == 0
    for text in ("val2017", "BokingChen/DRCT-2M", "5,000 photos", "lcm-lora-sdxl"):
        assert text in out
    facts = json.loads(say("evaluate", "list", "drct-2m", "--json")[1])
    assert facts["expected"]["*"] == {"real": 5000, "fake": 0}
    assert [one["name"] for one in json.loads(say("evaluate", "list", "--json")[1])] == [*NAMES]


@pytest.fixture
def wildrf(tmp_path):
    write(tmp_path / "data", LAYOUTS["wildrf"]())
    return tmp_path / "data"


def verify(say, name, root, *more):
    return say("evaluate", "verify", "--benchmark", name, "--root", root, *more)


def test_a_whole_benchmark_is_code_0(say, wildrf):
    code, out, _ = verify(say, "wildrf", wildrf)
    assert code == 0
    assert out.splitlines()[0] == "WildRF: 60 images"
    assert out.count("10 photos         10 fakes") == 3
    assert "missing" not in out


def test_a_missing_subset_is_code_1_and_named(say, wildrf):
    (wildrf / "test/twitter").rename(wildrf / "test/holidays")
    code, out, _ = verify(say, "wildrf", wildrf)
    assert code == 1
    assert "missing: twitter: no photos\n" in out
    assert "missing: twitter: no fakes\n" in out
    assert "set aside: not understood: test/holidays (20 images)" in out
    facts = json.loads(verify(say, "wildrf", wildrf, "--json")[1])
    assert [(hole["subset"], hole["found"]) for hole in facts["holes"]] == [("twitter", 0)] * 2
    assert facts["found"]["reddit"] == {"real": 10, "fake": 10}


def test_nothing_found_says_how_it_should_lie_and_where_to_get_it(say, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = verify(say, "evalgen", tmp_path / "empty")
    assert code == 1
    assert "layout: {Flux,GoT,Infinity,NOVA,OmniGen}" in out
    assert "get it: huggingface.co/datasets/Junwei-Xi/EvalGEN" in out


def test_long_lists_are_cut_and_whole_for_programs(say, tmp_path):
    write(tmp_path, {("", ""): [f"odd{number}/x.jpg" for number in range(25)]})
    out = verify(say, "wildrf", tmp_path)[1]
    assert "set aside: and 5 more, see --json" in out
    assert len(json.loads(verify(say, "wildrf", tmp_path, "--json")[1])["extra"]) == 25


def test_hashes_and_duplicates_are_told(say, tmp_path):
    write(tmp_path, LAYOUTS["bfree-online"]())
    same = (tmp_path / "REAL/source0/img00000.jpg").read_bytes()
    (tmp_path / "FAKE/source1/img00100.jpg").write_bytes(same)
    code, out, _ = verify(say, "bfree-online", tmp_path, "--hashes", "--duplicates")
    assert code == 1
    assert "hashes: none are published" in out
    assert "equal files: 1 groups" in out
    assert "in both classes: " in out
    (tmp_path / "synthbuster.zip").touch()
    out = verify(say, "synthbuster", tmp_path, "--hashes")[1]
    assert "hashes: 0 right of 2 published" in out
    assert "synthbuster.zip differs from the published file" in out


def test_names_that_are_no_text_do_no_harm(say, tmp_path):
    folder = tmp_path / "red\x1b[31m"
    write(folder, {("", ""): named("x", each=1)})
    assert "\x1b" not in verify(say, "wildrf", tmp_path)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "list", "imagenet"], "no benchmark 'imagenet'; known: genimage"),
        (["evaluate", "verify"], ""),
        (["evaluate", "verify", "--benchmark", "wildrf"], "--root"),
        (["evaluate", "verify", "--benchmark", "x", "--root", "{tmp}"], "no benchmark 'x'"),
        (["evaluate", "verify", "--benchmark", "wildrf", "--root", "{tmp}/no"], "no folder"),
        (["reproduce"], ""),
        (["reproduce", "table-5", "--root", "{tmp}"], "in-the-wild"),
        (["reproduce", "genimage", "--root", "{tmp}/no", "--check"], "no such folder"),
        (["reproduce", "genimage", "--root", "{tmp}"], "--out"),
        (["reproduce", "in-the-wild", "--root", "{tmp}", "--check"], "nothing of the table"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_sentence(say, tmp_path, arguments, said):
    code, _, err = say(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    "command", [("evaluate", "list"), ("evaluate", "verify"), ("reproduce",)], ids=" ".join
)
def test_help_has_examples(say, command):
    code, out, _ = say(*command, "--help")
    assert code == 0
    assert f"\n  aligngemini {' '.join(command)}" in out
    assert max(map(len, out.splitlines())) <= 88


# --- reproduce ------------------------------------------------------------------------------------

GREYS = {"real": (20, 60), "fake": (160, 220)}
"""Of the photos and fakes; the stand-in's score is the brightness."""


def paint(root, files, greys=GREYS, each=4):
    """Files of one grey each, two greys a class in turn."""
    for (_, label), paths in files.items():
        for number, path in enumerate(paths[:each]):
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            grey = greys[label][number % 2]
            PILImage.new("RGB", (64, 48), (grey,) * 3).save(place, "PNG")


@pytest.fixture
def wild(tmp_path):
    """Three of the five sets; of AIGIBench more than the table takes."""
    root = tmp_path / "data"
    paint(root / "WildRF", LAYOUTS["wildrf"](), {"real": (20, 160), "fake": (160, 220)})
    aigi = {key: paths for key, paths in LAYOUTS["aigibench"]().items() if key[0][0] in "CS"}
    paint(root / "sets/AIGIBench", aigi)
    paint(root, LAYOUTS["co-spy-in-the-wild"](), {"fake": (60, 220)})
    return root


@pytest.fixture
def reproduce(say, monkeypatch):
    monkeypatch.setattr(DetectorOptions, "load", standin.load)
    killed.leave_out_slow_parts(monkeypatch.setattr)

    def reproduce(table, root, out, *more):
        return say("reproduce", table, "--root", root, "--out", out, "--workers", 1, *more)

    return reproduce


def test_the_help_names_every_table():
    from aligngemini.cli import reproduce

    assert set(reproduce.TABLES) == set(TABLES)
    assert all(f"\n  {name} " in reproduce.EPILOG for name in TABLES)


def test_a_check_says_what_is_there_and_writes_nothing(say, wild, tmp_path):
    code, out, _ = say("reproduce", "in-the-wild", "--root", wild, "--check")
    assert code == 1
    assert "chameleon: not there. Get it: by mail to the authors" in out
    assert f"wildrf: 24 images in {wild / 'WildRF'}" in out
    assert f"aigibench: 16 images in {wild / 'sets/AIGIBench'}" in out
    assert "CommunityAI: 5,996 of 6,000 photos are missing" in out
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_table_of_five_sets_is_made_from_three(reproduce, wild, tmp_path):
    code, out, err = reproduce("in-the-wild", wild, tmp_path / "out")
    assert code == 1, err
    tables = {
        name: read_table(tmp_path / "out" / name / "table.json")
        for name in ("wildrf", "aigibench", "co-spy-in-the-wild")
    }
    aigibench = {line.subset for line in tables["aigibench"].lines}
    assert aigibench == {"CommunityAI", "SocialRF"}, "only what the paper's table takes"
    grid = our_grid(TABLES["in-the-wild"], tables)
    cells = {(row[0], row[1]): row[2] for row in grid.rows}
    # Half of the photos of WildRF are as bright as fakes, half of CO-SPY's fakes as dark as photos.
    assert cells["wildrf", "as-is"] == "75.0"
    assert cells["aigibench", "fakes-jpeg96"] == "100.0"
    assert cells["co-spy-in-the-wild", "as-is"] == "50.0*"
    assert cells["chameleon", "as-is"] == "not on disk"
    spread = statistics.stdev((75, 100, 50))
    assert f"75.0 \u00b1 {spread:.1f} (3 of 5)" in cells["mean \u00b1 sd", ""]
    assert "Published for the mean: AlignGemini 91.8 \u00b1 4.7" in out
    assert "PROTOCOLS DIFFER: theirs png-as-jpeg96, ours as-is" in " ".join(out.split())
    report = (tmp_path / "out/reproduced.md").read_text()
    assert "| wildrf" in report
    assert "DINOv3 probe" in report


def test_a_table_of_one_benchmark_has_its_subsets(reproduce, tmp_path):
    files = LAYOUTS["genimage"]()
    paint(tmp_path / "downloads", files, each=2)
    dark = {key: paths for key, paths in files.items() if key == ("ADM", "fake")}
    paint(tmp_path / "downloads", dark, {"fake": (30, 50)}, each=2)
    code, out, _ = reproduce("genimage", tmp_path / "downloads", tmp_path / "out")
    assert code == 1, "as published there are thousands of images more"
    assert "and more: aligngemini evaluate verify --benchmark genimage" in out
    tables = {"genimage": read_table(tmp_path / "out/genimage/table.json")}
    rows = our_grid(TABLES["genimage"], tables).rows
    assert len(rows) == 2 * (8 + 1)
    assert {row[1] for row in rows} == {"fakes-jpeg96", "all-alike", ""}
    cells = {row[0]: row[2] for row in rows if row[1] == "all-alike"}
    assert (cells["ADM"], cells["glide"]) == ("50.0", "100.0")


def test_shards_are_unpacked_for_the_table(reproduce, say, tmp_path):
    files = LAYOUTS["aigi-now"]()
    paint(tmp_path / "loose", files, each=2)
    (tmp_path / "AIGI-Now").mkdir()
    with tarfile.open(tmp_path / "AIGI-Now/train-0000.tar", "w") as tar:
        for path in sorted((tmp_path / "loose").iterdir()):
            tar.add(path, path.name)
    code, out, _ = say("reproduce", "aigi-now", "--root", tmp_path / "AIGI-Now", "--check")
    assert (code, "not unpacked: train-0000.tar" in out) == (1, True)
    code, out, err = reproduce("aigi-now", tmp_path, tmp_path / "out")
    assert code == 0, err
    assert "aigi-now: 72 images" in out
    tables = {"aigi-now": read_table(tmp_path / "out/aigi-now/table.json")}
    rows = our_grid(TABLES["aigi-now"], tables).rows
    assert [row[2] for row in rows if row[:2] == ("GPT-4o/semantic", "as-is")] == ["100.0"]
    assert "SigLIP2 probe" in (tmp_path / "out/reproduced.md").read_text()


def test_folders_are_found_by_any_of_their_names(tmp_path):
    from aligngemini.benchmarks import open_benchmark

    for name in ("x/b-free", "co_spy_in_the_wild", "a/b/WildRF"):
        (tmp_path / name).mkdir(parents=True)
    assert locate(open_benchmark("bfree-online"), tmp_path) == tmp_path / "x/b-free"
    wild = open_benchmark("co-spy-in-the-wild")
    assert locate(wild, tmp_path) == tmp_path / "co_spy_in_the_wild"
    assert locate(open_benchmark("wildrf"), tmp_path) is None, "three folders down is too far"
    assert locate(open_benchmark("wildrf"), tmp_path / "a/b/WildRF") == tmp_path / "a/b/WildRF"
