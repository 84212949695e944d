"""Fixtures every room uses."""

import os
from pathlib import Path

import pytest

# Read once, when torch is imported: without it, every test process takes all cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; a test that asks for it is skipped elsewhere."""
    data = SHARED / "data"
    if not (data / "manifest.csv").is_file():
        pytest.skip("the development data is not beside this checkout")
    return data
