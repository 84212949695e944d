"""Generated requests against what the document says: nothing undocumented, no 500."""

import subprocess
import sys
from pathlib import Path

from serving import serving

CONFIG = Path(__file__).parents[2] / "tools" / "schemathesis.toml"


def test_the_service_answers_as_its_document_says(options, tmp_path):
    with serving(options, "--jobs", tmp_path / "jobs") as (_, url):
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)]
        command += ["run", f"{url}/openapi.json", "--max-examples", "10"]
        command += ["--generation-deterministic"]
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    assert "No issues found" in found.stdout
