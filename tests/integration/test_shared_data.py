"""The shipped detector on the development data, through the command a user types."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

pytestmark = pytest.mark.shared

LOST = {"timeout", "crashed", "internal"}


def detect(*folders: Path) -> list[dict]:
    command = [sys.executable, "-m", "aligngemini", "detect", *map(str, folders)]
    finished = subprocess.run(
        [*command, "--format", "jsonl"], capture_output=True, check=False, text=True
    )
    assert finished.returncode in {0, 1}, finished.stderr
    assert "Traceback" not in finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_hostile_files_cost_no_worker(shared_data: Path) -> None:
    records = detect(shared_data / "hostile", shared_data / "provenance")
    assert len(records) > 300
    codes = {record["error"]["code"] for record in records if record["error"]}
    assert not codes & LOST
    assert {"truncated", "corrupt", "unsupported", "too-large", "too-small"} <= codes


def test_the_expert_that_ships_knows_what_it_was_trained_on(shared_data: Path) -> None:
    # No measure of quality, which the model card has: a guard against weights, preprocessing or
    # orientation that came apart.
    photos = detect(shared_data / "real" / "bsds500", shared_data / "real" / "raccoon")
    fakes = detect(shared_data / "ai")
    scores = [record["score"] for record in (*photos, *fakes)]
    assert roc_auc_score([0] * len(photos) + [1] * len(fakes), scores) > 0.85
    assert sum(record["verdict"] == "fake" for record in photos) <= 0.01 * len(photos)
