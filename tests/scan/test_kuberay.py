"""The cluster recipe says what its page says, and asks for what the command line takes."""

import shlex
from collections import Counter
from pathlib import Path

import pytest
import yaml

from aligngemini.cli import checks, detector_options
from aligngemini.cli.scan import _parser
from aligngemini.scan.pools import parse_pool, plan_pools

RECIPE = Path(__file__).parents[2] / "examples" / "kuberay"


@pytest.fixture(scope="module")
def documents():
    return {
        (one["kind"], one["metadata"]["name"]): one
        for file in ("scan.yaml", "vllm.yaml")
        for one in yaml.safe_load_all((RECIPE / file).read_text())
    }


@pytest.fixture(scope="module")
def job(documents):
    return documents["RayJob", "scan"]["spec"]


@pytest.fixture(scope="module")
def given(job):
    """What the job's command asks `aligngemini scan` for."""
    shell, flag, script = shlex.split(job["entrypoint"])
    assert (shell, flag) == ("sh", "-c")
    command = shlex.split(script.partition(";")[0])
    assert command[:2] == ["aligngemini", "scan"]
    return _parser().parse_intermixed_args(command[2:])


def test_the_command_is_one_that_is_understood(given):
    try:
        detector_options.check(given)
    except checks.UsageError as error:
        pytest.fail(str(error))
    assert (given.engine, given.address) == ("ray", "auto")


def test_the_pools_fit_into_the_cluster(job, given):
    options = detector_options.options_of(given)
    pools = plan_pools([parse_pool(text) for text in given.pool], options)
    room = Counter()
    for group in job["rayClusterSpec"]["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        room["cpu"] += group["maxReplicas"] * float(limits["cpu"])
        room["gpu"] += group["maxReplicas"] * float(limits.get("nvidia.com/gpu", 0))
    assert sum(pool.workers * pool.gpus for pool in pools) == room["gpu"]
    assert sum(pool.workers * pool.cpus for pool in pools) <= room["cpu"]
    assert job["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_all_run_one_version_of_ray_and_ask_for_a_token(job):
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {group["template"]["spec"]["containers"][0]["image"] for group in groups}
    assert len(images) == 1
    version = cluster["rayVersion"]
    assert f"FROM rayproject/ray:{version}-" in (RECIPE / "Dockerfile").read_text()
    assert cluster["authOptions"] == {"mode": "token"}


def test_names_that_refer_to_each_other_are_there(documents, job, given):
    head = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    claim = head["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in documents
    mount = head["containers"][0]["volumeMounts"][0]
    assert mount["name"] == head["volumes"][0]["name"]
    assert str(given.store).startswith(mount["mountPath"] + "/")
    service = documents["Service", "vllm"]["spec"]
    labels = documents["Deployment", "vllm"]["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert given.semantic == f"http://vllm:{service['ports'][0]['port']}/v1"
