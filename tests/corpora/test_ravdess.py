"""RAVDESS, from a faulty server to shards, by the real stages, on small archives of the same structure."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click import Command
from click.testing import CliRunner, Result

from cfnsr import __version__
from cfnsr.config import preset
from cfnsr.corpora import ravdess
from cfnsr.corpora.clip import Clip
from cfnsr.corpora.filenames import LABELS
from cfnsr.corpora.ravdess.prepare import record
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks
from cfnsr.preprocessing.landmarks import openface
from stages.check import main as check
from stages.crop import main as crop
from stages.download import main as download
from stages.extract import main as extract
from stages.landmarks import main as landmarks_stage
from stages.published_landmarks import main as published_landmarks
from tests.support import ravdess_like, served
from tests.support.ravdess_like import Corpus
from tests.support.served import Handler, Site, cut_after, instead, no_ranges, status

ACTORS = ["01", "02", "03"]
PAGE = b"<html>are you a robot?</html>"
VIDEO = "/records/1188976/files/Video_Speech_Actor_01.zip"
# Few pixels and little audio keep the run short.
SMALL = {
    "extract": {
        "video": {"frames": 4, "side_px": 16},
        "offset_s": 0.1,
        "window_s": 0.4,
        "audio": {"n_fft": 512, "hop": 128, "mels": 32},
    },
    "corpora": {"ravdess": {"licence_accepted": True}},
    "actors": ACTORS,
    "folds": {f"fold_{number}": [actor] for number, actor in enumerate(ACTORS, start=1)},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return ravdess_like.made(tmp_path_factory.mktemp("corpus"), ACTORS)


@pytest.fixture
def site() -> Iterator[Site]:
    with served.serving() as site:
        yield site


class Workspace:
    """A folder in which the stages of RAVDESS run, with a table of small archives."""

    def __init__(self, folder: Path, params: str, site: Site, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.params = folder, folder / "params.yaml"
        self.params.write_text(params.replace("https://zenodo.org", site.url))
        (folder / "files.tsv").write_text(corpus.table())
        monkeypatch.setattr(record, "TABLE", folder / "files.tsv")
        monkeypatch.chdir(folder)
        site.files |= corpus.paths()

    def change(self, **values: dict[str, object]) -> None:
        preset.update(self.params, values)

    def run(self, main: Command, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments])

    def download(self, actor: str = "01") -> Result:
        return self.run(download, "ravdess", actor, f"raw/{actor}")

    def published(self) -> Result:
        return self.run(published_landmarks, "ravdess", "published")

    def clips(self, actor: str = "01") -> list[str]:
        return sorted(path.stem for path in (self.folder / "raw" / actor).glob("*"))

    def remains(self) -> list[Path]:
        """List half-written outputs."""
        return list(self.folder.rglob(".partial-*"))


@pytest.fixture(scope="module")
def params(root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = Path(shutil.copy(root / "params.yaml", tmp_path_factory.mktemp("params")))
    preset.apply(path, root / "presets/ravdess.yaml")
    preset.update(path, {**SMALL, "fetch": {"tries": 3, "wait_s": 0.01, "timeout_s": 5.0}})
    return path.read_text()


@pytest.fixture
def workspace(tmp_path: Path, params: str, site: Site, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    return Workspace(tmp_path, params, site, corpus, monkeypatch)


def one_line(result: Result) -> str:
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ") and "Traceback" not in result.output
    return last


def test_pinned_table_has_the_published_sizes(root: Path) -> None:
    table = pd.read_csv(root / "cfnsr/corpora/ravdess/prepare/files.tsv", sep="\t")
    videos = table[table["name"].str.fullmatch(r"Video_Speech_Actor_\d\d\.zip")]
    assert len(videos) == 24 and videos["bytes"].sum() == 13_357_344_723 and set(videos["record"]) == {1188976}
    tracking = table[~table["name"].isin(videos["name"])].iloc[0]
    assert (tracking["name"], tracking["bytes"]) == ("FacialTracking_Actors_01-24.zip", 417_163_019)
    assert table["md5"].str.fullmatch("[0-9a-f]{32}").all() and table["md5"].is_unique


def test_actor_has_sixty_clips() -> None:
    counts = ravdess.expected("01")
    assert counts.total() == 60 and counts["neutral"] == 4 and all(counts[label] == 8 for label in LABELS[1:])


def test_speech_clips_arrive_and_archive_is_removed(workspace: Workspace, site: Site) -> None:
    result = workspace.download()
    assert result.exit_code == 0, result.output
    assert workspace.clips() == sorted(ravdess_like.stems("01"))
    assert not list((workspace.folder / "data/.partial").rglob("*.*")) and not workspace.remains()
    assert {request.agent for request in site.asked} == {f"cfnsr/{__version__}"}


def test_landmarks_become_one_file_an_actor(workspace: Workspace) -> None:
    result = workspace.published()
    assert result.exit_code == 0, result.output
    files = sorted((workspace.folder / "published").iterdir())
    assert [path.name for path in files] == ["01.parquet", "02.parquet", "03.parquet"]
    table = pq.read_table(files[1])
    assert sorted(set(table["clip"].to_pylist())) == sorted(ravdess_like.stems("02"))
    assert len(table) == 60 * ravdess_like.FRAMES and np.allclose(table["confidence"], 0.93)


def test_nothing_is_fetched_before_licence_is_accepted(workspace: Workspace, site: Site) -> None:
    workspace.change(corpora={"ravdess": {"licence_accepted": False}})
    for result in (workspace.download(), workspace.published()):
        message = one_line(result)
        assert "BY-NC-SA 4.0" in message and "cfnsr preset ravdess --accept-licence" in message
    assert not site.asked


FAULTS: dict[str, tuple[list[Callable[[Handler, bytes], None]], str]] = {
    "a reset at once": ([cut_after(0, abrupt=True)], ""),
    "resets": ([cut_after(7, abrupt=True), cut_after(70_000, abrupt=True), cut_after(100_000, abrupt=True)], ""),
    "broken off": ([cut_after(50), cut_after(90_000)], ""),
    "no ranges": ([cut_after(90_000), no_ranges], ""),
    "too many requests": ([status(429, Retry_After="0"), status(503)], ""),
    "forbidden, with a page": (
        [cut_after(90_000), status(403, PAGE, Content_Type="text/html")],
        "answered 403 Forbidden",
    ),
    "a page": ([status(200, PAGE, Content_Type="text/html")], "sent a web page"),
    "another file": ([lambda it, content: it.whole(content[:-1] + b"?")], "its md5 is"),
    "a shorter file": ([instead(b"PK")], "the server has 2 bytes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_gives_whole_data_or_one_line(workspace: Workspace, site: Site, name: str) -> None:
    faults, message = FAULTS[name]
    site.faults[VIDEO] = list(faults)
    result = workspace.download()
    if message:
        assert message in one_line(result)
        assert not workspace.clips() and not workspace.remains()
        result = workspace.download()
    assert result.exit_code == 0, result.output
    assert workspace.clips() == sorted(ravdess_like.stems("01"))
    for clip in (workspace.folder / "raw/01").iterdir():
        assert clip.read_bytes().endswith(clip.stem.encode())


def broken(corpus: Corpus, change: Callable[[bytes], bytes]) -> Corpus:
    """Return the archives with one of them changed; the table has its new size and md5."""
    name = "Video_Speech_Actor_01.zip"
    return Corpus(corpus.archives | {name: change(corpus.archives[name])})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], "is not a complete zip archive"),
        (lambda _: ravdess_like.zipped({"../01-01-01-01-01-01-01.mp4": b"x"}), "is outside the folder"),
        (lambda _: ravdess_like.zipped({"/etc/01-01-01-01-01-01-01.mp4": b"x"}), "is outside the folder"),
        (
            lambda _: ravdess_like.zipped({"Actor_01/01-01-01-01-01-01-01.mp4": bytes(10**8)}),
            "100,000,000 bytes packed",
        ),
        (lambda _: ravdess_like.zipped({"Actor_01/readme.txt": b"x"}), "there is no speech clip"),
    ],
)
def test_bad_archive_of_right_checksum_is_refused(
    tmp_path: Path,
    params: str,
    site: Site,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[bytes], bytes],
    message: str,
) -> None:
    workspace = Workspace(tmp_path, params, site, broken(corpus, change), monkeypatch)
    assert message in one_line(workspace.download())
    assert not workspace.clips() and not workspace.remains() and not list(tmp_path.parent.glob("01-01*"))


def test_contradicting_record_shows_both_values(workspace: Workspace, site: Site, corpus: Corpus) -> None:
    name = "Video_Speech_Actor_01.zip"
    right = (len(corpus.archives[name]), ravdess_like.md5(corpus.archives[name]))
    metadata = "/api/records/1188976"
    site.files[metadata] = served.record({name: (right[0] + 1, "0" * 32)})
    message = one_line(workspace.download())
    assert f"has {right[0] + 1} bytes and md5 {'0' * 32}, where {right[0]} and {right[1]} are pinned" in message
    assert VIDEO not in {request.path for request in site.asked}
    site.files[metadata] = served.record({"other.zip": right})
    assert "does not list Video_Speech_Actor_01.zip" in one_line(workspace.download())
    site.files[metadata] = json.dumps(
        {"files": [{"filename": name, "filesize": right[0], "checksum": right[1]}]}
    ).encode()
    assert workspace.download().exit_code == 0


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"message": "gone"}', b'{"files": {"enabled": true}}'])
def test_useless_record_is_ignored(workspace: Workspace, site: Site, answer: bytes) -> None:
    site.files["/api/records/1188976"] = answer
    result = workspace.download()
    assert result.exit_code == 0 and "using the pinned size and md5" in result.stderr


def test_own_folder_without_speech_clips_is_ignored(workspace: Workspace, site: Site) -> None:
    (workspace.folder / "own/Actor_01").mkdir(parents=True)
    (workspace.folder / "own/Actor_01/03-01-01-01-01-01-01.wav").write_bytes(b"audio only")
    workspace.change(fetch={"local": str(workspace.folder / "own")})
    assert workspace.download().exit_code == 0
    assert workspace.clips() == sorted(ravdess_like.stems("01"))


def test_own_landmarks_with_a_clip_twice_are_refused(workspace: Workspace, corpus: Corpus) -> None:
    folder = workspace.folder / "own/FacialTracking_Actors_01-24"
    for part in ("a", "b"):
        (folder / part).mkdir(parents=True)
        (folder / part / f"{ravdess_like.stems('01')[0]}.csv").write_bytes(_table(corpus))
    workspace.change(fetch={"local": str(workspace.folder / "own")})
    assert "twice" in one_line(workspace.published())


@pytest.mark.parametrize("unpacked", [True, False])
def test_own_files_are_not_fetched(workspace: Workspace, site: Site, corpus: Corpus, unpacked: bool) -> None:
    own = workspace.folder / "own"
    own.mkdir()
    for name, content in corpus.archives.items():
        (own / name).write_bytes(content)
        if unpacked:
            folder = own / "FacialTracking_Actors_01-24" if name.startswith("Facial") else own
            shutil.unpack_archive(own / name, folder)
            (own / name).unlink()
    workspace.change(fetch={"local": str(own)})
    for result in (workspace.download(), workspace.published()):
        assert result.exit_code == 0, result.output
    assert not site.asked
    assert workspace.clips() == sorted(ravdess_like.stems("01"))
    if unpacked:
        clip = workspace.folder / "raw/01" / f"{ravdess_like.stems('01')[0]}.mp4"
        assert clip.read_bytes() == (own / "Actor_01" / clip.name).read_bytes()
    else:
        assert sorted(path.name for path in own.iterdir()) == sorted(corpus.archives)


def test_own_archive_of_other_content_is_refused(workspace: Workspace, site: Site) -> None:
    (workspace.folder / "Video_Speech_Actor_01.zip").write_bytes(b"PK")
    workspace.change(fetch={"local": str(workspace.folder)})
    assert "has 2 bytes and md5" in one_line(workspace.download())
    workspace.change(fetch={"local": str(workspace.folder / "nowhere")})
    assert "is not a folder" in one_line(workspace.download())


def test_unreadable_landmarks_are_kept_with_reason(
    tmp_path: Path, params: str, site: Site, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = ravdess_like.stems("01")[0]
    tables = {f"{name}.csv": b"frame\n1\n" if name == stem else _table(corpus) for name in ravdess_like.stems("01")}
    changed = Corpus(corpus.archives | {"FacialTracking_Actors_01-24.zip": ravdess_like.zipped(tables)})
    workspace = Workspace(tmp_path, params, site, changed, monkeypatch)
    assert workspace.published().exit_code == 0
    by_clip, skipped = landmarks.read(workspace.folder / "published/01.parquet")
    assert len(by_clip) == 59 and list(skipped) == [stem]
    find = openface.finder(workspace.folder / "published/01.parquet")
    with pytest.raises(CfnsrError, match=f"{stem}: lacks the columns confidence"):
        find(Clip.from_filename(Path(f"{stem}.mp4")))


def _table(corpus: Corpus) -> bytes:
    with zipfile.ZipFile(io.BytesIO(corpus.archives["FacialTracking_Actors_01-24.zip"])) as archive:
        return archive.read(f"{ravdess_like.stems('01')[0]}.csv")


def test_three_actors_from_server_to_manifest(workspace: Workspace, site: Site) -> None:
    site.faults[VIDEO] = [cut_after(100_000, abrupt=True), status(503)]
    results = [workspace.published()]
    for actor in ACTORS:
        results += [
            workspace.download(actor),
            workspace.run(landmarks_stage, "ravdess", f"raw/{actor}", "published", f"landmarks/{actor}.parquet"),
            workspace.run(crop, f"landmarks/{actor}.parquet", f"faces/{actor}.parquet"),
            workspace.run(extract, "ravdess", f"raw/{actor}", f"faces/{actor}.parquet", f"shards/{actor}"),
        ]
    results.append(workspace.run(check, "ravdess", "."))
    assert not [result.output for result in results if result.exit_code]
    counts = json.loads((workspace.folder / "validation.json").read_text())
    assert (counts["clips"], counts["speakers"], counts["missing"], counts["contradictions"]) == (180, 3, 0, 0)
    assert counts["padded"] == 0 and counts["duplicates"] == 0
    assert json.loads((workspace.folder / "manifest.json").read_text())["clips"] == dict.fromkeys(ACTORS, 60)
