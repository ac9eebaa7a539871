"""Find an archive among the user's own files and earlier downloads, or fetch it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cfnsr.corpora.download import Archive, fetch
from cfnsr.corpora.link_or_copy import link_or_copy
from cfnsr.errors import CfnsrError
from cfnsr.runtime import progress

PARTIAL = Path("data/.partial")  # unlike a stage's outputs, DVC does not delete it before the stage runs


@dataclass(frozen=True)
class Source:
    """Where archives come from: the user's own folder, earlier downloads, or a server.

    Attributes:
        base_url: of the server, without a slash at its end.
        local: folder with the user's own archives and folders, which is searched first; empty: there is none.
        tries, wait_s, timeout_s, min_rate: see ``download.fetch``.
        partial: folder for downloads.
        hard_links: whether the user's own files may be hard-linked, see ``link_or_copy``.
    """

    base_url: str
    local: str
    tries: int
    wait_s: float
    timeout_s: float
    min_rate: float
    partial: Path
    hard_links: bool = False

    def __post_init__(self) -> None:
        if self.local and not Path(self.local).is_dir():
            problem = f"{self.local} is not a folder"
            raise CfnsrError("params.yaml, fetch.local", problem, "Give a folder, or leave it empty")

    def user_folder(self, name: str) -> Path | None:
        """Return the user's own folder of this name, if there is one."""
        folder = Path(self.local) / name
        return folder if self.local and folder.is_dir() else None

    def user_files(self, name: str, wanted: Callable[[str], object]) -> list[Path]:
        """List the files of the user's own folder of this name whose names are wanted, sorted."""
        folder = self.user_folder(name)
        return [] if folder is None else [path for path in sorted(folder.iterdir()) if wanted(path.name)]

    def take(self, paths: Iterable[Path], folder: Path) -> None:
        """Link or copy files of the user into a folder, under their names."""
        for path in paths:
            link_or_copy(path, folder / path.name, hard_link=self.hard_links)

    def _user_file(self, name: str) -> Path | None:
        path = Path(self.local) / name
        return path if self.local and path.is_file() else None

    def has(self, archive: Archive) -> bool:
        """Return whether the archive is here already: the user's own, or an earlier download."""
        return self._user_file(archive.name) is not None or (self.partial / archive.name).is_file()

    @contextmanager
    def archive(self, archive: Archive, *, keep: bool = False) -> Iterator[Path]:
        """Yield the archive's path. If the user does not have it, fetch it, and delete it after successful work.

        Args:
            archive: the archive.
            keep: leave it in ``partial``, for the next speaker.

        Raises:
            CfnsrError: it cannot be fetched, or has another size or md5.
        """
        user_file = self._user_file(archive.name)
        if user_file is not None:
            archive.check_own(user_file)
            yield user_file
            return
        with progress.transfer(archive.name) as on_progress:
            limits = (self.tries, self.wait_s, self.timeout_s, self.min_rate)
            path = fetch(archive, self.partial, *limits, on_progress)
        yield path
        if not keep:
            path.unlink()
