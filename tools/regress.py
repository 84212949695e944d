"""Do the models that ship still say what they said at the last release?

    python tools/regress.py                        compare; exit code 1 on any difference
    python tools/regress.py --accept "why"         record what they say now, with the reason

The images are the package's own: the drawings of `aligngemini selftest` and `samples/`, each as it
is, re-encoded and at half size, through the very detector that `aligngemini detect` runs; models
that ship and are not part of it are asked too. The record, tools/regress.json, keeps the log of
every accepted change.
"""

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aligngemini import Detector
from aligngemini.branches.base import Branch
from aligngemini.health.drawings import drawings
from aligngemini.health.goldens import ask, distance
from aligngemini.health.shipped import shipped_branches
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import DELIVERIES

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_suffix(".json")
DRAWN, THROUGH_A_CODEC = 2e-3, 2e-2
"""Log-odds that a score may be off: codecs and filters of other versions round differently."""

Scores = dict[str, dict[str, Any]]


def main() -> int:
    """Read the arguments, compare, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--accept", metavar="REASON", help="record what the models say now")
    given = parser.parse_args()
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {"scores": {}, "accepted": []}
    found = measure()
    changes = compare(record["scores"], found)
    for change in changes:
        print(change)
    if given.accept:
        record["scores"] = found
        today = datetime.now(timezone.utc).date().isoformat()
        entry = {"date": today, "reason": given.accept, "changes": changes}
        record["accepted"].append(entry)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        print(f"{len(changes)} changes recorded: {given.accept}")
        return 0
    if changes:
        print(
            f'{len(changes)} changes. If they are meant: python tools/regress.py --accept "WHY"',
            file=sys.stderr,
        )
        return 1
    print(f"{len(found)} verdicts as at the last release")
    return 0


def measure() -> Scores:
    """What the default detector says of every image under every delivery, by `image | delivery`.

    Models that ship and are not in it are asked about every image as it is.
    """
    detector = Detector.load(device="cpu")
    others = {
        name: branch
        for name, branch in shipped_branches("cpu").items()
        if branch.fingerprint not in {one.fingerprint for one in detector.branches}
    }
    images = {f"drawing {name}": pixels for name, pixels in drawings().items()}
    for path in sorted((ROOT / "samples").rglob("*.jpg")):
        name = path.relative_to(ROOT).as_posix()
        images[name] = decode(read_bytes(path)).pixels
    found: Scores = {}
    for name, pixels in images.items():
        for delivery, delivered in DELIVERIES.items():
            verdict = detector.judge(delivered(pixels))
            found[f"{name} | {delivery}"] = {
                "verdict": verdict.verdict,
                **{
                    _model(branch): verdict.branches[branch.name].score
                    for branch in detector.branches
                    if verdict.branches[branch.name].score is not None
                },
            }
        for model, branch in others.items():
            answer = ask(branch, pixels)
            key = f"{model} {_model(branch)}"
            found[f"{name} | {model} | as is"] = {"verdict": answer.verdict, key: answer.score}
    return found


def compare(old: Scores, new: Scores) -> list[str]:
    """Every difference, in words."""
    changes = [f"{name}: no longer judged" for name in old.keys() - new.keys()]
    for name, said in new.items():
        before = old.get(name)
        if before is None:
            changes.append(f"{name}: not in the record")
            continue
        limit = DRAWN if name.startswith("drawing") and name.endswith("as is") else THROUGH_A_CODEC
        for key in sorted({*before, *said}):
            was, now = before.get(key), said.get(key)
            scores = isinstance(was, float) and isinstance(now, float)
            if distance(was, now) > limit if scores else was != now:
                changes.append(f"{name}: {key} {_short(was)} -> {_short(now)}")
    return changes


def _model(branch: Branch) -> str:
    return f"{branch.name} {getattr(branch, 'model', branch.fingerprint)}"


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
