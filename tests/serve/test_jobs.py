"""Jobs: what is taken in is judged once, whatever happens in between."""

import sqlite3
import time
from contextlib import closing

import pytest
from asking import ask, post, without_times
from fixtures.drawn import png, striped

from aligngemini.serve import job_files
from aligngemini.serve.app import create_app
from aligngemini.serve.jobs import Jobs
from aligngemini.serve.keys import KeyRing
from aligngemini.serve.uploads import RequestLimits


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "jobs"


@pytest.fixture
def jobs(service, folder):
    """Not started: a test does that when it wants work to be done."""
    jobs = Jobs(service, folder)
    yield jobs
    jobs.close()


@pytest.fixture
def app(service, jobs):
    return create_app(service, jobs=jobs)


def pictures(count):
    return [(f"{k}.png", png(striped(64, 64, 20 + 20 * k))) for k in range(count)]


def send(app, *files, **settings):
    answer = post(app, *files, url="/v1/jobs", **settings)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()["id"]


def finished(app, job):
    deadline = time.monotonic() + 30
    while (state := ask(app, "GET", f"/v1/jobs/{job}").json())["state"] != "finished":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return state


def results(app, job, **page):
    return ask(app, "GET", f"/v1/jobs/{job}/results", params=page).json()


def stored(folder):
    with closing(sqlite3.connect(folder / "records.sqlite")) as db:
        return db.execute("SELECT address FROM inputs ORDER BY address").fetchall()


def test_a_job_gives_the_records_of_the_detector_in_order(app, jobs, options, folder):
    files = [
        *pictures(3),
        ("broken.png", b"no image"),
        ("empty.png", b""),
        ("again.png", pictures(1)[0][1]),
    ]
    job = send(app, *files)
    assert ask(app, "GET", f"/v1/jobs/{job}").json()["state"] == "waiting"
    assert results(app, job) == {"results": [], "next": 0}
    jobs.start()
    state = finished(app, job)
    assert (state["images"], state["done"]) == (6, 6)
    detector = options.load(1)
    found = results(app, job)
    assert found["next"] is None
    for record, (name, data) in zip(found["results"], files, strict=True):
        wanted = detector.judge(data).to_dict() | {"path": name}
        assert without_times(record) == without_times(wanted)
    assert list((folder / "files").iterdir()) == []  # the images are gone


def test_results_come_in_pages(app, jobs):
    job = send(app, *pictures(5))
    jobs.start()
    finished(app, job)
    seen, after = [], 0
    while after is not None:
        page = results(app, job, after=after, limit=2)
        seen += [record["path"] for record in page["results"]]
        after = page["next"]
    assert seen == [name for name, _ in pictures(5)]
    assert ask(app, "GET", f"/v1/jobs/{job}/results", params={"limit": 0}).status_code == 400


def test_a_job_outlives_the_service(service, folder):
    first = Jobs(service, folder)
    job = send(create_app(service, jobs=first), *pictures(6))
    first.start()
    deadline = time.monotonic() + 20
    while first.results.done(job) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    first.close()
    again = Jobs(service, folder)
    app = create_app(service, jobs=again)
    again.start()
    try:
        finished(app, job)
        names = [record["path"] for record in results(app, job)["results"]]
    finally:
        again.close()
    assert names == [name for name, _ in pictures(6)]
    assert len(stored(folder)) == 6


def test_an_image_is_there_until_the_last_job_with_it_is_done(app, jobs, folder):
    one, two = (send(app, *pictures(1)) for _ in range(2))
    jobs.files.finish(one)
    assert len(list((folder / "files").iterdir())) == 1
    jobs.files.finish(two)
    assert not list((folder / "files").iterdir())


def test_a_content_is_judged_once(app, jobs, service, monkeypatch):
    taken = []
    real = service.pool.submit
    monkeypatch.setattr(
        service.pool, "submit", lambda items, **how: taken.extend(items) or real(items, **how)
    )
    jobs.start()
    for _ in range(2):
        job = send(app, *pictures(2))
        finished(app, job)
        assert [record["path"] for record in results(app, job)["results"]] == ["0.png", "1.png"]
    assert len(taken) == 2


def test_two_jobs_with_one_image_do_not_take_it_from_each_other(app, jobs):
    one, two = (send(app, *pictures(1)) for _ in range(2))
    jobs.start()
    for job in (one, two):
        finished(app, job)
        (record,) = results(app, job)["results"]
        assert record["error"] is None


def test_deleting_takes_the_results_too_but_not_those_of_others(app, jobs, folder):
    one, two = send(app, *pictures(2)), send(app, *pictures(1))
    assert ask(app, "DELETE", f"/v1/jobs/{one}").status_code == 409
    jobs.start()
    finished(app, one)
    finished(app, two)
    assert ask(app, "DELETE", f"/v1/jobs/{one}").status_code == 204
    for url in (f"/v1/jobs/{one}", f"/v1/jobs/{one}/results"):
        assert ask(app, "GET", url).status_code == 404
    assert [address for (address,) in stored(folder)] == [f"{two}/00000000"]
    assert len(results(app, two)["results"]) == 1


def test_jobs_belong_to_the_key_that_sent_them(jobs, with_settings, tmp_path):
    path = tmp_path / "keys"
    path.write_text("desk correct-horse-battery\nlab another-secret-one\n")
    app = with_settings(jobs=jobs, keys=KeyRing.read(path))
    desk, lab = (
        {"Authorization": f"Bearer {key}"}
        for key in ("correct-horse-battery", "another-secret-one")
    )
    assert post(app, *pictures(1), url="/v1/jobs").status_code == 401
    job = send(app, *pictures(1), headers=desk)
    assert ask(app, "GET", f"/v1/jobs/{job}", headers=desk).status_code == 200
    for method, url in (("GET", ""), ("GET", "/results"), ("DELETE", "")):
        assert ask(app, method, f"/v1/jobs/{job}{url}", headers=lab).status_code == 404


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("a", b"x" * 300)], (413, "too-large")),
        ([("a", b"x")] * 4, (413, "too-many-files")),
        ([("a", b"x" * 900)], (413, "request-too-large")),
        ([], (400, "bad-request")),
    ],
)
def test_what_becomes_no_job_leaves_nothing(jobs, folder, with_settings, files, said):
    limits = RequestLimits(files=3, file_bytes=200, request_bytes=1000)
    answer = post(with_settings(jobs=jobs, job_limits=limits), *files, url="/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == said
    assert jobs.files.unfinished() == []
    for name in ("files", "incoming"):
        assert list((folder / name).iterdir()) == []


def test_a_disk_that_is_full_is_said(app, jobs, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_files.Incoming, "write", full)
    answer = post(app, *pictures(1), url="/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (507, "no-space")
    assert list((folder / "incoming").iterdir()) == []


def test_ids_that_are_none(app):
    assert ask(app, "GET", "/v1/jobs/x").status_code == 400
    assert ask(app, "GET", f"/v1/jobs/{'0' * 32}").status_code == 404


def test_uploads_that_were_cut_off_are_swept_at_the_start(service, folder):
    Jobs(service, folder).files.incoming("a", 10)
    assert list((folder / "incoming").iterdir())
    Jobs(service, folder)
    assert not list((folder / "incoming").iterdir())
