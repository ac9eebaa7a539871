"""A machine that has no copy of the shards reads their rows from the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from moto.server import ThreadedMotoServer

from cfnsr.corpora.filenames import LABELS
from cfnsr.data import dataset, stored
from cfnsr.errors import CfnsrError
from tests.support import store
from tests.support.repository import Repository
from tests.test_team import CELL, on_two_machines, shared

pytestmark = pytest.mark.xdist_group("team")


@pytest.fixture(scope="module")
def pushed(
    finished: Repository, shop: ThreadedMotoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """A finished run whose shards are in a store."""
    with pytest.MonkeyPatch.context() as patch:
        store.bucket(shop, "shards", patch)
        there = finished.copy(tmp_path_factory.mktemp("pushed") / "there")
        store.link(there, shop, "s3://shards/cfnsr")
        there.run("dvc", "push", "check", "pretrain", "extract")
        yield there


@pytest.fixture
def bare(pushed: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A clone without shards, in which this process stands."""
    there = pushed.clone(tmp_path / "bare")
    monkeypatch.chdir(there.folder)
    stored._repo.cache_clear()
    yield there
    stored._repo.cache_clear()


def clips(folder: Path) -> dataset.Clips:
    return dataset.Clips(folder / "data/studio/shards", ["01", "03"], list(LABELS))


def test_every_batch_is_the_one_that_a_copy_gives(
    pushed: Repository, bare: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    near, far = clips(pushed.folder), clips(bare.folder)
    assert far.index.equals(near.index) and (far.classes == near.classes).all()
    for one, other in zip(*(dataset.in_order(these, 3) for these in (near, far)), strict=True):
        assert all(torch.equal(here, there) for here, there in zip(one, other, strict=True))
    said = capsys.readouterr().err
    assert "shards/03 is not on this machine: read from s3://shards/cfnsr/files/md5/" in said
    assert not (bare.folder / "data/studio/shards").exists()


def test_what_is_here_is_read_here(pushed: Repository, bare: Repository) -> None:
    shutil.copytree(pushed.folder / "data/studio/shards/01", bare.folder / "data/studio/shards/01")
    kinds = [type(shard.frames) for shard in clips(bare.folder)._shards]
    assert kinds[1] is stored.Rows and kinds[0] is not stored.Rows
    both = [clips(there.folder).__getitems__([0, 9, 1, 15]) for there in (pushed, bare)]
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


def test_a_store_without_the_shard_or_none_at_all_is_told(bare: Repository, shop: ThreadedMotoServer) -> None:
    far = clips(bare.folder)
    bucket = store.client(shop)
    key = far._shards[0].frames.path.removeprefix("shards/")
    whole = bucket.get_object(Bucket="shards", Key=key)["Body"].read()
    bucket.delete_object(Bucket="shards", Key=key)
    try:
        with pytest.raises(CfnsrError, match=r"cannot be read .*Look at the store, or `dvc pull`"):
            far.__getitems__([0])
        with pytest.raises(CfnsrError, match=r"01: cannot be read from the store .*Run `dvc push` where it is"):
            clips(bare.folder)
    finally:
        bucket.put_object(Bucket="shards", Key=key, Body=whole)
    bare.run("dvc", "remote", "default", "--unset")
    stored._repo.cache_clear()
    with pytest.raises(CfnsrError, match=r"clips\.parquet: is missing\. Run `dvc repro extract`"):
        clips(bare.folder)


def test_a_store_without_the_list_of_a_shards_files_is_told(bare: Repository, shop: ThreadedMotoServer) -> None:
    listed = bare.entries()["extract@studio-01"]["outs"][0]["md5"]
    bucket, key = store.client(shop), f"cfnsr/files/md5/{listed[:2]}/{listed[2:]}"
    whole = bucket.get_object(Bucket="shards", Key=key)["Body"].read()
    bucket.delete_object(Bucket="shards", Key=key)
    try:
        with pytest.raises(CfnsrError, match=r"01: cannot be found in the store .*Run `dvc push` where it is"):
            clips(bare.folder)
    finally:
        bucket.put_object(Bucket="shards", Key=key, Body=whole)


def test_a_second_machine_trains_without_a_copy(pushed: Repository, tmp_path: Path) -> None:
    first, second = (shared(pushed, tmp_path / name, devices=1, nodes=2) for name in ("first", "second"))
    shutil.rmtree(second.folder / "data/studio/shards")
    shutil.rmtree(second.folder / ".dvc/cache")
    told, far = on_two_machines(first, second)
    assert told.count("epoch ") == 2 and "is not on this machine" in far
    whole = shared(pushed, tmp_path / "whole", devices=2)
    whole.run("dvc", "repro", "--single-item", CELL)
    name = "data/studio/predictions/held_out/audio/fold_1/1234.parquet"
    assert (first.folder / name).read_bytes() == (whole.folder / name).read_bytes()
