"""The real stages again: with DVC, without it, and after a kill, they end in the same bytes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.support import recorded
from tests.support.holds import wait_until
from tests.support.repository import Repository


def digests(folder: Path) -> dict[str, str]:
    """Return the md5 of every file that DVC sees under ``data`` and ``metrics``."""
    paths = [path for name in ("data/studio", "metrics") for path in sorted((folder / name).rglob("*"))]
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in paths if path.is_file()
    }


def test_stages_run_without_dvc(finished: Repository, tmp_path: Path) -> None:
    """Each stage's command, in this process, where no result is left and DVC has no part.

    It reads the params that it declares to DVC, and no others.
    """
    alone = finished.copy(tmp_path / "alone")
    for name in ("data", "metrics", ".dvc", "dvc.yaml", "dvc.lock"):
        path = alone.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, entry in finished.entries().items():
        with recorded.keys() as read:
            alone.stage(" ".join(entry["cmd"].split()))
        if name != "params":
            recorded.check(name, entry, read)
    assert digests(alone.folder) == digests(finished.folder)


@pytest.mark.parametrize(
    ("stage", "output"),
    [
        ("extract@studio-01", "data/studio/shards/.partial-01.*/frames.npy"),
        ("train@studio-held_out-cfnsr-fold_1-1234", "data/.resume/**/[!.]*.pt"),
    ],
)
def test_a_killed_stage_ends_alike(finished: Repository, tmp_path: Path, stage: str, output: str) -> None:
    """Killed when it has written a part: extraction starts again, and training goes on from its last epoch."""
    killed = finished.copy(tmp_path / "killed")
    dvc = killed.start("dvc", "repro", "-f", "-s", stage)
    wait_until(lambda: [path for path in killed.folder.glob(output) if path.is_file()], f"{stage} writes {output}")
    (process,) = killed.working()
    process.kill()
    printed, _ = dvc.communicate()
    assert dvc.returncode == 255 and f"failed to reproduce '{stage}'" in printed
    printed = killed.dvc("repro", "-f", "-s", stage)
    assert ("resum" in printed) == stage.startswith("train")
    assert killed.entries() == finished.entries() and not killed.corrupt()
    assert digests(killed.folder) == digests(finished.folder)
    assert not killed.repro()
