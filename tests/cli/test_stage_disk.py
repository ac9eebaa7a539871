"""What a stage prints where the disk refuses to write."""

from __future__ import annotations

import errno
import io
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from cfnsr.cli.stage import stage
from cfnsr.runtime.outputs import atomic_file, atomic_folder

MIB = 2**20


@pytest.fixture
def workspace(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(root / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(work: Callable[[], object]) -> Result:
    @stage
    def main(params: object) -> None:
        work()

    return CliRunner().invoke(main)


def into_file(path: Path, write: Callable[[Path], object]) -> None:
    with atomic_file(path) as partial:
        write(partial)


def into_folder(path: Path, write: Callable[[Path], object]) -> None:
    with atomic_folder(path) as partial:
        write(partial / "file.npy")


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(bytes(3 * MIB)),
    "numpy": lambda path: np.save(path, np.zeros(3 * MIB)),
    "open file": lambda path: np.zeros(3 * MIB).tofile(path),
    "csv": lambda path: pd.DataFrame({"x": np.arange(150_000)}).to_csv(path),
    "parquet": lambda path: pd.DataFrame({"x": np.random.default_rng(1).random(200_000)}).to_parquet(path),
    "torch": lambda path: torch.save(torch.zeros(MIB), path),
    "safetensors": lambda path: save_file({"x": torch.zeros(MIB)}, path),
}


@pytest.mark.parametrize("into", [into_file, into_folder])
@pytest.mark.parametrize("writer", WRITERS)
def test_full_disk_is_one_line_whoever_writes(
    workspace: Path, small_disk: Path, into: Callable[..., None], writer: str
) -> None:
    result = run(lambda: into(small_disk / "data/out.npy", WRITERS[writer]))
    line = f"Error: {small_disk}/data/out.npy: the disk is full. Free some space and run it again\n"
    assert result.exit_code == 1 and result.output == line
    assert not list((small_disk / "data").iterdir())


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may be larger than one KiB, which root may not exceed either."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_limit_of_a_files_length_is_one_line(workspace: Path, small_files: None) -> None:
    result = run(lambda: into_file(Path("data/out"), WRITERS["bytes"]))
    assert result.exit_code == 1 and result.output.startswith("Error: data/out: is larger than a file may be here. ")


def raising(number: int, name: str | None) -> Callable[[], object]:
    def work() -> None:
        raise OSError(number, os.strerror(number), name)

    return work


@pytest.mark.parametrize("name", [None, "data/studio"])
@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.EIO, errno.ENOSPC])
def test_every_refusal_of_the_disk_is_one_line(workspace: Path, number: int, name: str | None) -> None:
    result = run(raising(number, name))
    assert result.exit_code == 1 and result.output.startswith(f"Error: {name or workspace}: ")
    assert len(result.output.splitlines()) == 1


def test_other_errors_are_bugs_with_a_traceback(workspace: Path) -> None:
    assert isinstance(run(raising(errno.ENOENT, "data")).exception, FileNotFoundError)


def test_read_only_disk_is_one_line_for_the_log_too(
    workspace: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.system(f"mount -o remount,ro {small_disk}"):
        pytest.skip("mounting a disk needs privileges")
    (workspace / "data").symlink_to(small_disk)
    monkeypatch.setenv("DVC_STAGE", "crop@studio-01")
    for work in (lambda: into_file(Path("data/faces/01.parquet"), WRITERS["bytes"]), io.BytesIO):
        result = run(work)
        assert result.exit_code == 1 and "is on a disk that is mounted read-only" in result.output
        assert len(result.output.splitlines()) == 1
