"""One server of each kind for a whole run of the tests, and the URLs of their stores."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from store_servers import WAIT_MS, cassandra_server, dynamodb_server, redis_server

from bottega.features.stores import cassandra, dynamodb

AWS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield f"redis://127.0.0.1:{server.port}/0?timeout_ms={WAIT_MS}"


@pytest.fixture(scope="session")
def aws() -> Iterator[None]:
    """Credentials that no account has; nothing of the machine's own is looked for."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def dynamodb_url(aws: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    del aws
    with dynamodb_server(tmp_path_factory.mktemp("dynamodb")) as server:
        url = f"dynamodb://eu-west-1/rows?endpoint=http://127.0.0.1:{server.port}&timeout_ms={WAIT_MS}"
        dynamodb.make_table(url)
        yield url


@pytest.fixture(scope="session")
def cassandra_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stand-in's."""
    with cassandra_server(tmp_path_factory.mktemp("cassandra")) as server:
        url = f"cassandra://127.0.0.1:{server.port}/k?timeout_ms={WAIT_MS}"
        cassandra.make_table(url)
        yield url
