"""A detector spread over stages gives the records of one that is whole."""

from dataclasses import replace

import pytest
from fixtures.gammas import colour_folder
from fixtures.models import brightness_folder
from fixtures.scan_inputs import Unreadable, drawn_files, file_item, without_times

from aligngemini.calibration import CalibrationError
from aligngemini.calibration.file import BranchCalibration, CalibrationFile, write_calibration
from aligngemini.evidence import Problem
from aligngemini.fusion import FusionError, open_rule
from aligngemini.runner import DetectorOptions
from aligngemini.scan import stages
from aligngemini.scan.items import ScanItem
from aligngemini.scan.judge import ScanJudge, identify
from aligngemini.scan.pools import parse_pool, plan_pools
from aligngemini.scan.stages import Joining, Stage, Work, describe_part


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """Stages run here in the test's own process, which has no parent to ask."""
    monkeypatch.setattr(stages, "ask", lambda sha256: False)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return DetectorOptions(
        pixel=(
            str(brightness_folder(folder / "a")),
            str(brightness_folder(folder / "b", gain=1 / 90, threshold=0.6, threshold_real=0.4)),
        ),
        gamma=str(colour_folder(folder / "g")),
    )


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return [file_item(path) for path in drawn_files(tmp_path_factory.mktemp("images"), 24)]


def staged(options, names, calibration=None):
    """(function of an item, identity) of a detector over several stages."""
    pools = plan_pools([parse_pool(name) for name in names], options)
    joining = Joining(options, open_rule(options.fusion), calibration)
    parts = [describe_part(options, pool) for pool in pools]
    identity = joining.identity(parts)
    steps, given = [], ()
    for number, (pool, part) in enumerate(zip(pools, parts, strict=True), start=1):
        fingerprint = identity.fingerprint if number == len(pools) else None
        steps.append(Stage(joining, pool, given, fingerprint)())
        given = (*given, *part.branches)

    def judge(item):
        work = Work(item)
        for step in steps:
            work = step(work)
        return work.answer

    return judge, identity


@pytest.mark.parametrize("cascade", [False, True])
@pytest.mark.parametrize("fusion", ["or", "vote", "weighted"])
@pytest.mark.parametrize("names", [[], ["pixel=1", "gamma=1"], ["gamma=1"]])
def test_records_are_those_of_one_process(models, items, fusion, cascade, names):
    options = replace(models, fusion=fusion, cascade=cascade)
    whole = ScanJudge(options)
    judge, identity = staged(options, names)
    assert identity.about == whole.identity.about
    verdicts, skipped = set(), 0
    for item in items:
        ours, theirs = judge(item), whole(item)
        record = without_times(theirs.record)
        assert without_times(ours.record) == record
        assert list(without_times(ours.record)) == list(record)
        assert list(without_times(ours.record)["branches"]) == list(record["branches"])
        assert replace(ours, record=None) == replace(theirs, record=None)
        verdicts.add(record["verdict"])
        skipped += any("skipped" in one for k, one in record["branches"].items() if k != "semantic")
    assert {"fake", "real", None} <= verdicts  # the inputs have something to show
    assert cascade or not skipped


def test_a_stage_that_asks_a_server(models, items, tmp_path):
    """The vision-language model of another machine, which a cascade asks less often."""
    vlm = pytest.importorskip("fixtures.vlm_server", reason="PyTorch is not installed")
    from fixtures.vlm_answers import loud_vlm_folder

    chat = "/v1/chat/completions"
    asked = {}
    with vlm.VlmServer(loud_vlm_folder(tmp_path / "vlm")) as server:
        one = replace(models, pixel=models.pixel[:1], gamma="off", semantic=server.url)
        for cascade in (False, True):
            options = replace(one, cascade=cascade)
            judge, identity = staged(options, ["pixel=1", "semantic=1"])
            server.requests.clear()
            records = [without_times(judge(item).record) for item in items[:6]]
            asked[cascade] = server.requests[chat]
            whole = ScanJudge(options)
            assert identity == whole.identity
            server.requests.clear()
            assert records == [without_times(whole(item).record) for item in items[:6]]
            assert asked[cascade] == server.requests[chat]
    assert 0 < asked[True] < asked[False]


