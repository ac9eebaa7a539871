"""The server of the download tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import served
from tests.support.served import Site


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve one archive."""
    with served.serving() as site:
        site.files["/a.zip"] = served.CONTENT
        yield site
