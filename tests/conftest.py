"""Fixtures every room uses."""

import os
import shutil
from pathlib import Path

import pytest

# Read once, when torch is imported: without it, every test process takes all cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
QUIET_CHROMIUM = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    # Elsewhere it would look up its maker's hosts, which is nothing a test should do.
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; a test that asks for it is skipped elsewhere."""
    data = SHARED / "data"
    if not (data / "manifest.csv").is_file():
        pytest.skip("the development data is not beside this checkout")
    return data


@pytest.fixture(scope="module")  # Playwright's event loop would be in the way of later modules
def browser():
    """The machine's Chromium, headless; a test that asks for it is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=CHROMIUM, args=list(QUIET_CHROMIUM))
        yield opened
        opened.close()
