"""Corpora with sound alone: EmoDB and RAVDESS's speech."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr.config import preset
from cfnsr.corpora import emodb, ravdess_speech
from cfnsr.corpora.ravdess_speech import prepare
from cfnsr.runtime.bad_clips import BadClips
from stages.download import main as download
from tests.support import ravdess_like, served

SPEECH = [f"03-01-03-01-0{statement}-01-{actor}" for actor in ("01", "02") for statement in (1, 2)]
ARCHIVE = f"/records/1188976/files/{prepare.NAME}"


def workspace(folder: Path, root: Path, name: str, accepted: bool = False, **fetch: object) -> None:
    """Copy params.yaml with the preset of a corpus into a folder."""
    path = Path(shutil.copy(root / "params.yaml", folder / "params.yaml"))
    licence = {"corpora": {name: {"licence_accepted": True}}} if accepted else {}
    preset.apply(path, root / f"presets/{name}.yaml", licence)
    preset.update(path, {"fetch": {"tries": 1, "wait_s": 0.01, **fetch}})


def run(corpus: str, actor: str) -> Result:
    return CliRunner().invoke(download, [corpus, actor, f"raw/{actor}"])


def one_line(result: Result) -> str:
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), (result.output, result.exception)
    return result.stderr.strip().splitlines()[-1]


def test_emodb_names_give_label_actor_and_version(tmp_path: Path) -> None:
    for stem in ("03a01Fa", "03b10Wc", "03a02x"):
        (tmp_path / f"{stem}.wav").touch()
    bad = BadClips("skip")
    first, second = emodb.clips(tmp_path, bad)
    assert (first.id, first.actor, first.label, first.statement, first.repetition) == (
        "03a01Fa",
        "03",
        "happiness",
        1,
        1,
    )
    assert (second.label, second.statement, second.repetition) == ("anger", 10, 3)
    assert list(bad.skipped) == ["03a02x"]


def test_counts_are_those_published() -> None:
    counts = [emodb.expected(actor) for actor in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")]
    totals = {label: sum(count[label] for count in counts) for label in emodb.labels()}
    assert totals == {
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79
    }  # fmt: skip
    assert "disgust" not in counts[1]
    assert ravdess_speech.expected("01").total() == 60


@pytest.mark.parametrize("folder", ["own/wav", "own"])
def test_emodb_comes_from_the_users_folder(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    for stem in ("03a01Fa", "03b10Wc", "08a01Na"):
        (tmp_path / folder / f"{stem}.wav").touch()
    workspace(tmp_path, root, "emodb", local=str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    assert run("emodb", "03").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "raw/03").iterdir()) == ["03a01Fa.wav", "03b10Wc.wav"]
    assert "there is no clip of actor 09" in one_line(run("emodb", "09"))
    preset.update(tmp_path / "params.yaml", {"fetch": {"local": ""}})
    assert "EmoDB is not fetched for you" in one_line(run("emodb", "03"))


def test_one_archive_of_speech_serves_all_actors(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"Actor_{stem[-2:]}/{stem}.wav": b"RIFF" for stem in SPEECH}
    content = ravdess_like.zipped(files | {"Actor_01/03-02-03-01-01-01-01.wav": b"a song"})
    monkeypatch.setattr(prepare, "SIZE", len(content))
    monkeypatch.setattr(prepare, "MD5", hashlib.md5(content).hexdigest())
    monkeypatch.chdir(tmp_path)
    with served.serving() as site:
        site.files[ARCHIVE] = content
        workspace(tmp_path, root, "ravdess_speech", base_url=site.url)
        message = one_line(run("ravdess_speech", "01"))
        assert "BY-NC-SA 4.0" in message and "cfnsr preset ravdess_speech --accept-licence" in message
        assert not site.asked
        workspace(tmp_path, root, "ravdess_speech", accepted=True, base_url=site.url)
        for actor in ("01", "02"):
            assert run("ravdess_speech", actor).exit_code == 0
        assert len(site.asked) == 1
        assert "no speech clip with audio alone" in one_line(run("ravdess_speech", "03"))
    clips = ravdess_speech.clips(tmp_path / "raw/02", BadClips("fail"))
    assert [(clip.id, clip.label, clip.statement) for clip in clips] == [
        ("03-01-03-01-01-01-02", "happy", 1),
        ("03-01-03-01-02-01-02", "happy", 2),
    ]


@pytest.mark.parametrize("own", [True, False])
def test_tracking_lies_beside_its_sound(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    names = [f"01{stem[2:]}.csv" for stem in SPEECH] + ["01-02-03-01-01-01-01.csv"]  # the last one is a song's
    sounds = ravdess_like.zipped({f"Actor_{stem[-2:]}/{stem}.wav": b"RIFF" for stem in SPEECH})
    content = ravdess_like.zipped({f"tracking/{name}": name.encode() for name in names})
    for key, archive in (("", sounds), ("TRACKING_", content)):
        monkeypatch.setattr(prepare, f"{key}SIZE", len(archive))
        monkeypatch.setattr(prepare, f"{key}MD5", hashlib.md5(archive).hexdigest())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own/FacialTracking_Actors_01-24/Actor_02").mkdir(parents=True)
    for name in names if own else []:
        (tmp_path / "own/FacialTracking_Actors_01-24/Actor_02" / name).write_text(name)
    with served.serving() as site:
        site.files[ARCHIVE] = sounds
        site.files[f"/records/3255102/files/{prepare.TRACKING}"] = content
        local = str(tmp_path / "own") if own else ""
        workspace(tmp_path, root, "ravdess_features", base_url=site.url, local=local)
        preset.update(tmp_path / "params.yaml", {"corpora": {"ravdess_speech": {"licence_accepted": True}}})
        assert run("ravdess_speech", "02").exit_code == 0
        assert len(site.asked) == (1 if own else 2)
    for stem in SPEECH[2:]:
        assert (tmp_path / f"raw/02/{stem}.csv").read_text() == f"01{stem[2:]}.csv"
    assert len(list((tmp_path / "raw/02").iterdir())) == 4
    assert len(ravdess_speech.clips(tmp_path / "raw/02", BadClips("fail"))) == 2


def test_own_speech_of_another_actor_is_left_out(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own/Actor_01").mkdir(parents=True)
    for stem in SPEECH:  # a copy of the corpus is about that has a file of actor 02 among those of another
        (tmp_path / f"own/Actor_01/{stem}.wav").touch()
    workspace(tmp_path, root, "ravdess_speech", accepted=True, local=str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    assert run("ravdess_speech", "01").exit_code == 0
    assert sorted(path.stem for path in (tmp_path / "raw/01").iterdir()) == SPEECH[:2]
