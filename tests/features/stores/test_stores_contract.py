"""The public contract for each store on a network, against a server; Cassandra's also against a real one."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from store_servers import WAIT_MS, open_at

from bottega.features.stores import cassandra
from bottega.testing import store_checks

CHECKS = pytest.mark.parametrize("check", store_checks.checks(embedded=False), ids=lambda check: check.__name__)
REAL = "BOTTEGA_CASSANDRA"


@CHECKS
def test_redis_keeps_the_contract(check: store_checks.Check, redis_url: str, tmp_path: Path) -> None:
    check(functools.partial(open_at, redis_url), tmp_path)


@CHECKS
def test_dynamodb_keeps_the_contract(check: store_checks.Check, dynamodb_url: str, tmp_path: Path) -> None:
    check(functools.partial(open_at, dynamodb_url), tmp_path)


@CHECKS
def test_cassandra_keeps_the_contract_on_a_stand_in(
    check: store_checks.Check, cassandra_url: str, tmp_path: Path
) -> None:
    check(functools.partial(open_at, cassandra_url), tmp_path)


@pytest.mark.skipif(REAL not in os.environ, reason=f"no Cassandra here: set {REAL}=host:port/keyspace to a real one")
@CHECKS
def test_cassandra_keeps_the_contract_for_real(check: store_checks.Check, tmp_path: Path) -> None:
    url = f"cassandra://{os.environ[REAL]}?table=bottega_contract&timeout_ms={WAIT_MS}"
    cassandra.make_table(url)
    check(functools.partial(open_at, url), tmp_path)
