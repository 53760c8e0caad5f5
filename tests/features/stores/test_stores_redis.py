"""Redis as it really is: killed and started again, full, silent, behind a password, behind TLS."""

from __future__ import annotations

import datetime
import ipaddress
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from store_servers import Server, redis_server

from bottega.errors import BuildError, ServeError
from bottega.features.stores.network import PASSWORD
from bottega.features.stores.opening import open_store, within
from bottega.features.stores.protocol import Store, amount


def store_of(server: Server, folder: Path, more: str = "", **fields: Any) -> Store:
    return open_store(f"redis://127.0.0.1:{server.port}/0?{more}", folder, **fields)


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        store = store_of(server, tmp_path, "timeout_ms=30000")
        store.write("g", [b"n"], [b"0"])
        swapped, unknown, wrong = [0], [0], []
        faults, back, end = threading.Event(), threading.Event(), threading.Event()

        def count() -> None:
            while not end.is_set() or not back.is_set():
                try:
                    before = store.read("g", [b"n"])
                    swapped[0] += store.swap("g", [b"n"], before, [b"%d" % (int(before[0]) + 1)])[0]
                    if faults.is_set():
                        back.set()
                except ServeError:
                    unknown[0] += 1
                    faults.set()
                except Exception as error:
                    wrong.append(error)
                    return

        counting = threading.Thread(target=count)
        counting.start()
        for _ in range(3):
            server.kill()
            assert faults.wait(60)
            back.clear()
            server.start()
            assert back.wait(60)
            faults.clear()
        end.set()
        back.set()
        counting.join(60)
        assert wrong == []
        assert unknown[0] >= 3
        assert swapped[0] <= int(store.read("g", [b"n"])[0]) <= swapped[0] + unknown[0]