def test_a_calibration_reads_the_evidence_of_all_stages(models, items, tmp_path):
    about = ScanJudge(models).identity.about["models"]
    names = {name: about[name] for name in ("pixel", "pixel-2", "gamma")}
    known = BranchCalibration(0.5, None, 10, 1, None, (1,))
    file = CalibrationFile(
        *(1, "2026-01-01", "drawn", "or", names, 0.05, 0.9, 10, 0, 0, None, 1.5, {}),
        branches=dict.fromkeys(names, known),
    )
    write_calibration(file, tmp_path / "c.json")
    options = replace(models, calibration=str(tmp_path / "c.json"))
    whole, plain = ScanJudge(options), ScanJudge(models)
    judge, identity = staged(options, ["pixel=1", "gamma=1"], file)
    assert identity == whole.identity != plain.identity
    records = [without_times(judge(item).record) for item in items]
    assert records == [without_times(whole(item).record) for item in items]
    assert [one["verdict"] for one in records] != [
        without_times(plain(item).record)["verdict"] for item in items
    ]
    other = replace(models, pixel=models.pixel[:1])
    with pytest.raises(CalibrationError, match="pixel-2"):
        staged(other, ["pixel=1", "gamma=1"], file)


def test_the_identity_is_that_of_a_local_scan(models):
    staged_one, local = staged(models, ["pixel=1", "gamma=1"])[1], identify(models)
    assert staged_one == local
    assert list(staged_one.about["models"]) == list(local.about["models"])


def test_what_cannot_be_read_has_no_content(models):
    judge, _ = staged(models, ["pixel=1", "gamma=1"])
    for item in (
        ScanItem("here", Unreadable(), "s"),
        ScanItem("there", None, problem=Problem("truncated", "the archive ends")),
    ):
        assert judge(item) == ScanJudge(models)(item)
        assert judge(item).problem is not None


def test_a_file_that_changes_between_stages_is_no_mixture(models, tmp_path):
    path = tmp_path / "a.png"
    drawn = drawn_files(tmp_path / "drawn", 3)
    path.write_bytes(drawn[0].read_bytes())
    first, last = _two_steps(models)
    work = first(Work(file_item(path)))
    path.write_bytes(drawn[2].read_bytes())
    answer = last(work).answer
    assert answer.record is None
    assert answer.problem.code == "unreadable"
    assert "changed" in answer.problem.message
    path.unlink()
    assert last(work).answer.problem.code == "not-found"


def test_models_that_changed_since_the_scan_began_are_refused(models):
    pools = plan_pools([], models)
    joining = Joining(models, open_rule("or"))
    with pytest.raises(ValueError, match="no longer those that this scan began"):
        Stage(joining, pools[0], fingerprint="0" * 12)()


def test_a_rule_that_was_fitted_on_other_models_is_refused_before_anything_runs(models):
    class Fitted:
        name = "learned"

        def check(self, fingerprints):
            raise FusionError(f"fitted on others than {sorted(fingerprints)}")

    pools = plan_pools([parse_pool("pixel=1"), parse_pool("gamma=1")], models)
    parts = [describe_part(models, pool) for pool in pools]
    with pytest.raises(FusionError, match=r"gamma.*pixel.*pixel-2"):
        Joining(models, Fitted()).identity(parts)


def _two_steps(options):
    pools = plan_pools([parse_pool("pixel=1"), parse_pool("gamma=1")], options)
    joining = Joining(options, open_rule(options.fusion))
    parts = [describe_part(options, pool) for pool in pools]
    identity = joining.identity(parts)
    return (
        Stage(joining, pools[0])(),
        Stage(joining, pools[1], parts[0].branches, identity.fingerprint)(),
    )
