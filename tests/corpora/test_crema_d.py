"""CREMA-D by Git LFS, on a small table of small files, by the real stage."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from cfnsr.config import preset
from cfnsr.corpora import crema_d
from cfnsr.corpora.crema_d import prepare
from cfnsr.corpora.crema_d.prepare import lfs
from cfnsr.runtime.bad_clips import BadClips
from stages.download import main as download
from tests.support import served
from tests.support.served import BUSY, Handler, Site, cut_after, forever, status

NAMES = ["1001_DFA_ANG_XX", "1001_IEO_SAD_HI", "1001_WSI_NEU_XX"]
CONTENTS = {f"{name}.flv": b"FLV\x01" + name.encode() * 5000 for name in NAMES}
BATCH = "/first.git/info/lfs/objects/batch"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Workspace:
    """A folder in which the stage runs, with a server and a table of three clips."""

    def __init__(self, folder: Path, params: Path, site: Site) -> None:
        self.folder, self.site = folder, site
        shutil.copy(params, folder / "params.yaml")
        rows = [f"{Path(name).stem}\t{len(content)}\t{sha256(content)}" for name, content in CONTENTS.items()]
        rows.append(f"1002_DFA_ANG_XX\t9\t{'0' * 64}")
        (folder / "files.tsv").write_text("\n".join(["clip\tbytes\tsha256", *rows]) + "\n")
        site.files |= {f"/objects/{sha256(content)}": content for content in CONTENTS.values()}
        site.files[BATCH] = self.batch()

    def batch(self, **changes: object) -> bytes:
        objects = [
            {
                "oid": sha256(content),
                "size": len(content),
                "actions": {
                    "download": {"href": f"{self.site.url}/objects/{sha256(content)}", "header": {"X-Key": "1"}}
                },
            }
            | changes
            for content in CONTENTS.values()
        ]
        return json.dumps({"transfer": "basic", "objects": objects}).encode()

    def own(self, folder: str = "own/VideoFlash", **contents: bytes) -> Path:
        own = self.folder / folder
        own.mkdir(parents=True)
        for name, content in contents.items():
            (own / f"{name}.flv").write_bytes(content)
        preset.update(self.folder / "params.yaml", {"fetch": {"local": str(self.folder / "own")}})
        return own

    def download(self) -> Result:
        return CliRunner().invoke(download, ["crema_d", "1001", "raw/1001"])

    def clips(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "raw/1001").glob("*")}

    def asked(self) -> list[str]:
        return [request.path for request in self.site.asked]


@pytest.fixture(scope="module")
def params(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(root / "params.yaml", tmp_path_factory.mktemp("params")))
    accepted = {"corpora": {"crema_d": {"licence_accepted": True}}}
    preset.apply(path, root / "presets/crema_d.yaml", accepted)
    preset.update(path, {"fetch": {"tries": 2, "wait_s": 0.01, "timeout_s": 5.0}})
    return path


@pytest.fixture
def site() -> Iterator[Site]:
    with served.serving() as site:
        yield site


@pytest.fixture
def workspace(tmp_path: Path, params: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(prepare, "TABLE", tmp_path / "files.tsv")
    monkeypatch.setattr(lfs, "REPOSITORIES", (f"{site.url}/first.git", f"{site.url}/second.git"))
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path, params, site)


def one_line(result: Result) -> str:
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    return result.stderr.strip().splitlines()[-1]


def test_pinned_table_agrees_with_expected_counts() -> None:
    table = pd.read_csv(prepare.TABLE, sep="\t")
    assert len(table) == 7442 and table["clip"].is_unique and table["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert table["bytes"].sum() == 2_443_021_141
    parts = table[~table["clip"].isin(prepare.LEFT_OUT)]["clip"].str.split("_", expand=True)
    assert len(parts) == 7438 and parts[0].nunique() == 91
    codes = dict(zip(["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"], crema_d.labels(), strict=True))
    for actor, emotions in parts.groupby(0)[2]:
        assert crema_d.expected(str(actor)) == emotions.map(codes).value_counts().to_dict()
    genders = [crema_d.gender(actor) for actor in parts[0].unique()]
    assert (genders.count("male"), genders.count("female")) == (48, 43)


def test_names_give_label_actor_and_sentence(tmp_path: Path) -> None:
    for name in CONTENTS:
        (tmp_path / name).touch()
    clips = crema_d.clips(tmp_path, BadClips("fail"))
    assert [(clip.id, clip.actor, clip.label, clip.statement) for clip in clips] == [
        ("1001_DFA_ANG_XX", "1001", "anger", 9),
        ("1001_IEO_SAD_HI", "1001", "sadness", 1),
        ("1001_WSI_NEU_XX", "1001", "neutral", 12),
    ]


def test_all_clips_arrive(workspace: Workspace) -> None:
    result = workspace.download()
    assert result.exit_code == 0, result.output
    assert workspace.clips() == CONTENTS
    assert not list((workspace.folder / "data/.partial").rglob("*.*"))


def test_nothing_is_fetched_before_licence_is_accepted(workspace: Workspace) -> None:
    preset.update(workspace.folder / "params.yaml", {"corpora": {"crema_d": {"licence_accepted": False}}})
    message = one_line(workspace.download())
    assert "Open Database License" in message and "cfnsr preset crema_d --accept-licence" in message
    assert not workspace.asked()


def test_an_interrupted_run_fetches_no_clip_twice(workspace: Workspace) -> None:
    first, second, _ = (f"/objects/{sha256(content)}" for content in CONTENTS.values())
    workspace.site.faults[second] = [status(404)]
    assert "answered 404" in one_line(workspace.download()) and not workspace.clips()
    workspace.site.faults[second] = [cut_after(1000, abrupt=True)]
    assert workspace.download().exit_code == 0 and workspace.clips() == CONTENTS
    assert workspace.asked().count(first) == 1


def test_a_clip_of_other_content_is_refused(workspace: Workspace) -> None:
    path = next(path for path in workspace.site.files if path.startswith("/objects/"))
    content = workspace.site.files[path]
    workspace.site.files[path] = content[:-1] + b"?"
    assert "its sha256 is" in one_line(workspace.download())
    workspace.site.files[path] = b"PK" + content[2:]
    assert "is not a file of FLV" in one_line(workspace.download())


Fault = Callable[[Handler, bytes], None]


@pytest.mark.parametrize(
    ("faults", "problem"),
    [
        ([status(403, b'{"message": "over its data quota"}')], "403 over its data quota"),
        ([status(503), status(503)], "503"),
        ([forever(BUSY + b"\r\n", b" " * 2**20, 0.01)] * 2, "503"),
        ([status(302, Location="http://[::1")], "Invalid IPv6 URL"),
        ([status(200, b"<html>")], "not that of Git LFS"),
        ([status(200, b'{"objects": []}')], "1001_DFA_ANG_XX.flv is not there"),
    ],
)
def test_the_second_repository_is_asked_next(workspace: Workspace, faults: list[Fault], problem: str) -> None:
    workspace.site.faults[BATCH] = [*faults]
    started_s = time.monotonic()
    message = one_line(workspace.download())
    assert time.monotonic() - started_s < 4
    assert problem in message and "second.git: 404" in message and "fetch.local" in message
    workspace.site.faults[BATCH] = [*faults]
    workspace.site.files[BATCH.replace("first", "second")] = workspace.batch()
    assert workspace.download().exit_code == 0 and workspace.clips() == CONTENTS


def test_a_repository_without_the_files_says_so(workspace: Workspace) -> None:
    workspace.site.files[BATCH] = workspace.batch(actions={}, error={"code": 404, "message": "Object does not exist"})
    assert "1001_DFA_ANG_XX.flv Object does not exist" in one_line(workspace.download())


@pytest.mark.parametrize("folder", ["own/VideoFlash", "own"])
def test_own_files_are_used_and_only_missing_fetched(workspace: Workspace, folder: str) -> None:
    workspace.own(folder, **{name: CONTENTS[f"{name}.flv"] for name in NAMES[:2]})
    assert workspace.download().exit_code == 0 and workspace.clips() == CONTENTS
    assert workspace.asked() == [BATCH, f"/objects/{sha256(CONTENTS[f'{NAMES[2]}.flv'])}"]


def test_pointers_and_changed_files_are_refused(workspace: Workspace) -> None:
    own = workspace.own(**dict.fromkeys(NAMES, POINTER % 1))
    message = one_line(workspace.download())
    assert "is a pointer of Git LFS, not a video, as are 2 more" in message and "git lfs pull" in message
    for name, content in CONTENTS.items():
        (own / name).write_bytes(content + b"?")
    assert "bytes and sha256" in one_line(workspace.download()) and not workspace.asked()
