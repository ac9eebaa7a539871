from __future__ import annotations

import re
from pathlib import Path

import pytest

from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from tests.support.served import CONTENT, Site, archive_of


def source(site: Site, partial: Path, local: str = "") -> Source:
    return Source(site.url, local, tries=3, wait_s=0.001, timeout_s=5, min_rate=1, partial=partial)


@pytest.mark.parametrize("own", [True, False])
def test_own_archive_is_used_and_kept(site: Site, tmp_path: Path, own: bool) -> None:
    local, partial = tmp_path / "own", tmp_path / "partial"
    local.mkdir()
    (local / "a.zip").write_bytes(CONTENT)
    files = source(site, partial, str(local) if own else "")
    with files.archive(archive_of(site)) as path:
        assert path.read_bytes() == CONTENT and path.parent == (local if own else partial)
    assert (local / "a.zip").exists() and not list(partial.glob("*")) and len(site.asked) == (0 if own else 1)
    (local / "a.zip").write_bytes(b"PK other")
    if own:
        message = re.escape(f"{local / 'a.zip'}: has 8 bytes and md5")
        with pytest.raises(CfnsrError, match=message), files.archive(archive_of(site)):
            pass


def test_archive_is_kept_when_work_on_it_fails(site: Site, tmp_path: Path) -> None:
    files = source(site, tmp_path)
    with pytest.raises(CfnsrError, match="no room"), files.archive(archive_of(site)):
        raise CfnsrError("there", "no room", "Make room")
    assert files.has(archive_of(site))
    with files.archive(archive_of(site)):
        pass
    assert len(site.asked) == 1 and not list(tmp_path.iterdir())
