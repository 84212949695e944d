"""`aligngemini doctor`: what is installed, and what would run where."""

import json
import sys
from collections.abc import Sequence

from aligngemini.cli.parser import Parser

DESCRIPTION = """Say what is installed, what would run where, and what is in the way.

Looks at versions, optional parts, processors and GPUs, image formats, models,
folders and settings. Nothing is changed and nothing is downloaded. Paste what it
prints into a report of a problem; it shows no secrets.
"""

EPILOG = """exit codes:
  0    images can be judged
  1    something that judging needs is broken; the lines marked BROKEN say what
  2    wrong usage

examples:
  aligngemini doctor
  aligngemini doctor --json

Whether the answers are right: aligngemini selftest
"""

MARKS = {"ok": "      ", "missing": "absent", "broken": "BROKEN"}


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="aligngemini doctor",
        usage="aligngemini doctor [--json]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)

    from dataclasses import asdict

    from aligngemini.cli.progress import progress
    from aligngemini.health.doctor import examine

    findings = []
    with progress(None, text="Looking") as step:
        for finding in examine():
            findings.append(finding)
            step()
    if given.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        section = ""
        for finding in findings:
            if finding.section != section:
                section = finding.section
                print(section)
            print(f"  {MARKS[finding.state]} {finding.name:{width}}  {finding.detail}")
    broken = [finding.name for finding in findings if finding.state == "broken"]
    if broken:
        print(f"aligngemini doctor: broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0
