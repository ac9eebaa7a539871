"""RAVDESS, from a server that errs, to shards; by the real stages, on archives of its shape."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cfnsr import __version__
from cfnsr.config import preset
from cfnsr.corpora import filenames, ravdess
from cfnsr.corpora.filenames import LABELS
from cfnsr.corpora.ravdess import record
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import landmarks as tracks
from cfnsr.preprocessing.landmarks import openface
from stages.download import main as download
from stages.landmarks import main as landmarks
from tests.support import ravdess_like, served
from tests.support.ravdess_like import Corpus
from tests.support.repository import Repository
from tests.support.served import Handler, Site, cut_after, instead, no_ranges, status

ACTORS = [f"{number:02d}" for number in range(1, 25)]
PAGE = b"<html>are you a robot?</html>"
FORBIDDEN = status(403, PAGE, Content_Type="text/html")
# What keeps the run short: frames of 16 pixels, and as much sound as there is.
SMALL = {
    "extract": {
        "video": {"frames": 4, "side_px": 16},
        "audio": {"offset_s": 0.1, "window_s": 0.4, "n_fft": 512, "hop": 128, "mels": 32},
    },
    "corpora": {"ravdess": {"licence_accepted": True}},
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return ravdess_like.made(tmp_path_factory.mktemp("two"), ["01", "02"])


@pytest.fixture
def site() -> Iterator[Site]:
    with served.serving() as site:
        yield site


class Place:
    """Where the stages of RAVDESS run, on a table of small archives."""

    def __init__(self, folder: Path, root: Path, site: Site, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.params = folder, folder / "params.yaml"
        shutil.copy(root / "params.yaml", self.params)
        preset.apply(self.params, root / "presets/ravdess.yaml")
        fetch = {"base_url": site.url, "tries": 3, "wait_s": 0.01, "timeout_s": 5.0}
        preset.update(self.params, {**SMALL, "fetch": fetch})
        pinned = folder / "pinned"
        pinned.mkdir()
        (pinned / "files.tsv").write_text(corpus.table())
        monkeypatch.setattr(record, "files", lambda package: pinned)
        site.files |= corpus.paths()

    def change(self, **values: dict[str, object]) -> None:
        preset.update(self.params, values)

    def download(self, actor: str = "01") -> Result:
        given = ["ravdess", actor, str(self.folder / "raw" / actor), "--partial", str(self.folder / "partial")]
        return CliRunner().invoke(download, ["--params", str(self.params), *given])

    def landmarks(self) -> Result:
        given = ["ravdess", str(self.folder / "landmarks"), "--partial", str(self.folder / "partial")]
        return CliRunner().invoke(landmarks, ["--params", str(self.params), *given])

    def clips(self, actor: str = "01") -> list[str]:
        return sorted(path.stem for path in (self.folder / "raw" / actor).glob("*"))

    def left(self) -> list[Path]:
        """Everything that stands in the way of a next run, or was left half done."""
        return list(self.folder.rglob(".partial-*"))


@pytest.fixture
def place(tmp_path: Path, root: Path, site: Site, two: Corpus, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, root, site, two, monkeypatch)


def one_line(result: Result) -> str:
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ") and "Traceback" not in result.output
    return last


def test_the_pinned_table_is_the_corpuss(root: Path) -> None:
    table = pd.read_csv(root / "cfnsr/corpora/ravdess/files.tsv", sep="\t")
    videos = table[table["name"].str.fullmatch(r"Video_Speech_Actor_\d\d\.zip")]
    assert len(videos) == 24 and videos["bytes"].sum() == 13_357_344_723 and set(videos["record"]) == {1188976}
    tracking = table[~table["name"].isin(videos["name"])].iloc[0]
    assert (tracking["name"], tracking["bytes"]) == ("FacialTracking_Actors_01-24.zip", 417_163_019)
    assert table["md5"].str.fullmatch("[0-9a-f]{32}").all() and table["md5"].is_unique


def test_an_actor_has_sixty_clips() -> None:
    wanted = ravdess.expected("01")
    assert wanted.total() == 60 and wanted["neutral"] == 4 and all(wanted[label] == 8 for label in LABELS[1:])


def test_an_actors_speech_arrives_and_its_archive_goes(place: Place, site: Site) -> None:
    result = place.download()
    assert result.exit_code == 0, result.output
    assert place.clips() == sorted(ravdess_like.stems("01"))
    assert not list((place.folder / "partial").rglob("*.*")) and not place.left()
    assert {one.agent for one in site.asked} == {f"cfnsr/{__version__}"}


def test_the_tracking_becomes_one_parquet_file_an_actor(place: Place) -> None:
    result = place.landmarks()
    assert result.exit_code == 0, result.output
    found = sorted((place.folder / "landmarks").iterdir())
    assert [path.name for path in found] == ["01.parquet", "02.parquet"]
    table = pq.read_table(found[1])
    assert sorted(set(table["clip"].to_pylist())) == sorted(ravdess_like.stems("02"))
    assert len(table) == 60 * ravdess_like.FRAMES and np.allclose(table["confidence"], 0.93)


def test_nothing_is_fetched_before_the_licence_is_accepted(place: Place, site: Site) -> None:
    place.change(corpora={"ravdess": {"licence_accepted": False}})
    for result in (place.download(), place.landmarks()):
        told = one_line(result)
        assert "BY-NC-SA 4.0" in told and "cfnsr preset ravdess --accept-licence" in told
    assert not site.asked


VIDEO = "/records/1188976/files/Video_Speech_Actor_01.zip"
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
def test_a_fault_ends_in_complete_data_or_one_clear_line_and_the_next_run_in_data(
    place: Place, site: Site, name: str
) -> None:
    faults, told = FAULTS[name]
    site.faults[VIDEO] = list(faults)
    result = place.download()
    if told:
        assert told in one_line(result)
        assert not place.clips() and not place.left()
        result = place.download()
    assert result.exit_code == 0, result.output
    assert place.clips() == sorted(ravdess_like.stems("01"))
    for clip in (place.folder / "raw/01").iterdir():
        assert clip.read_bytes().endswith(clip.stem.encode())


def broken(two: Corpus, change: Callable[[bytes], bytes]) -> Corpus:
    """The same archives, one of them at fault, and a table that says it is right."""
    name = "Video_Speech_Actor_01.zip"
    return Corpus(two.archives | {name: change(two.archives[name])})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one[: len(one) // 2], "is not a whole zip archive"),
        (lambda _: ravdess_like.zipped({"../01-01-01-01-01-01-01.mp4": b"x"}), "leads out of its folder"),
        (lambda _: ravdess_like.zipped({"/etc/01-01-01-01-01-01-01.mp4": b"x"}), "leads out of its folder"),
        (
            lambda _: ravdess_like.zipped({"Actor_01/01-01-01-01-01-01-01.mp4": bytes(10**8)}),
            "100,000,000 bytes packed",
        ),
        (lambda _: ravdess_like.zipped({"Actor_01/readme.txt": b"x"}), "there is no speech clip"),
    ],
)
def test_a_bad_archive_whose_checksum_is_right_is_one_clear_line(
    tmp_path: Path,
    root: Path,
    site: Site,
    two: Corpus,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[bytes], bytes],
    told: str,
) -> None:
    place = Place(tmp_path, root, site, broken(two, change), monkeypatch)
    assert told in one_line(place.download())
    assert not place.clips() and not place.left() and not list(tmp_path.parent.glob("01-01*"))


def test_where_the_record_says_otherwise_both_values_are_shown(place: Place, site: Site, two: Corpus) -> None:
    name = "Video_Speech_Actor_01.zip"
    right = (len(two.archives[name]), ravdess_like.md5(two.archives[name]))
    metadata = "/api/records/1188976"
    site.files[metadata] = served.record({name: (right[0] + 1, "0" * 32)})
    told = one_line(place.download())
    assert f"has {right[0] + 1} bytes and md5 {'0' * 32}, where {right[0]} and {right[1]} are pinned" in told
    assert VIDEO not in {one.path for one in site.asked}
    site.files[metadata] = served.record({"other.zip": right})
    assert "does not list Video_Speech_Actor_01.zip" in one_line(place.download())
    site.files[metadata] = json.dumps(
        {"files": [{"filename": name, "filesize": right[0], "checksum": right[1]}]}
    ).encode()
    assert place.download().exit_code == 0


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"message": "gone"}', b'{"files": {"enabled": true}}'])
def test_a_record_that_says_nothing_of_use_is_done_without(place: Place, site: Site, answer: bytes) -> None:
    site.files["/api/records/1188976"] = answer
    result = place.download()
    assert result.exit_code == 0 and "going by the size and md5 known" in result.stderr


def test_a_folder_of_the_right_name_without_the_right_clips_is_passed_over(place: Place, site: Site) -> None:
    (place.folder / "own/Actor_01").mkdir(parents=True)
    (place.folder / "own/Actor_01/03-01-01-01-01-01-01.wav").write_bytes(b"a voice alone")
    place.change(fetch={"local": str(place.folder / "own")})
    assert place.download().exit_code == 0
    assert place.clips() == sorted(ravdess_like.stems("01"))


def test_own_tracking_that_holds_a_clip_twice_is_refused(place: Place, two: Corpus) -> None:
    folder = place.folder / "own/FacialTracking_Actors_01-24"
    for part in ("a", "b"):
        (folder / part).mkdir(parents=True)
        (folder / part / f"{ravdess_like.stems('01')[0]}.csv").write_bytes(_table(two))
    place.change(fetch={"local": str(place.folder / "own")})
    assert "twice" in one_line(place.landmarks())


@pytest.mark.parametrize("unpacked", [True, False])
def test_what_the_user_has_is_not_fetched(place: Place, site: Site, two: Corpus, unpacked: bool) -> None:
    own = place.folder / "own"
    own.mkdir()
    for name, content in two.archives.items():
        (own / name).write_bytes(content)
        if unpacked:
            folder = own / "FacialTracking_Actors_01-24" if name.startswith("Facial") else own
            shutil.unpack_archive(own / name, folder)
            (own / name).unlink()
    place.change(fetch={"local": str(own)})
    for result in (place.download(), place.landmarks()):
        assert result.exit_code == 0, result.output
    assert not site.asked
    assert place.clips() == sorted(ravdess_like.stems("01"))
    if unpacked:
        clip = place.folder / "raw/01" / f"{ravdess_like.stems('01')[0]}.mp4"
        assert clip.read_bytes() == (own / "Actor_01" / clip.name).read_bytes()
    else:
        assert sorted(path.name for path in own.iterdir()) == sorted(two.archives)


def test_an_own_archive_that_is_another_is_refused(place: Place, site: Site) -> None:
    (place.folder / "Video_Speech_Actor_01.zip").write_bytes(b"PK")
    place.change(fetch={"local": str(place.folder)})
    assert "has 2 bytes and md5" in one_line(place.download())
    place.change(fetch={"local": str(place.folder / "nowhere")})
    assert "is no folder" in one_line(place.download())


def test_tracking_that_cannot_be_read_is_kept_with_its_reason(
    tmp_path: Path, root: Path, site: Site, two: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = ravdess_like.stems("01")[0]
    tables = {f"{one}.csv": b"frame\n1\n" if one == stem else _table(two) for one in ravdess_like.stems("01")}
    corpus = Corpus(two.archives | {"FacialTracking_Actors_01-24.zip": ravdess_like.zipped(tables)})
    place = Place(tmp_path, root, site, corpus, monkeypatch)
    assert place.landmarks().exit_code == 0
    found, refused = tracks.read(place.folder / "landmarks/01.parquet")
    assert len(found) == 59 and list(refused) == [stem]
    track = openface.tracker(place.folder / "landmarks/01.parquet")
    with pytest.raises(CfnsrError, match=f"{stem}: lacks the columns timestamp"):
        track(filenames.parse(Path(f"{stem}.mp4")))


def _table(two: Corpus) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(two.archives["FacialTracking_Actors_01-24.zip"])) as archive:
        return archive.read(f"{ravdess_like.stems('01')[0]}.csv")


@pytest.mark.timeout(1200)
def test_twenty_four_actors_through_dvc_from_a_server_that_errs(tmp_path: Path, site: Site) -> None:
    corpus = ravdess_like.made(tmp_path, ACTORS)
    site.files |= corpus.paths()
    there = Repository.shipped(tmp_path / "there")
    (there.folder / "cfnsr/corpora/ravdess/files.tsv").write_text(corpus.table())
    there.run("cfnsr", "preset", "ravdess", "--accept-licence")
    fetch = {"base_url": site.url, "tries": 4, "wait_s": 0.01, "timeout_s": 5.0}
    preset.update(there.folder / "params.yaml", {**SMALL, "fetch": fetch})
    of = {number: f"/records/1188976/files/Video_Speech_Actor_{number:02d}.zip" for number in range(1, 25)}
    site.faults[of[2]] = [cut_after(0, abrupt=True), cut_after(100_000, abrupt=True), cut_after(9, abrupt=True)]
    site.faults[of[3]] = [cut_after(100_000), no_ranges]
    site.faults[of[4]] = [status(429, PAGE, Retry_After="1")]
    site.faults[of[5]] = [FORBIDDEN]
    site.faults[of[6]] = [lambda it, content: it.whole(content[:-1] + b"?")]
    site.faults[of[7]] = [cut_after(100_000), status(200, PAGE, Content_Type="text/html")]
    for told in ("answered 403 Forbidden with a web page", "its md5 is", "sent a web page, not the archive"):
        said = there.run("dvc", "repro", "check@ravdess", status=255)
        assert told in said and "Traceback" not in said
    part = there.folder / "data/.partial/ravdess/Video_Speech_Actor_07.zip.part"
    have = part.stat().st_size
    assert have >= 100_000 - (1 << 16)
    ran = there.repro("check@ravdess")
    assert len([one for one in ran if one.startswith("crop@")]) == 24
    assert [one.range for one in site.asked if one.path == of[7]][-1] == f"bytes={have}-"
    once = [number for number in of if number > 7]
    assert all(site.sent(of[number]) == len(site.files[of[number]]) for number in [1, *once])
    found = json.loads((there.folder / "data/ravdess/validation.json").read_text())
    assert (found["clips"], found["speakers"], found["missing"], found["contradictions"]) == (1440, 24, 0, 0)
    assert found["padded"] == 0 and found["duplicates"] == 0
    asked = len(site.asked)
    assert not there.repro("check@ravdess") and len(site.asked) == asked
    assert not list((there.folder / "data/.partial").rglob("*.*"))
