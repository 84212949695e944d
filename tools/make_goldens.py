"""Record what the shipped models say of the drawn images: src/aligngemini/health/goldens.json.

    python tools/make_goldens.py

Run it when a model that ships is replaced, and say why in the commit; `aligngemini selftest` and
`make regress` compare with what it wrote.
"""

from aligngemini.health.goldens import RECORDED, record, write_goldens
from aligngemini.health.shipped import shipped_branches
from aligngemini.runtimes.folder import open_folder


def main() -> None:
    """Ask and write."""
    branches = {}
    for name, branch in shipped_branches("cpu").items():
        folder = open_folder(name)
        branches[f"{folder.name}@{folder.fingerprint}"] = branch
    write_goldens(record(branches))
    print(f"wrote {RECORDED}: {', '.join(branches)}")


if __name__ == "__main__":
    main()
