"""The page in a real browser, against the real service; skipped where there is no browser."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from fixtures.drawn import texture
from PIL import Image as PILImage

JUDGED = "body.begun:not(.busy)"


@pytest.fixture(scope="module")
def service(browser, tmp_path_factory):
    """The address of a running service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    command = [sys.executable, "-m", "aligngemini", "serve", "--port", str(port)]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield address
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten pictures and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for number in range(10):
        path = folder / f"picture {number}.png"
        PILImage.fromarray(texture(240, 320, seed=number)).save(path)
        paths.append(path)
    broken = folder / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no more than a beginning")
    return [*paths, broken]


@pytest.fixture
def page(browser, service):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light")
    opened = context.new_page()
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(service)
    yield opened
    context.close()


def judge(page, paths):
    page.set_input_files("#files", [str(path) for path in paths])
    page.wait_for_selector(JUDGED)


def test_one_image_gets_its_verdict_and_what_it_rests_on(page, service, images):
    judge(page, images[:1])
    headline = page.locator(".result .verdict span").first.inner_text()
    assert headline.casefold() in {
        "undecided",
        "signs of ai generation",
        "no sign of ai generation found",
    }
    assert {"Pixels", "Content", "Provenance"} <= {
        text.strip() for text in page.locator(".branch h3").all_inner_texts()
    }
    assert page.locator(".result .photo").evaluate("image => image.naturalWidth") == 320
    assert "photos" in page.locator(".promise").inner_text()
    assert page.complaints == []
    assert all(url.startswith((service, "data:", "blob:")) for url in page.asked)


def test_the_heatmap_lies_over_the_image_as_strongly_as_the_slider_says(page, images):
    judge(page, images[:1])
    layer = page.locator(".result .layer")
    assert layer.is_hidden()
    page.get_by_label("Heatmap").check()
    assert layer.is_visible()
    box, picture = layer.bounding_box(), page.locator(".result .photo").bounding_box()
    assert box == picture
    page.get_by_label("Strength").fill("30")
    assert layer.evaluate("one => getComputedStyle(one).opacity") == "0.3"


def test_a_broken_file_stands_in_the_list_with_its_reason(page, images):
    judge(page, [images[0], images[-1]])
    lines = page.locator("#entries .entry")
    assert lines.count() == 2
    assert "could not be judged" in lines.nth(1).inner_text()
    lines.nth(1).click()
    assert "could not be judged" in page.locator(".result .verdict").inner_text().casefold()
    assert page.locator(".result .meta").inner_text() != ""


def test_ten_files_come_back_in_their_order(page, images):
    judge(page, images[:10])
    names = page.locator("#entries .entry-name").all_inner_texts()
    assert names == [path.name for path in images[:10]]
    with page.expect_download() as download:
        page.click("#save-json")
    records = json.loads(download.value.path().read_text())
    assert [record["path"] for record in records] == names
    assert all({"sha256", "branches", "error"} <= set(record) for record in records)
    assert not any({"preview", "heatmap", "words"} & set(record) for record in records)


def test_the_report_holds_every_image(page, images):
    judge(page, images[:2])
    with page.expect_download() as download:
        page.click("#save-report")
    report = download.value.path().read_text()
    assert all(path.name in report for path in images[:2])


def test_a_pasted_image_is_judged(page, images):
    page.evaluate(
        """data => {
          const bytes = Uint8Array.from(data);
          const clipboard = new DataTransfer();
          clipboard.items.add(new File([bytes], "clip.png", {type: "image/png"}));
          const paste = new ClipboardEvent("paste", {clipboardData: clipboard, bubbles: true});
          document.body.dispatchEvent(paste);
        }""",
        list(images[0].read_bytes()),
    )
    page.wait_for_selector(JUDGED)
    assert page.locator("#entries .entry-name").all_inner_texts() == ["clip.png"]


def test_a_dropped_image_is_judged(page, images):
    data = page.evaluate_handle(
        """data => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([Uint8Array.from(data)], "drop.png", {type: "image/png"}));
          return dropped;
        }""",
        list(images[0].read_bytes()),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    page.wait_for_selector(JUDGED)
    assert page.locator("#entries .entry-name").all_inner_texts() == ["drop.png"]


def test_images_stand_side_by_side(page, images):
    judge(page, images[:3])
    page.click("#compare")
    boxes = [one.bounding_box() for one in page.locator("#side-by-side .result").all()]
    assert len(boxes) == 3
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] < boxes[1]["x"]


def test_the_history_outlives_a_reload_and_can_be_deleted(page, images):
    judge(page, images[:2])
    page.reload()
    page.click("#open-history")
    kept = page.locator("#past .entry-name").all_inner_texts()
    assert sorted(kept) == [path.name for path in images[:2]]
    page.locator("#past .entry").first.click()
    assert page.locator(".result .photo").evaluate("image => image.naturalWidth") > 0
    page.click("#open-history")
    page.click("#forget")
    page.wait_for_selector("text=Nothing yet.")


def test_text_out_of_a_file_stays_text(page, tmp_path):
    name = "<img src=x onerror=document.title='taken'>.png"
    PILImage.fromarray(texture(200, 200)).save(tmp_path / name)
    judge(page, [tmp_path / name])
    assert page.locator("#entries .entry-name").inner_text() == name
    assert page.title() != "taken"


def test_the_keyboard_reaches_every_image(page, images):
    judge(page, images[:2])
    page.locator("#entries .entry").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".result .file-name").inner_text() == images[1].name
    assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375])
def test_no_accessibility_fault_and_nothing_runs_over(browser, service, images, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(service)
    faults = {"empty": axe.Axe().run(page).generate_snapshot()}
    judge(page, [images[0], images[-1]])
    page.get_by_label("Heatmap").check()
    faults["judged"] = axe.Axe().run(page).generate_snapshot()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("#open-history")
    faults["history"] = axe.Axe().run(page).generate_snapshot()
    context.close()
    assert faults == dict.fromkeys(faults, "")


def test_dark_mode_follows_the_system_and_can_be_chosen(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert dark != light
    page.emulate_media(color_scheme="light")
    page.click("#theme")
    assert background() == dark
    page.reload()
    assert background() == dark


def test_a_server_that_is_gone_is_said(page, images):
    page.route("**/v1/detect*", lambda route: route.abort())
    judge(page, images[:1])
    assert "cannot be reached" in page.locator("#detail").inner_text()
