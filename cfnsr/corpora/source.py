"""Where archives come from: the user's own folder, what was fetched before, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from cfnsr.corpora.download import CONNECT_S, USER_AGENT, Archive, fetch, is_whole, md5
from cfnsr.errors import CfnsrError
from cfnsr.runtime import progress


@dataclass(frozen=True)
class Source:
    """Where archives come from.

    Attributes:
        base_url: of the server, without a slash at its end.
        local: the user's own archives and folders, which are looked at first; none: there is no such place.
        partial: the folder for what is being fetched.
        tries, wait_s, timeout_s: see ``fetch``.
    """

    base_url: str
    local: Path | None
    partial: Path
    tries: int
    wait_s: float
    timeout_s: float

    def own(self, folder: str) -> Path | None:
        """The user's own folder of this name, if there is one."""
        place = None if self.local is None else self.local / folder
        return place if place is not None and place.is_dir() else None

    def has(self, archive: Archive) -> bool:
        """Whether the archive is here already, the user's own or fetched before."""
        return any((place / archive.name).is_file() for place in (self.local, self.partial) if place is not None)

    @contextmanager
    def archive(self, archive: Archive) -> Iterator[Path]:
        """The archive, fetched where the user has none; what was fetched is removed once the work on it is done.

        Raises:
            CfnsrError: it cannot be had, or is not what it must be.
        """
        own = None if self.local is None else self.local / archive.name
        if own is not None and own.is_file():
            if not is_whole(own, archive):
                raise CfnsrError(
                    own,
                    f"has {own.stat().st_size:,} bytes and md5 {md5(own)}, not {archive.size:,} and {archive.md5}",
                    "Remove it, and it will be fetched",
                )
            yield own
            return
        with progress.transfer(archive.name) as moved:
            path = fetch(
                archive, self.partial, tries=self.tries, wait_s=self.wait_s, timeout_s=self.timeout_s, moved=moved
            )
        yield path
        path.unlink()

    def metadata(self, url: str) -> dict[str, Any] | None:
        """What a server says in JSON; none where it says nothing of the kind."""
        try:
            answer = requests.get(url, headers={"User-Agent": USER_AGENT}, timeout=(CONNECT_S, self.timeout_s))
            told = answer.json() if answer.ok else None
        except requests.RequestException:
            return None
        return told if isinstance(told, dict) else None
