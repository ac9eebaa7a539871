"""Results through object storage. With stubs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.support import store
from tests.support.repository import Repository

NOT_PUSHED = [("raw",), ("published_landmarks",), ("landmarks",)]  # data/<corpus>/...


@pytest.fixture(scope="module")
def stored(
    stubbed: Repository, shop: ThreadedMotoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Repository]:
    """A finished run, pushed as the docs say; its remote is committed, so that a clone knows it."""
    with pytest.MonkeyPatch.context() as patch:
        store.bucket(shop, "results", patch)
        repository = stubbed.copy(tmp_path_factory.mktemp("stored") / "repository")
        store.link(repository, shop, "s3://results/cfnsr")
        repository.dvc("push", "--run-cache")
        yield repository


def test_one_command_fetches_the_report(stored: Repository, tmp_path: Path) -> None:
    colleague = stored.clone(tmp_path / "colleague")
    colleague.dvc("pull", "report")
    for name in ("report.html", "report.md"):
        path = f"metrics/studio/{name}"
        assert (colleague.folder / path).read_bytes() == (stored.folder / path).read_bytes()
    assert not (colleague.folder / "data/studio/shards").exists()


def test_a_pulled_clone_trains_nothing(stored: Repository, tmp_path: Path) -> None:
    """Nor what stands in no commit, and another has run: the run cache, which all share, knows it."""
    colleague = stored.clone(tmp_path / "colleague")
    colleague.dvc("pull", "--allow-missing")
    assert not colleague.repro("--allow-missing")
    assert colleague.entries() == stored.entries() and colleague.results() == stored.results()
    colleague.edit("      heads: 8 ", "      heads: 4 ")
    ran = colleague.repro("--allow-missing")
    jobs = {name for name in ran if name.startswith("train@studio-held_out-cfnsr-")}
    assert len(jobs) == 2 and set(ran) - jobs == {"best@studio", "report@studio"}

    tried = stored.copy(tmp_path / "tried")
    tried.edit("      heads: 8 ", "      heads: 2 ")
    tried.repro()
    tried.dvc("push", "--run-cache")
    colleague.run("git", "checkout", "-q", ".")
    colleague.dvc("pull", "--allow-missing", "--run-cache")
    assert colleague.results() == stored.results()
    colleague.edit("      heads: 8 ", "      heads: 2 ")
    assert colleague.repro("--allow-missing", "--pull") == ["report@studio"]  # its metrics are in git
    assert colleague.results() == tried.results()


def test_clips_and_landmarks_are_not_pushed(stored: Repository, shop: ThreadedMotoServer) -> None:
    pages = store.client(shop).get_paginator("list_objects_v2").paginate(Bucket="results")
    keys = {item["Key"].removeprefix("cfnsr/") for page in pages for item in page["Contents"]}
    objects = {key.removeprefix("files/md5/").replace("/", "") for key in keys if key.startswith("files/md5/")}
    assert [key for key in keys if key.startswith("runs/")]
    outs = {out["path"]: out["md5"] for entry in stored.entries().values() for out in entry["outs"]}
    cached = {path: md5 for path, md5 in outs.items() if not path.startswith("metrics/") or "report." in path}
    for path, md5 in cached.items():
        assert (md5 in objects) != (Path(path).parts[2:3] in NOT_PUSHED), path
