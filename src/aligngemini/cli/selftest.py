"""`aligngemini selftest`: does this installation give the answers it was released with?"""

import json
import sys
from collections.abc import Sequence

from aligngemini.cli.parser import Parser

DESCRIPTION = """Check that this installation works as it was released.

Nothing is downloaded, and none of your files is read. The models that ship judge
images that the program draws itself, to the same bytes everywhere; their scores must
be the recorded ones, within 0.002 in log-odds on a CPU and 0.02 on a GPU. Each image
format is written and read back, and files that must be refused are refused.
"""

EPILOG = """exit codes:
  0    everything is as it should be
  1    something is not; the list says what
  2    wrong usage

examples:
  aligngemini selftest
  aligngemini selftest --device cuda
  aligngemini selftest --json

What is installed and what would run where: aligngemini doctor
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="aligngemini selftest",
        usage="aligngemini selftest [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where the models run; auto (the default) takes a GPU where there is one",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)

    from dataclasses import asdict

    from aligngemini.cli.progress import progress
    from aligngemini.health.selftest import run_selftest

    checks = []
    with progress(None, text="Checking") as step:
        for check in run_selftest(given.device):
            checks.append(check)
            step()
    failed = [check for check in checks if not check.passed]
    if given.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            state = "ok    " if check.passed else "FAILED"
            print(f"{state}  {check.group:10}  {check.name:{width}}  {check.detail}")
        print(f"\n{len(checks) - len(failed)} of {len(checks)} checks passed")
    if failed:
        print(
            "aligngemini selftest: this installation does not answer as released; "
            "aligngemini doctor says what is installed",
            file=sys.stderr,
        )
    return 1 if failed else 0
