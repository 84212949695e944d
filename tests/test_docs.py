"""The documentation does what it says: its commands and its Python run, its tables are complete."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from fixtures.signing import action, authority, sign

from aligngemini.cli.detect import _parser
from aligngemini.evidence import ErrorCode, Signal
from aligngemini.images import decode
from aligngemini.images.sources import SUFFIXES
from aligngemini.report import words
from aligngemini.runtimes.folder import open_folder

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("bash", "console", "sh")

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|numbers): (?P<reason>[^\n]*) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    line: int
    not_run: str = ""

    @property
    def commands(self) -> list[tuple[str, int, str]]:
        """Of a shell block: command, exit code and the output shown below it, if any."""
        shows_output = self.language == "console"
        found: list[tuple[str, int, str]] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            if shows_output and not line.startswith("$ "):
                command, code, output = found.pop()
                found.append((command, code, f"{output}{line}\n"))
                continue
            command = line.removeprefix("$ ")
            stated = EXIT_CODE.search(command)
            found.append((EXIT_CODE.sub("", command), int(stated[1]) if stated else 0, ""))
        return found


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            found["language"],
            found["text"],
            text.count("\n", 0, found.start("text")),
            (found["reason"] or "") if found["mark"] == "not run" else "",
        )
        for found in BLOCK.finditer(text)
    ]


def same(shown: str, real: str) -> bool:
    """Whether two outputs agree: words exactly, numbers as far as other machines round alike."""
    for pattern in (r'"ms": [\d.]+', r"[0-9a-f]{16}-[0-9a-f]{8}", r" +", r"─+"):
        shown, real = (re.sub(pattern, " ", text) for text in (shown, real))
    words_alike = NUMBER.sub("#", shown).split() == NUMBER.sub("#", real).split()
    numbers = ([float(number) for number in NUMBER.findall(text)] for text in (shown, real))
    return words_alike and next(numbers) == pytest.approx(next(numbers), abs=0.02)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """The files that the documentation speaks of."""
    folder = tmp_path_factory.mktemp("material")
    samples = ROOT / "samples/photos"
    shutil.copytree(samples, folder / "photos")
    photo = (samples / "chelsea.jpg").read_bytes()
    (folder / "photo.jpg").write_bytes(photo)
    (folder / "broken.jpg").write_bytes(photo[: len(photo) // 2])
    (folder / "list.txt").write_text("photo.jpg\nphotos/coffee.jpg\n")
    signer = authority()
    made = action("c2pa.created", "trainedAlgorithmicMedia")
    (folder / "signed.jpg").write_bytes(sign(photo, "image/jpeg", signer, made))
    (folder / "authorities.pem").write_text(signer.root)
    return folder


@pytest.fixture
def run(material, tmp_path):
    """Runs a command line in a folder of its own that holds the material."""
    folder = tmp_path / "here"
    shutil.copytree(material, folder)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_code_run(page, run):
    for block in blocks(page):
        if block.not_run:
            continue
        where = f"{page.name}:{block.line}"
        if block.language == "python":
            done = run(sys.executable, "-c", block.text)
            assert done.returncode == 0, f"{where}\n{done.stderr}"
        elif block.language in SHELLS:
            for command, code, output in block.commands:
                done = run("bash", "-o", "pipefail", "-c", command)
                assert done.returncode == code, f"{where} {command}\n{done.stderr}"
                assert "Traceback" not in done.stderr, f"{where} {command}\n{done.stderr}"
                if block.language == "console":
                    assert same(output, done.stdout), f"{where} prints\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_is_listed(page):
    known = (*SHELLS, "python", "json")
    unknown = [b.line for b in blocks(page) if not b.not_run and b.language not in known]
    assert not unknown, "neither run nor marked"
    left_out = [f"{page.name}:{b.line} ({b.not_run})" for b in blocks(page) if b.not_run]
    if left_out:
        pytest.skip(f"not run: {', '.join(left_out)}")


def test_every_block_is_found():
    for page in PAGES:
        fences = re.findall(r"^```\w+$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(blocks(page)) == len(fences), page.name


def test_no_number_is_left_to_fill_in():
    unfilled = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("<!-- numbers:")
    ]
    assert not unfilled, "\n".join(unfilled)


def test_the_record_shown_is_a_real_one(run):
    (shown,) = [block for block in blocks(ROOT / "docs/detect.md") if block.language == "json"]
    done = run("aligngemini", "detect", "photo.jpg", "--format", "jsonl")
    real = json.dumps(json.loads(done.stdout), indent=4)
    assert same(shown.text, real), f"docs/detect.md:{shown.line} is\n{real}"


def test_the_thresholds_are_described_as_they_were_set():
    text = (ROOT / "docs/reading-a-verdict.md").read_text(encoding="utf-8")
    calibration = open_folder("compact").calibration
    assert f"at most {calibration.false_alarm_rate:.0%}".replace("%", " %") in text
    assert f"at most {calibration.miss_rate:.0%}".replace("%", " %") in text


def test_every_option_is_described():
    options = re.findall(r"^  (--[a-z-]+)", _parser().format_help(), re.MULTILINE)
    assert _first_cells("detect.md", r"--[a-z-]+") == options


def test_every_error_code_is_described():
    codes = set(get_args(ErrorCode))
    assert codes <= set(_first_cells("detect.md", r"[a-z-]+"))


def test_every_label_has_its_words():
    text = (ROOT / "docs/detect.md").read_text(encoding="utf-8")
    for kind in words.KINDS:
        label = "null" if kind == "unjudged" else kind
        assert f"| `{label}` | {words.KIND_WORDS[kind]} |" in text


def test_every_state_and_claim_is_described():
    text = (ROOT / "docs/provenance.md").read_text(encoding="utf-8")
    states = get_args(get_type_hints(Signal)["state"])
    assert set(words.STATE_WORDS) == set(states)
    for name, said in {**words.STATE_WORDS, **words.CLAIM_WORDS}.items():
        assert f"| `{name}` | {said} |" in text


def test_the_decoding_rules_are_those_of_the_decoder():
    text = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    rules = [line for line in (decode.__doc__ or "").splitlines() if line.startswith("| ")]
    assert len(rules) > 10
    assert [rule for rule in rules if rule not in text] == []
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in text] == []


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "samples/README.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_somewhere(page):
    """MkDocs checks this within docs/; here also what stands outside it."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [
        target for target in targets if "://" not in target and not (page.parent / target).exists()
    ]
    assert missing == []


def _first_cells(page: str, pattern: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^\| `({pattern})", text, re.MULTILINE)
