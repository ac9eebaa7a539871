"""Models that are DVC artifacts of other repositories: a folder with a model's file, its card and its reference.

DVC is imported only for such a model. Its library, unlike its command line, sends no usage reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from cfnsr.errors import CfnsrError
from cfnsr.evaluation import reference
from cfnsr.inference import card
from cfnsr.runtime.outputs import atomic_folder

MODEL = "model.safetensors"
_MAX_BYTES = {MODEL: 4 << 30, card.FILE: 1 << 20, reference.FILE: 1 << 30}  # size limits of the files that are fetched
_PART = 1 << 20  # bytes that are read at a time
_NAME = r"[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?"
# An address may not begin with a dash (git would read an option), nor contain :: (git would run a program).
_PATTERN = re.compile(rf"(?P<repository>(?!-)(?!.*::).+):(?P<name>{_NAME})(?:@(?P<revision>\w[\w./-]*))?", re.ASCII)


@dataclass(frozen=True)
class Artifact:
    """An artifact of a repository.

    Attributes:
        repository: its address (a git URL) or its path.
        name: of the artifact in the repository's dvc.yaml.
        revision: the artifact's version, or a branch, tag or commit; empty for the newest version, and for the default
            branch where there are no versions.
    """

    repository: str
    name: str
    revision: str

    @classmethod
    def of(cls, text: str) -> Artifact | None:
        """Parse ``REPOSITORY:NAME[@REVISION]``; None if the text has another form."""
        parts = _PATTERN.fullmatch(text)
        return None if parts is None else cls(parts["repository"], parts["name"], parts["revision"] or "")

    def fetch(self) -> Path:
        """Fetch the artifact's folder into the user's cache, unless it is already there; return the model's file.

        Raises:
            CfnsrError: the repository cannot be read, it has no such artifact, or no such model.
        """
        with self._opened() as (revision, files, folder):
            cached = user_cache_path("cfnsr") / "models" / revision / self.name
            if not (cached / MODEL).is_file():
                if not files.isfile(f"{folder}/{MODEL}"):
                    problem = f"its folder {folder.strip('/')} has no {MODEL}, or its data was not pushed"
                    raise self._error(problem, "Name an artifact that is a model; run `dvc push` in the repository")
                with atomic_folder(cached) as partial:
                    for name in _MAX_BYTES:
                        if files.isfile(f"{folder}/{name}"):
                            self._copy(files, f"{folder}/{name}", partial / name)
        return cached / MODEL

    @contextmanager
    def _opened(self) -> Iterator[tuple[str, Any, str]]:
        """Open the repository; yield the commit, its files, and the artifact's folder among them."""
        from dvc.exceptions import ArtifactNotFoundError
        from dvc.repo import Repo, open_repo
        from dvc.scm import RevError, resolve_rev

        had_clones = bool(open_repo.CLONES)  # the calling program's, which must stay
        try:
            with Repo.open(self.repository, subrepos=True, uninitialized=True) as repo:
                try:
                    commit = repo.artifacts.get_rev(self.name, version=self.revision or None)
                except ArtifactNotFoundError:  # it has no versions
                    commit = resolve_rev(repo.scm, self.revision or "HEAD")
                with repo.switch(commit):
                    path = repo.artifacts.get_path(self.name)
                    yield commit, repo.dvcfs, f"/{Path(path).as_posix()}"
        except CfnsrError:
            raise
        except ArtifactNotFoundError as error:
            raise self._error("has no such artifact", "Choose one from `artifacts` in its dvc.yaml") from error
        except RevError as error:
            raise self._error(f"has no revision {self.revision}", "Give a version, branch, tag or commit") from error
        except Exception as error:  # errors of git, DVC and its remotes share no class
            remedy = (
                "Give the address of a git repository with DVC in it; check that you may read it, and its DVC remote"
            )
            raise self._error(f"cannot be fetched ({_reason(error)})", remedy) from error
        finally:
            if not had_clones:
                open_repo.clean_repos()

    def _copy(self, files: Any, source: str, out: Path) -> None:
        max_bytes = _MAX_BYTES[out.name]
        with files.open(source, "rb") as reading, out.open("wb") as writing:
            while part := reading.read(_PART):
                if writing.tell() + len(part) > max_bytes:
                    raise self._error(
                        f"its {out.name} has more than {max_bytes:,} bytes", "Name an artifact that is a model"
                    )
                writing.write(part)

    def _error(self, problem: str, remedy: str) -> CfnsrError:
        return CfnsrError(f"{self.repository}:{self.name}", problem, remedy)


def _reason(error: BaseException) -> str:
    """Return the first line of the error at the start of a chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
