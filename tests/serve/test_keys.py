"""API keys: who is let in, and how often."""

from hashlib import sha256

import pytest

from aligngemini.serve.keys import Key, KeyFileError, KeyRing
from aligngemini.serve.problems import Refusal

SECRET = "correct-horse-battery"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def ring(rate=None, clock=None):
    key = Key("desk", sha256(SECRET.encode()).digest(), rate)
    other = Key("other", sha256(b"another-secret-one").digest())
    return KeyRing([other, key], clock=clock or Clock())


def test_a_key_is_found_by_its_secret():
    assert ring().check(f"Bearer {SECRET}").name == "desk"
    assert ring().check(f"bearer  {SECRET} ").name == "desk"


@pytest.mark.parametrize(
    "header", ["", SECRET, f"Basic {SECRET}", "Bearer ", f"Bearer {SECRET}x", "Bearer \udcff"]
)
def test_without_one_nobody_gets_in(header):
    with pytest.raises(Refusal) as caught:
        ring().check(header)
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")


def test_a_rate_is_held_and_room_comes_back_with_time():
    clock = Clock()
    keys = ring(rate=6, clock=clock)
    header = f"Bearer {SECRET}"
    for _ in range(6):
        keys.use(keys.check(header), 1)
    with pytest.raises(Refusal) as caught:
        keys.check(header)
    assert (caught.value.status, caught.value.retry_after) == (429, 10)
    clock.now = 9.9
    with pytest.raises(Refusal):
        keys.check(header)
    clock.now = 10.0
    keys.use(keys.check(header), 13)  # one request may bring more than there is room for
    with pytest.raises(Refusal) as caught:
        keys.check(header)
    assert caught.value.retry_after == 130
    clock.now = 10_000.0
    for _ in range(6):  # a minute's worth, however long nobody asked
        keys.use(keys.check(header), 1)
    with pytest.raises(Refusal):
        keys.check(header)


def test_keys_without_a_rate_have_none():
    keys = ring()
    for _ in range(1000):
        keys.use(keys.check(f"Bearer {SECRET}"), 100)


def test_a_file_of_keys(tmp_path):
    path = tmp_path / "keys"
    digest = sha256(b"kept elsewhere").hexdigest()
    path.write_text(f"# ours\n\ndesk {SECRET} 60 # a minute\nlab sha256:{digest}\n")
    keys = KeyRing.read(path)
    assert [(key.name, key.rate) for key in keys.keys] == [("desk", 60.0), ("lab", None)]
    assert keys.check("Bearer kept elsewhere").name == "lab"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no key"),
        ("desk", "NAME KEY"),
        ("desk short", "16 characters"),
        (f"desk {SECRET} many", "could not convert"),
        (f"desk {SECRET} 0", "more than 0"),
        (f"desk {SECRET} nan", "more than 0"),
        ("desk sha256:00", "64"),
        ("desk sha256:zz", ":1:"),
        (f"desk {SECRET}\ndesk {SECRET}2", "one name"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path, text, said):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(KeyFileError, match=said):
        KeyRing.read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read"):
        KeyRing.read(tmp_path / "none")
