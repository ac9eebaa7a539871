"""Where files of CREMA-D's repository can be fetched: the batch request of Git LFS.

https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from cfnsr.corpora.answers import json_of, section
from cfnsr.corpora.download import Archive
from cfnsr.corpora.retries import TEMPORARY, Retries
from cfnsr.corpora.session import Session
from cfnsr.errors import CfnsrError

# The authors' two repositories. GitHub's may be over its quota of transfers.
REPOSITORIES = (
    "https://github.com/CheyneyComputerScience/CREMA-D.git",
    "https://gitlab.com/cs-cooper-lab/crema-d-mirror.git",
)
_TYPE = "application/vnd.git-lfs+json"


def is_pointer(path: Path) -> bool:
    """Return whether a file is a pointer of Git LFS, which a clone without LFS has in a file's place."""
    with path.open("rb") as file:
        return file.read(40).startswith(b"version https://git-lfs.github.com/spec/")


def locate(files: list[Archive], tries: int, wait_s: float, timeout_s: float) -> list[Archive]:
    """Ask the repositories in turn where files are; return the files with their addresses.

    Args:
        files: with size and sha256.
        tries: requests to each repository before it is given up.
        wait_s: first pause between them in seconds; pauses double.
        timeout_s: seconds without data before a connection is closed.

    Raises:
        CfnsrError: no repository has them all.
    """
    if not files:
        return []
    problems = []
    pauses = {"backoff_factor": wait_s, "respect_retry_after_header": False}  # the next repository may answer sooner
    retries = Retries(total=tries - 1, status_forcelist=TEMPORARY, allowed_methods=None, **pauses)
    with Session(timeout_s, retries) as session:
        for repository in REPOSITORIES:
            try:
                return _located(files, _ask(session, repository, files, timeout_s))
            except (requests.RequestException, _RefusedError) as error:
                problems.append(f"{repository}: {error}")
    remedy = "Try again later; or clone it with `git lfs clone` and set fetch.local to the clone"
    raise CfnsrError("CREMA-D", f"no repository sends its clips ({'; '.join(problems)})", remedy)


class _RefusedError(Exception):
    """A repository that does not send the files; the argument says why."""


def _ask(session: Session, repository: str, files: list[Archive], timeout_s: float) -> dict[str, Any]:
    """Send the batch request; return the answer's object of each sha256."""
    with session.ask(
        "POST",
        f"{repository}/info/lfs/objects/batch",
        json={
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": file.sha256, "size": file.size} for file in files],
        },
        headers={"Accept": _TYPE, "Content-Type": _TYPE},
    ) as response:
        answer = json_of(response, timeout_s)
    if not response.ok:
        raise _RefusedError(f"{response.status_code} {answer.get('message', response.reason)}")
    objects = answer.get("objects")
    if not isinstance(objects, list):
        raise _RefusedError("the answer is not that of Git LFS")
    return {entry["oid"]: entry for entry in objects if isinstance(entry, dict) and isinstance(entry.get("oid"), str)}


def _located(files: list[Archive], objects: dict[str, Any]) -> list[Archive]:
    located = []
    for file in files:
        entry = objects.get(file.sha256, {})
        action = section(section(entry, "actions"), "download")
        headers = section(action, "header")
        if not all(isinstance(text, str) for text in (action.get("href"), *headers.values())):
            raise _RefusedError(f"{file.name} {section(entry, 'error').get('message', 'is not there')}")
        located.append(replace(file, url=action["href"], headers=headers))
    return located
