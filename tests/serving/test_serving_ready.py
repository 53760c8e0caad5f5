"""When a service says that it is ready: not before every one of its workers can answer."""

from __future__ import annotations

import threading
from pathlib import Path

from service_stand_in import make_build, release, settings_of
from test_serving_service_faults import ask, connects, free_port, until

from bottega.serving.workers import running


def test_before_the_first_build_is_loaded_it_is_alive_but_not_ready(tmp_path: Path) -> None:
    make_build(tmp_path, "slow", load_s=1.5)
    release(tmp_path, "slow")
    port = free_port()
    seen: list[tuple[int, int, int]] = []

    def look() -> None:
        url = f"http://127.0.0.1:{port}"
        until(lambda: connects(url))
        seen.append((ask(f"{url}/health")[0], ask(f"{url}/ready")[0], ask(f"{url}/rank", {})[0]))

    thread = threading.Thread(target=look)
    thread.start()
    with running(settings_of(tmp_path, port=port, workers=1)) as url:
        thread.join()
        assert seen == [(200, 503, 503)]
        assert ask(f"{url}/ready")[0] == 200


def test_it_is_ready_when_every_worker_is(tmp_path: Path) -> None:
    make_build(tmp_path, "uneven", gate=True)
    release(tmp_path, "uneven")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    health: set[int] = set()
    ready: set[tuple[int, str]] = set()

    def both_answered() -> bool:
        """Ask on a connection of its own, which goes to the one worker or the other."""
        health.add(ask(f"{url}/health")[0])
        status, told = ask(f"{url}/ready")
        ready.add((status, told["error"]["found"] if "error" in told else ""))
        return len(ready) > 1

    def look() -> None:
        until(lambda: connects(url))
        until(both_answered)
        (tmp_path / "builds" / "uneven" / "open").touch()

    thread = threading.Thread(target=look)
    thread.start()
    with running(settings_of(tmp_path, port=port, workers=2)):
        assert {(ask(f"{url}/ready")[0], ask(f"{url}/rank", {})[0]) for _ in range(60)} == {(200, 200)}
    thread.join()
    assert health == {200}
    assert ready == {(503, "a worker is still loading"), (503, "nothing is loaded yet")}
