"""Run many stages in one DVC process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Self

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo


class Reproduction:
    """Run stages as `dvc repro --single-item` does, and write their entries of dvc.lock at the end, in a ``with``.

    DVC itself writes all of dvc.lock again after each stage, for longer than the rest of its work takes. If this
    process is killed, entries are missing: the next `dvc repro` then takes these stages from its cache.

    Args:
        root: of the repository.
    """

    def __init__(self, root: Path) -> None:
        self._repo: Any = Repo(str(root), _wait_for_lock=True)
        self._done: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def run(self, name: str) -> bool:
        """Run a stage if it is stale; return whether it is done. Prints what DVC prints, errors too."""
        try:
            self._repo.reproduce(name, single_item=True, repro_fn=self._reproduce)
        except DvcException:
            logging.getLogger("dvc").exception("")  # prints the errors that led to it in one line, as `dvc repro`
            return False
        return True

    def _reproduce(self, stage: Any, **settings: Any) -> Any:
        """Do what DVC does with a stage but for writing its entry."""
        if stage.reproduce(**settings) is None:
            return None
        self._done.append(stage)
        return stage

    def __exit__(self, *_: object) -> None:
        with self._repo, lock_repo(self._repo):
            if self._done:
                self._done[0].dvcfile.dump_stages(self._done, update_pipeline=False)
