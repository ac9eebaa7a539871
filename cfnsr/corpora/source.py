"""Find an archive among the user's own files and earlier downloads, or fetch it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cfnsr.corpora.download import Archive, fetch, md5
from cfnsr.errors import CfnsrError
from cfnsr.runtime import progress

PARTIAL = Path("data/.partial")  # unlike a stage's outputs, DVC does not delete it before the stage runs


@dataclass(frozen=True)
class Source:
    """Where archives come from: the user's own folder, earlier downloads, or a server.

    Attributes:
        base_url: of the server, without a slash at its end.
        local: folder with the user's own archives and folders, which is searched first; empty: there is none.
        tries, wait_s, timeout_s: see ``download.fetch``.
        partial: folder for downloads.
    """

    base_url: str
    local: str
    tries: int
    wait_s: float
    timeout_s: float
    partial: Path

    def __post_init__(self) -> None:
        if self.local and not Path(self.local).is_dir():
            problem = f"{self.local} is not a folder"
            raise CfnsrError("params.yaml, fetch.local", problem, "Give a folder, or leave it empty")

    def own_folder(self, name: str) -> Path | None:
        """Return the user's own folder of this name, if there is one."""
        folder = Path(self.local) / name
        return folder if self.local and folder.is_dir() else None

    def _own_file(self, name: str) -> Path | None:
        path = Path(self.local) / name
        return path if self.local and path.is_file() else None

    def has(self, archive: Archive) -> bool:
        """Return whether the archive is here already: the user's own, or an earlier download."""
        return self._own_file(archive.name) is not None or (self.partial / archive.name).is_file()

    @contextmanager
    def archive(self, archive: Archive) -> Iterator[Path]:
        """Yield the archive's path. Fetch it if the user has none, and then delete it after successful work.

        Raises:
            CfnsrError: it cannot be fetched, or has another size or md5.
        """
        own = self._own_file(archive.name)
        if own is not None:
            if not archive.is_at(own):
                size = own.stat().st_size
                problem = f"has {size:,} bytes and md5 {md5(own)}, not {archive.size:,} and {archive.md5}"
                raise CfnsrError(own, problem, "Delete it, and the command fetches the right one")
            yield own
            return
        with progress.transfer(archive.name) as moved:
            path = fetch(archive, self.partial, self.tries, self.wait_s, self.timeout_s, moved)
        yield path
        path.unlink()
