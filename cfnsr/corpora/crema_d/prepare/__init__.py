"""Fetch CREMA-D's clips by Git LFS, or take them from the user's own folder."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from cfnsr.corpora import licence
from cfnsr.corpora.crema_d.prepare import lfs
from cfnsr.corpora.download import Archive, fetch
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from cfnsr.runtime import progress

LICENCE = """CREMA-D is under the Open Database License 1.0 (https://opendatacommons.org/licenses/odbl/1.0/), its clips
under the Database Contents License 1.0: cite its authors, Cao and others (2014); share a database that you make of it
under the same licence. The authors ask users to fill out the form that https://github.com/CheyneyComputerScience/CREMA-D
names"""

# Size and sha256 of all 7,442 clips, from the pointers in the corpus's repository.
TABLE = Path(__file__).with_name("files.tsv")
# These cannot be used: the first two have neither voice nor face, the third is cut off, and the fourth is a minute long
# with several emotions.
LEFT_OUT = frozenset({"1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"})


def prepare(actor: str, folder: Path, *, licence_accepted: bool, source: Source, jobs: int) -> None:
    """Write one actor's clips.

    Args:
        actor: four digits.
        folder: where the flv files go.
        licence_accepted: by the user.
        source: ``source.local`` may hold a clone of the corpus's repository, or its folder VideoFlash; clips that are
            not there are fetched.
        jobs: not used.

    Raises:
        CfnsrError: the licence is not accepted, or the clips cannot be fetched.
    """
    licence.require("crema_d", LICENCE, accepted=licence_accepted)
    files = _files(actor)
    own = source.user_folder("VideoFlash") or source.user_folder(".")
    paths = {} if own is None else {file.name: own / file.name for file in files if (own / file.name).is_file()}
    _check(files, paths)
    source.take(paths.values(), folder)
    missing = [file for file in files if file.name not in paths]
    if missing:
        _fetch(missing, folder, source, actor)


def _files(actor: str) -> list[Archive]:
    """Read an actor's rows of the table."""
    with TABLE.open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["clip"].startswith(f"{actor}_")]
    if not rows:
        raise CfnsrError("actors", f"CREMA-D has no actor {actor}", "Its actors are 1001 to 1091")
    return [
        Archive(f"{row['clip']}.flv", "", int(row["bytes"]), sha256=row["sha256"], start=b"FLV")
        for row in rows
        if row["clip"] not in LEFT_OUT
    ]


def _check(files: list[Archive], paths: dict[str, Path]) -> None:
    """Check the user's own files.

    Raises:
        CfnsrError: they are pointers of Git LFS, or other files.
    """
    pointers = [path for path in paths.values() if lfs.is_pointer(path)]
    if pointers:
        problem = f"is a pointer of Git LFS, not a video, as are {len(pointers) - 1} more of this actor"
        raise CfnsrError(pointers[0], problem, "Run `git lfs pull` in that folder, or empty fetch.local")
    for file in files:
        if file.name in paths:
            file.check_own(paths[file.name])


def _fetch(files: list[Archive], folder: Path, source: Source, actor: str) -> None:
    """Fetch files; those of an interrupted run are not fetched again."""
    partial = source.partial / actor
    here = [file for file in files if (partial / file.name).is_file() and file.is_at(partial / file.name)]
    located = lfs.locate([file for file in files if file not in here], source.tries, source.wait_s, source.timeout_s)
    with progress.items() as bar:
        for file in bar.track(located, description=actor):
            fetch(file, partial, source.tries, source.wait_s, source.timeout_s, source.min_rate)
    for file in files:
        shutil.move(partial / file.name, folder / file.name)
