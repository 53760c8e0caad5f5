"""URLs of stores on a network: what they say, what they may not say, and that no secret comes out of them again."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_servers import free_port

from bottega.errors import BottegaError, BuildError, ServeError
from bottega.features.stores.network import PASSWORD, Address
from bottega.features.stores.opening import open_store, within

SECRET = "hunter2"
PLACES = {
    "redis": "redis://me:{}@127.0.0.1:{}/0",
    "rediss": "rediss://me:{}@127.0.0.1:{}/0",
    "cassandra": "cassandra://me:{}@127.0.0.1:{}/keyspace",
}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_a_url_is_taken_apart_as_it_was_put_together(user: str, password: str, group: list[str]) -> None:
    address = Address.of(f"redis://{quote(user, '')}:{quote(password, '')}@host:77/3?prefix=a/b&timeout_ms=1500")
    assert (address.user, address.password, address.host, address.port) == (user, password, "host", 77)
    assert (address.path, address.prefix, address.timeout_s) == ("3", "a/b", 1.5)
    assert address.told == "redis://***@host:77/3?prefix=a/b&timeout_ms=1500"
    assert address.name(*group).startswith(b"a/b:")


@given(st.lists(st.lists(TEXT, max_size=3).map(tuple), unique=True, min_size=2, max_size=6), st.binary(), st.binary())
def test_no_name_of_one_kind_is_one_of_another(kinds: list[tuple[str, ...]], left: bytes, right: bytes) -> None:
    of_row = [parts for parts in kinds if len(parts) == len(kinds[0])]
    names = [Address.of("redis://host").name(*parts) for parts in of_row]
    for name in names[1:]:
        assert names[0] + left != name + right


@pytest.mark.parametrize("kind", PLACES)
def test_no_error_shows_the_password(kind: str, tmp_path: Path) -> None:
    url = PLACES[kind].format(SECRET, free_port())
    faults = [url, f"{url}?prefix=a:b", f"{url}?pasword={SECRET}", f"{url}?timeout_ms=soon", f"{url}/x/{SECRET}@y?db=1"]
    for each in faults:
        with pytest.raises(BottegaError) as caught:
            open_store(each, tmp_path).read("g", [b"a"])
        shown = f"{caught.value} {caught.value.__cause__!r}"
        assert SECRET not in shown
        assert kind in shown


@pytest.mark.parametrize("kind", ["redis", "cassandra"])
def test_nobody_listens(kind: str, tmp_path: Path) -> None:
    store = open_store(PLACES[kind].format(SECRET, free_port()), tmp_path)
    for call in (
        lambda: store.read("g", [b"a"]),
        lambda: store.marked("m"),
        lambda: store.write("g", [b"a"], [b"1"]),
        lambda: store.swap("g", [b"a"], [None], [b"1"]),
        lambda: store.add("g", [b"a"], [1.0]),
        lambda: store.forget("a", "b"),
        store.describe,
    ):
        with pytest.raises(ServeError, match="does not answer"):
            call()
    store.close()


def test_a_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, SECRET)
    assert Address.of("redis://host").password == SECRET
    assert Address.of("redis://:mine@host").password == "mine"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host?prefx=a", "did you mean 'prefix'?"),
        ("redis://host?prefix=", "letters, digits"),
        ("redis://host?prefix=a:b", "letters, digits"),
        ("redis://host?prefix=ä", "letters, digits"),
        ("redis://host?timeout_ms=0", "milliseconds"),
        ("redis://host?timeout_ms=-5", "milliseconds"),
        ("redis://host:nine", "no URL"),
        ("redis://host/first", "a number"),
        ("redis://host?ca=x", "the option 'ca'"),
        ("dynamodb://eu-west-1", "dynamodb://region/table"),
        ("dynamodb:///table", "dynamodb://region/table"),
        ("cassandra://host", "cassandra://host/keyspace"),
        ("cassandra://host/k;drop", "cassandra://host/keyspace"),
        ("cassandra://host/k?table=a.b", "cassandra://host/keyspace"),
        ("redis:host", "the kind of store"),
        ("kassandra://me:hunter2@host/k", "did you mean 'cassandra'?"),
    ],
)
def test_a_url_that_says_something_else_is_refused_by_name(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        open_store(url, tmp_path)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("package", "url"),
    [("redis", "redis://host"), ("boto3", "dynamodb://eu-west-1/table"), ("cassandra", "cassandra://host/keyspace")],
)
def test_a_client_that_is_not_installed(
    package: str, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BuildError, match=r"pip install 'bottega\["):
        open_store(url, tmp_path)


@pytest.mark.parametrize("url", ["redis://host", "redis://host/1?prefix=shop", "dynamodb://r/t?endpoint=http://l:1"])
def test_stores_within_one_place_have_names_of_their_own(url: str) -> None:
    first, second = Address.of(within(url, "b1"), ["endpoint"]), Address.of(within(url, "b2"), ["endpoint"])
    whole = Address.of(url, ["endpoint"])
    assert (first.host, first.path, first.options) == (whole.host, whole.path, whole.options)
    assert len({first.prefix, second.prefix, whole.prefix}) == 3
    assert Address.of(within(within(url, "b1"), "c"), ["endpoint"]).prefix == f"{whole.prefix}/b1/c"
