"""A server that the tests of downloads share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import served
from tests.support.served import Site


@pytest.fixture
def site() -> Iterator[Site]:
    """A server of one archive."""
    with served.serving() as site:
        site.files["/a.zip"] = served.CONTENT
        yield site
