"""What a DVC that is killed may leave behind: it writes its own two files in place."""

from __future__ import annotations

import json
from pathlib import Path

from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from voluptuous import Invalid

from cfnsr.errors import CfnsrError


def unharmed(root: Path) -> None:
    """Check that DVC can read its own files.

    Args:
        root: the repository's.

    Raises:
        CfnsrError: one of them is cut short.
    """
    lock, guard = root / "dvc.lock", root / ".dvc" / "tmp" / "rwlock"
    if lock.exists():
        try:
            COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(lock.read_text(encoding="utf-8")) or {})
        except (YAMLError, Invalid, UnicodeDecodeError) as error:
            raise CfnsrError(
                lock,
                "is cut short (DVC was killed while it wrote it)",
                "Run `git checkout dvc.lock`, or delete it; `dvc repro` then takes what had finished from its cache",
            ) from error
    if guard.exists():
        try:
            json.loads(guard.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CfnsrError(
                guard,
                "is cut short (DVC was killed while it wrote it)",
                "Once no DVC is running here, delete it",
            ) from error