def test_a_server_that_is_silent_is_given_up_and_asked_again_later(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        store = store_of(server, tmp_path, "timeout_ms=200")
        store.write("g", [b"a"], [b"1"])
        server.signal(signal.SIGSTOP)
        for call in (lambda: store.read("g", [b"a"]), lambda: store.add("sums", [b"a"], [1.0], marks={"m": b""})):
            with pytest.raises(ServeError, match="does not answer"):
                call()
        server.signal(signal.SIGCONT)
        assert store.read("g", [b"a"]) == [b"1"]
        store.add("sums", [b"a"], [1.0], marks={"m": b""})  # whether the first one came through or not: once
        assert store.read("sums", [b"a"]) == [bytes(6) + b"\xf0\x3f"]


def test_a_full_store_says_so_and_keeps_what_it_had(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction") as server:
        store = store_of(server, tmp_path, "timeout_ms=30000")
        store.write("g", [b"a"], [b"row"], {"applied": b"1"})
        store.add("sums", [b"a"], [1.0])

        def fill() -> None:
            for number in range(100):
                store.write("much", [b"%d" % number], [bytes(100_000)])

        with pytest.raises(BuildError, match="refuses the write"):
            fill()
        operator = redis.Redis(port=server.port)
        operator.config_set("maxmemory", "1mb")  # less than it holds: no room for a small row either
        for call in (
            lambda: store.write("g", [b"a", b"b"], [b"new", b"new"], {"applied": b"2"}),
            lambda: store.write("g", [b"a"], [b"new"], {"applied": b"2"}, keep_s=9.0),
            lambda: store.swap("g", [b"a"], [b"row"], [b"new"]),
            lambda: store.add("sums", [b"a"], [1.0], marks={"applied 2": b""}),
        ):
            with pytest.raises(BuildError, match="refuses the write"):
                call()
        assert store.read("g", [b"a", b"b"]) == [b"row", None]
        assert amount(store.read("sums", [b"a"])[0]) == 1.0
        assert (store.marked("applied"), store.marked("applied 2")) == (b"1", None)
        operator.config_set("maxmemory", "100mb")
        store.write("g", [b"b"], [b"row"])


def test_users_with_no_more_rights_than_they_need(tmp_path: Path) -> None:
    rights = re.findall(r"`(\+@read [^`]*)`", (Path(__file__).parents[3] / "docs" / "stores.md").read_text("utf-8"))
    with redis_server(tmp_path) as server:
        operator = redis.Redis(port=server.port)
        for name, right in zip(("writer", "reader"), rights, strict=True):
            wanted = right.replace("PREFIX", "shop").split()
            operator.execute_command("ACL", "SETUSER", name, "on", ">hunter2", *wanted)
        place = f"127.0.0.1:{server.port}/1?prefix=shop/b1"
        writer = open_store(f"redis://writer:hunter2@{place}", tmp_path)
        writer.write("g", [b"a"], [b"1"], {"m": b"1", "n": b"2"}, keep_s=900.0)
        assert writer.swap("g", [b"a"], [b"1"], [b"2"]) == [True]
        assert writer.add("sums", [b"a"], [1.0], marks={"o": b""}) is not None
        assert writer.forget("m", "n") == 1
        reader = open_store(f"redis://reader:hunter2@{place}", tmp_path)
        for store in (writer, reader):
            assert (store.read("g", [b"a"]), store.marked("n")) == ([b"2"], b"2")
            assert store.describe()["kind"] == "redis"
        for call in (
            lambda: reader.write("g", [b"a"], [b"2"]),
            lambda: reader.swap("g", [b"a"], [b"2"], [b"3"]),
            lambda: reader.add("sums", [b"a"], [1.0]),
            lambda: open_store(f"redis://writer:hunter2@{place}".replace("shop", "other"), tmp_path).forget("a", "z"),
        ):
            with pytest.raises(BuildError, match="refuses the write"):
                call()
        assert reader.read("g", [b"a"]) == [b"2"]


def test_a_server_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server(tmp_path, "--requirepass", "hunter2") as server:
        for wrong in ("", ":hunter3@"):
            with pytest.raises(ServeError) as caught:
                open_store(f"redis://{wrong}127.0.0.1:{server.port}", tmp_path).read("g", [b"a"])
            assert "hunter" not in str(caught.value)
        monkeypatch.setenv(PASSWORD, "hunter2")
        store = store_of(server, tmp_path)
        store.write("g", [b"a"], [b"1"])
        assert store.read("g", [b"a"]) == [b"1"]
        assert "hunter" not in repr(store.describe())


def test_tls_and_a_certificate_that_nobody_knows(tmp_path: Path) -> None:
    key, certificate = certified(tmp_path)
    server = redis_server(tmp_path)
    port = server.command.index("--port")
    more = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"]
    server.command = [*server.command[:port], "--tls-port", *server.command[port + 1 :], *more, "--port", "0"]
    with server:
        store = open_store(f"rediss://127.0.0.1:{server.port}/0?ca={certificate}", tmp_path)
        store.write("g", [b"a"], [b"1"])
        assert store.read("g", [b"a"]) == [b"1"]
        with pytest.raises(ServeError, match="does not answer"):
            open_store(f"rediss://127.0.0.1:{server.port}/0", tmp_path).read("g", [b"a"])


def certified(folder: Path) -> tuple[Path, Path]:
    """Write a key, and a certificate of 127.0.0.1 that vouches for itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(hours=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(names, False).sign(key, hashes.SHA256())
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return folder / "key.pem", folder / "certificate.pem"


def test_a_socket_of_this_machine(tmp_path: Path) -> None:
    place = Path("/tmp") / f"bottega-{tmp_path.parent.name}-{tmp_path.name}.sock"[-60:]  # a path of at most 107 bytes
    with redis_server(tmp_path, "--unixsocket", str(place)) as server:
        store = open_store(f"unix://{place}?db=3&prefix=here", tmp_path)
        store.write("g", [b"a"], [b"1"])
        assert redis.Redis(port=server.port, db=3).keys() == [b"here:1:r:1:g:a"]
    place.unlink(missing_ok=True)


def test_stores_in_one_database_do_not_meet(redis_url: str, tmp_path: Path) -> None:
    stores = [open_store(within(redis_url, f"{tmp_path.name}/{name}"), tmp_path) for name in ("b1", "b2")]
    for number, store in enumerate(stores):
        store.write("g", [b"a"], [b"%d" % number], {"as_of": b"%d" % number})
        store.add("sums", [b"a"], [float(number)])
    for number, store in enumerate(stores):
        assert (store.read("g", [b"a"]), store.marked("as_of")) == ([b"%d" % number], b"%d" % number)
        assert amount(store.read("sums", [b"a"])[0]) == number
    assert stores[0].forget("a", "b") == 1
    assert stores[1].marked("as_of") == b"1"


def test_batches_of_many_thousands(redis_url: str, tmp_path: Path) -> None:
    store = open_store(within(redis_url, tmp_path.name), tmp_path)
    names = [b"%d" % number for number in range(12_000)]
    store.write("g", names, names, {"done": b"1"}, keep_s=900.0)
    assert store.read("g", names) == names
    told = store.swap(
        "g", names, [name if int(name) % 3 else None for name in names], [b"x"] * len(names), keep_s=900.0
    )
    assert told == [int(name) % 3 != 0 for name in names]
    assert store.read("g", names) == [b"x" if int(name) % 3 else name for name in names]


def test_scripts_are_there_again_after_they_were_dropped(redis_url: str, tmp_path: Path) -> None:
    store = open_store(within(redis_url, tmp_path.name), tmp_path)
    assert store.swap("g", [b"a"], [None], [b"1"]) == [True]
    with redis.from_url(redis_url.partition("?")[0]) as client:
        client.script_flush()
    assert store.swap("g", [b"a"], [b"1"], [b"2"]) == [True]
    assert store.add("sums", [b"a"], [1.0]) is not None


def test_what_it_is(redis_url: str, tmp_path: Path) -> None:
    told = open_store(redis_url, tmp_path).describe()
    assert told["kind"] == "redis"
    assert told["url"] == redis_url
    assert told["bytes"] > 0
    assert any(told["server"].startswith(name) for name in ("redis ", "valkey "))
