"""Real S3 servers for the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import s3_servers


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The endpoint of one."""
    with s3_servers.moto() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of the other."""
    with s3_servers.nanio(tmp_path_factory.mktemp("nanio")) as endpoint:
        yield endpoint
