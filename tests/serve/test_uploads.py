"""Forms, however they come in pieces and whatever is in them."""

import asyncio
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligngemini.serve.problems import Refusal
from aligngemini.serve.uploads import RequestLimits, clean_name, read_uploads

LIMITS = RequestLimits(files=2, file_bytes=1000, request_bytes=5000)


def form(*files, **fields):
    """A body and its content type, as httpx writes them."""
    request = httpx.Request(
        "POST", "http://x", files=[("file", file) for file in files] or {"none": b""}, data=fields
    )
    return request.read(), request.headers["content-type"]


def read(body, content_type, *, step=None, limits=LIMITS):
    async def stream():
        for start in range(0, len(body), step or max(1, len(body))):
            yield body[start : start + (step or len(body))]

    return asyncio.run(read_uploads(stream(), content_type, limits))


def pairs(uploads):
    return [(upload.name, bytes(upload.data)) for upload in uploads]


@pytest.mark.parametrize("step", [None, 1, 7, 64])
def test_files_come_out_as_they_went_in_however_cut(step):
    files = [("a.png", b"\r\n--not a boundary\r\n" + bytes(range(256))), ("b.jpg", b"")]
    assert pairs(read(*form(*files, note="passed over"), step=step)) == files


def test_a_file_that_is_too_large_is_cut_one_byte_beyond():
    (upload,) = read(*form(("a", b"x" * 3000)))
    assert len(upload.data) == LIMITS.file_bytes + 1


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([], 400, "no-file"),
        ([("a", b"1"), ("b", b"2"), ("c", b"3")], 413, "too-many-files"),
        ([("a", b"x" * 6000)], 413, "request-too-large"),
    ],
)
def test_what_is_not_taken_is_refused(files, status, code):
    with pytest.raises(Refusal) as caught:
        read(*form(*files))
    assert (caught.value.status, caught.value.code) == (status, code)


def test_reading_stops_where_the_limit_is():
    taken = 0

    async def endless():
        nonlocal taken
        yield form(("a", b""))[0][:100]
        while True:
            taken += 1000
            yield b"x" * 1000

    with pytest.raises(Refusal):
        asyncio.run(read_uploads(endless(), "multipart/form-data; boundary=x", LIMITS))
    assert taken <= LIMITS.request_bytes + 1000


@pytest.mark.parametrize(
    "content_type",
    ["", "image/png", "multipart/form-data", f"multipart/form-data; boundary={'x' * 300}"],
)
def test_what_is_no_form_is_refused(content_type):
    with pytest.raises(Refusal) as caught:
        read(b"--x\r\n", content_type)
    assert caught.value.status == 400


def test_a_form_that_breaks_off_is_refused():
    body, content_type = form(("a", b"whole"))
    with pytest.raises(Refusal, match="ends before"):
        read(body[:-8], content_type)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                *(
                    b"--x",
                    b"--x--",
                    b"\r\n",
                    b"\r",
                    b"\n",
                    b"--",
                    b":",
                    b";",
                    b'"',
                    b"\x00",
                    b"\xff",
                ),
                b"Content-Disposition: form-data; name=file; filename=a",
                b'Content-Disposition: form-data; name="file"; filename="\xff\xfe"',
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
def test_whatever_comes_is_read_or_refused(body):
    with suppress(Refusal):  # and nothing else
        uploads = read(body, "multipart/form-data; boundary=x", step=5)
        assert all(len(upload.data) <= len(body) for upload in uploads)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("a\nb", "a\\nb"),
        ("x" * 1000, "x" * 255),
        ("", ""),
        ("größe 1.jpg", "größe 1.jpg"),
    ],
)
def test_names_are_clean(given, name):
    assert clean_name(given) == name
