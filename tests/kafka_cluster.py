"""A Kafka cluster for tests: the client's own mock, in a process of its own, and a proxy that can be cut."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

_HOST = """
import sys
import confluent_kafka
producer = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
(broker,) = producer.list_topics(timeout=10).brokers.values()
print(broker.port, flush=True)
sys.stdin.read()
"""


class Cluster:
    """One broker that speaks the real protocol, on a port of this machine; a new topic has 4 partitions of 5 MB."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.servers = f"127.0.0.1:{self.port}"

    def url(self, topic: str) -> str:
        return f"kafka://{self.servers}/{topic}"

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Stop answering, with all connections open."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until all its threads stand
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Proxy:
    """Stands between clients and a broker.

    A broker tells its clients its own address: the proxy writes its own port in its place. cut: closes what is open,
    in the middle of what is being sent, and takes nothing new until `mend`.
    """

    def __init__(self, broker: int) -> None:
        self._broker = broker
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._theirs = b"127.0.0.1" + struct.pack(">i", broker)
        self._ours = b"127.0.0.1" + struct.pack(">i", self.port)
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()
        self.cuts = 0

    def url(self, topic: str) -> str:
        return f"kafka://127.0.0.1:{self.port}/{topic}"

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self.cuts += len(self._open) // 2
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    client.close()
                    continue
                try:
                    broker = socket.create_connection(("127.0.0.1", self._broker))
                except OSError:
                    client.close()
                    continue
                self._open |= {client, broker}
            both = (client, broker)
            done = threading.Semaphore(0)
            for source, target in (both, both[::-1]):
                thread = threading.Thread(target=self._carry, args=(source, target, target is client, both, done))
                self._threads.append(thread)
                thread.start()

    def _carry(
        self,
        source: socket.socket,
        target: socket.socket,
        is_answer: bool,
        both: tuple[socket.socket, socket.socket],
        done: threading.Semaphore,
    ) -> None:
        with contextlib.suppress(OSError):
            while frame := _frame(source):
                target.sendall(frame.replace(self._theirs, self._ours) if is_answer else frame)
        for one in both:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        done.release()
        if not is_answer:  # the other direction ends too, now that both are shut; then both can be closed
            done.acquire()
            done.acquire()
            with self._lock:
                self._open -= set(both)
            for one in both:
                one.close()


def _frame(source: socket.socket) -> bytes:
    """Read one message of the protocol: its length in 4 bytes, and so many more; what there is of it at the end."""
    head = _exactly(source, 4)
    return head + _exactly(source, struct.unpack(">i", head)[0]) if len(head) == 4 else head


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := source.recv(min(size - len(data), 65536))):
        data += part
    return data
