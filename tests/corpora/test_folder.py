"""Any folder of videos with a labels file; CREMA-D is the example."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click import Command
from click.testing import CliRunner, Result

from cfnsr import cli, config
from cfnsr.cli import labels_files
from cfnsr.corpora import folder
from cfnsr.corpora.folder import prepare
from cfnsr.corpora.source import Source
from cfnsr.data import shards
from cfnsr.data.shards import Shard
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips
from stages.check import main as check
from stages.crop import main as crop
from stages.download import main as download
from stages.extract import main as extract
from stages.landmarks import main as landmarks
from tests.support.media import landmarks_beside, numbered, tone
from tests.support.ravdess_like import FRAMES, HEIGHT, WIDTH, marked

EMOTIONS = {"ANG": "anger", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
SPEAKERS = ("1001", "1002", "1003")


def crema_d(parent: Path) -> Path:
    """Write videos named as in CREMA-D, ``1001_DFA_ANG_XX``, and OpenFace's CSV files beside them."""
    videos = parent / "VideoFlash"
    videos.mkdir(parents=True)
    clip = numbered(parent / "clip.mp4", frames=FRAMES, width=WIDTH, height=HEIGHT, sound_s=0.6).read_bytes()
    landmarks_beside(parent / "clip.csv", FRAMES)
    table = pd.read_csv(parent / "clip.csv")
    spots = [column for column in table if column.startswith(("x_", "y_"))]
    table[spots] = table[spots] / 4
    for speaker in SPEAKERS:
        for sentence in ("DFA", "IEO"):
            for emotion in EMOTIONS:
                stem = f"{speaker}_{sentence}_{emotion}_XX"
                (videos / f"{stem}.mp4").write_bytes(marked(clip, stem))
                table.to_csv(videos / f"{stem}.csv", index=False)
    return videos


def sheet_of(videos: Path, path: Path) -> Path:
    """Write the labels file as docs/corpora.md does."""
    names = pd.Series(sorted(path.name for path in videos.glob("*.mp4")))
    parts = names.str.split("_", expand=True)
    sheet = pd.DataFrame({"file": names, "label": parts[2].map(EMOTIONS), "speaker": parts[0]})
    sheet.to_parquet(path, index=False) if path.suffix == ".parquet" else sheet.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crema_d(tmp_path_factory.mktemp("crema_d"))


@pytest.fixture
def sheet(videos: Path, tmp_path: Path) -> Path:
    return sheet_of(videos, tmp_path / "sheet.csv")


def command(videos: Path, sheet: Path, params: Path, *options: str) -> Result:
    given = ["folder", str(videos), str(sheet), "--folds", "3", "--params", str(params)]
    return CliRunner().invoke(cli.main, [*given, *options])


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text((root / "params.yaml").read_text())
    return path


def prepare_actor(actor: str, out: Path, options: Mapping[str, Any]) -> Path:
    out.mkdir()
    prepare.prepare(actor, out, **options, source=Source("http://127.0.0.1:1", "", 1, 0, 1, 1, out), jobs=1)
    return out


def options_of(params: Path) -> dict[str, Any]:
    return config.load(params).corpora.folder.model_dump()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_clips_of_a_speaker_are_copied(videos: Path, tmp_path: Path, params: Path, ending: str) -> None:
    assert command(videos, sheet_of(videos, tmp_path / f"sheet.{ending}"), params).exit_code == 0
    out = prepare_actor("1002", tmp_path / "out", options_of(params))
    clips = folder.clips(out, BadClips("fail"))
    assert [clip.id for clip in clips] == sorted(path.stem for path in videos.glob("1002*.mp4"))
    assert {clip.actor for clip in clips} == {"1002"}
    assert {clip.label for clip in clips} == set(EMOTIONS.values())
    for clip in clips:
        assert clip.path.read_bytes() == (videos / clip.path.name).read_bytes()
        assert not clip.path.samefile(videos / clip.path.name)
        assert clip.path.with_suffix(".csv").is_file()


def test_shards_stand_for_speakers(videos: Path, tmp_path: Path, params: Path) -> None:
    """Of six speakers two share a shard; its raw folder has the clips of both."""
    sheet = sheet_of(videos, tmp_path / "sheet.csv")
    rows = pd.read_csv(sheet, dtype=str)
    rows["speaker"] += rows["file"].str.split("_").str[1]
    rows.to_csv(sheet, index=False)
    result = command(videos, sheet, params, "--shards", "3")
    assert result.exit_code == 0, result.output
    assert "3 shards of 6 speakers, 8 to 8 clips each" in result.output
    values = config.load(params)
    assert values.units("folder") == "shards of speakers"
    assert values.actors == ["shard_001", "shard_002", "shard_003"] and values.corpora.folder.shards == 3
    assert values.folds == {f"fold_{number}": [f"shard_00{number}"] for number in (1, 2, 3)}
    out = prepare_actor("shard_002", tmp_path / "out", options_of(params))
    clips = folder.clips(out, BadClips("fail"))
    assert {clip.actor for clip in clips} == {"shard_002"} and len({clip.id for clip in clips}) == 8
    assert command(videos, sheet, params).exit_code == 0 and len(config.load(params).actors) == 6


def test_one_recording_of_two_speakers_is_no_shard(videos: Path, tmp_path: Path, params: Path) -> None:
    """The stage `check` compares recordings of different shards, not those of speakers within one."""
    own = shutil.copytree(videos, tmp_path / "own")
    sheet = sheet_of(own, tmp_path / "sheet.csv")
    rows = pd.read_csv(sheet, dtype=str)
    rows["speaker"] += rows["file"].str.split("_").str[1]
    rows.to_csv(sheet, index=False)
    content = (own / "1002_IEO_HAP_XX.mp4").read_bytes()
    (own / "1001_DFA_HAP_XX.mp4").write_bytes(content[:-1] + b"?")  # another recording of the same size
    assert command(own, sheet, params, "--shards", "3").exit_code == 0
    before = params.read_text()
    (own / "1001_DFA_HAP_XX.mp4").write_bytes(content)
    result = command(own, sheet, params, "--shards", "3")
    problem = "clip 1002_IEO_HAP_XX of speaker 1002IEO is the same file as 1001_DFA_HAP_XX of 1001DFA. Remove one"
    assert result.exit_code == 1 and problem in result.output.splitlines()[-1]
    assert params.read_text() == before


def test_table_and_speaker_are_checked(videos: Path, sheet: Path, tmp_path: Path, params: Path) -> None:
    assert command(videos, sheet, params).exit_code == 0
    options = options_of(params)
    with pytest.raises(CfnsrError, match="has no clip of speaker 1009"):
        prepare_actor("1009", tmp_path / "1", options)
    with pytest.raises(CfnsrError, match="has the label 'happiness'"):
        prepare_actor("1002", tmp_path / "2", {**options, "labels": ["anger"]})
    with pytest.raises(CfnsrError, match="is not the table that"):
        prepare_actor("1002", tmp_path / "3", {**options, "intake_md5": "0"})
    Path(options["intake"]).unlink()
    with pytest.raises(CfnsrError, match="is missing"):
        prepare_actor("1002", tmp_path / "4", options)


@pytest.mark.parametrize("changed", ["sheet.csv", "map.csv"])
def test_a_changed_labels_file_is_noticed(
    videos: Path, sheet: Path, tmp_path: Path, params: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """One label is corrected in the sheet, or joined by the map, after `cfnsr folder` read them."""
    label_map = tmp_path / "map.csv"
    label_map.write_text("from,to\nanger,anger\n")
    assert command(videos, sheet, params, "--labels", str(label_map)).exit_code == 0
    options = options_of(params)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    labels_files.check("folder", **options)
    before = (tmp_path / changed).read_text()
    (tmp_path / changed).write_text(before.replace("anger", "sadness", 1))
    problem = rf"{changed}: has changed since `cfnsr folder` read it\. Run `cfnsr folder VIDEOS LABELS` again"
    with pytest.raises(CfnsrError, match=problem):
        prepare_actor("1002", tmp_path / "1", options)
    for main, arguments in ((cli.main, ["check"]), (check, ["folder", str(tmp_path)])):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1 and re.search(problem, result.output) and result.output.count("\n") == 1
    assert command(videos, sheet, params, "--labels", str(label_map)).exit_code == 0
    labels_files.check("folder", **options_of(params))
    (tmp_path / changed).unlink()  # as on another machine
    labels_files.check("folder", **options_of(params))


def test_command_writes_params_from_the_folder(videos: Path, sheet: Path, params: Path, root: Path) -> None:
    result = command(videos, sheet, params)
    assert result.exit_code == 0, result.output
    values = config.load(params)
    assert values.corpus == "folder" and values.actors == list(SPEAKERS)
    assert values.folds == {f"fold_{number}": [f"100{number}"] for number in (1, 2, 3)}
    assert values.corpora.folder.labels == sorted(EMOTIONS.values())
    assert (values.extract.offset_s, values.extract.window_s) == (0.0, 0.6)
    assert values.landmarks.source == "openface" and values.check.min_clips == 4
    assert "# Normalisation of the frames: mean and standard deviation" in params.read_text()
    for line in (
        "24 usable clips of 24, 3 speakers",
        "clips by label: anger 6, happiness 6, neutral 6, sadness 6",
        "clips by speaker: 8 to 8, median 8",
        "tracks of sound: 1 in 24",
        f"pictures: {WIDTH}x{HEIGHT} 24",
        "fold_2: 1 speaker, 8 clips (anger 2, happiness 2, neutral 2, sadness 2)",
    ):
        assert line in result.output.splitlines()
    assert "nothing to change" in command(videos, sheet, params).output.splitlines()
    pd.read_csv(sheet, dtype=str).replace("anger", "sadness").to_csv(sheet, index=False)
    assert "corpora.folder.intake_md5" in command(videos, sheet, params).output
    shipped = CliRunner().invoke(
        cli.main, ["preset", "studio", "--params", str(params), "--presets", str(root / "presets")]
    )
    assert shipped.exit_code == 0 and config.load(params).corpus == "studio"


def test_bad_clips_are_told_at_intake(videos: Path, tmp_path: Path, params: Path) -> None:
    own = tmp_path / "videos"
    shutil.copytree(videos, own)
    sheet = sheet_of(own, tmp_path / "sheet.csv")
    names = sorted(path.name for path in own.glob("1001*.mp4"))
    (own / names[0]).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n")
    (own / names[1]).write_text("<!DOCTYPE html><html></html>")
    (own / names[2]).write_bytes(b"")
    (own / names[3]).write_bytes(bytes(range(256)))
    (own / names[4]).unlink()
    numbered(own / names[5], frames=FRAMES, width=WIDTH, height=HEIGHT, sound_s=None)
    numbered(own / "1009_DFA_ANG_XX.mp4", frames=2, width=WIDTH, height=HEIGHT)
    unchanged = params.read_text()
    refused = command(own, sheet, params)
    assert f"videos that are not in {own}: 1 ({names[4]})" in refused.output and params.read_text() == unchanged
    pd.read_csv(sheet, dtype=str).query("file != @names[4]").to_csv(sheet, index=False)
    refused = command(own, sheet, params)
    assert refused.exit_code == 1 and "5 clips cannot be used: is a Git LFS pointer" in refused.output
    assert params.read_text() == unchanged
    table = pd.read_csv(sheet_of(videos, sheet), dtype=str)
    table["label"] = table["label"].map(lambda label: "sad" if label in ("happiness", "sadness") else "calm")
    table.to_csv(sheet, index=False)
    params.write_text(unchanged.replace("on_bad_clip: fail", "on_bad_clip: skip"))
    result = command(own, sheet, params)
    assert result.exit_code == 0, result.output
    assert "videos that no row names: 1 (1009_DFA_ANG_XX.mp4)" in result.output
    assert "18 usable clips of 24, 3 speakers" in result.output
    bad = BadClips("skip")
    clips = folder.clips(prepare_actor("1001", tmp_path / "out", options_of(params)), bad)
    assert len(clips) == 2
    assert bad.skipped == {
        names[0][:-4]: "is a Git LFS pointer: fetch the videos with `git lfs pull`",
        names[1][:-4]: "is a web page, not a video: fetch it again",
        names[2][:-4]: "is empty",
        names[3][:-4]: "is not a readable media file (Invalid data found when processing input)",
        names[4][:-4]: "the video is missing",
        names[5][:-4]: "has no sound",
    }
    with pytest.raises(CfnsrError, match="Git LFS pointer"):
        folder.clips(tmp_path / "out", BadClips("fail"))


def test_folder_of_sound_is_sound_alone(videos: Path, sheet: Path, tmp_path: Path, params: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rows = []
    for speaker in SPEAKERS:
        for number, emotion in enumerate(("happy", "sad")):
            tone(sounds / f"{speaker}_{emotion}.wav", pitch_hz=100.0 * int(speaker[-1]) + 30 * number)
            rows.append({"file": f"{speaker}_{emotion}", "label": emotion, "speaker": speaker})
    pd.DataFrame(rows).to_csv(tmp_path / "sounds.csv", index=False)
    result = command(sounds, tmp_path / "sounds.csv", params)
    assert result.exit_code == 0 and "pictures: none; the sound is used alone" in result.output, result.output
    values = config.load(params)
    assert values.modalities == ["audio"] and values.run.pretrain == ["audio"] and not values.run.train
    clips = folder.clips(prepare_actor("1002", tmp_path / "out", options_of(params)), BadClips("fail"))
    assert [clip.path.name for clip in clips] == ["1002_happy.wav", "1002_sad.wav"]
    assert command(videos, sheet, params).exit_code == 0
    values = config.load(params)
    assert values.modalities == ["video", "audio"] and values.run.train == ["cfnsr"] and len(values.run.pretrain) == 2


def run(main: Command, *arguments: str) -> Result:
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == 0, result.output
    return result


def run_to_shard(speaker: str) -> Shard:
    """Run the stages of one speaker, in the current folder."""
    run(download, "folder", speaker, f"raw/{speaker}")
    run(landmarks, "folder", f"raw/{speaker}", "published", f"landmarks/{speaker}.parquet")
    run(crop, f"landmarks/{speaker}.parquet", f"faces/{speaker}.parquet")
    run(extract, "folder", f"raw/{speaker}", f"faces/{speaker}.parquet", f"shards/{speaker}")
    return shards.read(Path(f"shards/{speaker}"))


def test_parts_of_recordings_become_shards(tmp_path: Path, params: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three recordings of two people, each with a wav file; speakers of one recording stay in one fold."""
    monkeypatch.chdir(tmp_path)
    Path("calls").mkdir()
    Path("published").mkdir()
    rows = []
    for number in range(3):
        numbered(Path(f"calls/{number}.mp4"), frames=120, rate=Fraction(30), sound_s=None, first=40 * number)
        landmarks_beside(Path(f"calls/{number}.csv"), 120)
        tone(Path(f"calls/{number}.wav"), pitch_hz=200.0 + 50 * number, length_s=4.0)
        for part, (speaker, label) in enumerate([("a", "x"), ("b", "y"), ("a", "y"), ("b", "x")]):
            row = {"file": f"{number}.mp4", "label": label, "speaker": f"{speaker}{number}", "audio": number}
            rows.append(row | {"start_s": part, "end_s": part + 1, "face": ""})
    pd.DataFrame(rows).to_csv("calls.csv", index=False)
    run(cli.main, "folder", "calls", "calls.csv", "--folds", "3")
    values = config.load(params)
    assert list(values.folds.values()) == [["a0", "b0"], ["a1", "b1"], ["a2", "b2"]]
    assert values.modalities == ["video", "audio"] and values.extract.window_s == 1.0
    shard = run_to_shard("b1")
    files = sorted(path.relative_to("raw/b1").as_posix() for path in Path("raw/b1").rglob("*.*"))
    assert files == ["1_0001000.csv", "1_0001000.mp4", "labels.parquet", "sound/1_0001000.wav"]
    assert shard.index[["clip", "label"]].values.tolist() == [["1_0001000", "y"], ["1_0003000", "x"]]
    assert shard.index["padded_s"].max() < 0.001
    assert shard.index["duration_s"].tolist() == pytest.approx([1.0, 1.0], abs=0.01)
    assert not np.array_equal(shard.arrays["frames"][0], shard.arrays["frames"][1])


def test_labels_come_from_names_of_a_known_corpus(tmp_path: Path, params: Path) -> None:
    for number, speaker in enumerate(("DC", "JE", "JK", "KL")):
        (tmp_path / "savee" / speaker).mkdir(parents=True)
        for code in ("a", "sa"):
            tone(tmp_path / f"savee/{speaker}/{code}01.wav", pitch_hz=100.0 + 50 * number + len(code))
    arguments = ["folder", str(tmp_path / "savee"), "--folds", "4", "--params", str(params)]
    result = CliRunner().invoke(cli.main, [*arguments, "--from", "savee"])
    assert result.exit_code == 0, result.output
    assert config.load(params).actors == ["DC", "JE", "JK", "KL"]
    assert options_of(params)["labels"] == ["anger", "sadness"]
    refused = CliRunner().invoke(cli.main, arguments)
    assert refused.exit_code == 2 and "give either LABELS or --from" in refused.output


def test_rare_speakers_and_labels_are_left_out(videos: Path, sheet: Path, params: Path) -> None:
    table = pd.read_csv(sheet, dtype=str)
    table.loc[table["file"].str.contains("1001_DFA_ANG"), "label"] = "rage"
    fourth = table["file"].str.contains("1003_IEO")
    table.loc[fourth, "speaker"] = "1004"
    table.to_csv(sheet, index=False)
    refused = command(videos, sheet, params)
    assert "classes without a clip in a fold's training set: rage in fold_1 (spoken by 1 (1001))" in refused.output
    table.loc[fourth & table["file"].str.contains("ANG|HAP"), "speaker"] = "1001"
    table.to_csv(sheet, index=False)
    result = command(videos, sheet, params, "--min-clips", "3")
    cost = "speakers 1 (1004: 2 clips) and labels 1 (rage: 1 clips); this costs 3 of 24 clips"
    assert cost in result.output and config.load(params).actors == list(SPEAKERS)
    assert config.load(params).corpora.folder.labels == sorted(EMOTIONS.values())


def test_map_renames_joins_and_drops_labels(videos: Path, sheet: Path, tmp_path: Path, params: Path) -> None:
    names = tmp_path / "map.csv"
    names.write_text("from;to\nanger;very bad\nsadness;very bad\nneutral;\n")
    result = command(videos, sheet, params, "--labels", str(names))
    assert result.exit_code == 0, result.output
    assert config.load(params).corpora.folder.labels == ["happiness", "very_bad"]
    assert "dropped by the map of labels: neutral 6" in result.output
    assert "renamed: very bad -> very_bad" in result.output
    assert "clips by label: happiness 6, very_bad 12" in result.output
    names.write_text("from,to\nanger,bad\nanger,good\n")
    refused = command(videos, sheet, params, "--labels", str(names))
    assert "labels with two new names: 1 ('anger')" in refused.output
    names.write_text("from,to\nangry,bad\n")
    refused = command(videos, sheet, params, "--labels", str(names))
    assert "labels of the map that no row has: 1 ('angry')" in refused.output


def test_folds_are_replaced_and_restored(videos: Path, sheet: Path, tmp_path: Path, params: Path, root: Path) -> None:
    params.write_text(params.read_text().replace("  fold_1:\n", "  group_a:\n"))
    table = pd.read_csv(sheet, dtype=str).assign(speaker=[f"s{number % 9}" for number in range(24)])
    table["label"] = ["None", "calm"] * 12
    table.to_csv(sheet, index=False)
    assert command(videos, sheet, params, "--folds", "9").exit_code == 0
    values = config.load(params)
    assert len(values.folds) == 9 and values.corpora.folder.labels == ["None", "calm"]
    presets = ["--presets", str(root / "presets"), "--params", str(params)]
    assert CliRunner().invoke(cli.main, ["preset", "studio", *presets]).exit_code == 0
    assert config.load(params).folds == config.load(root / "params.yaml").folds


def test_groups_and_folds_of_the_sheet_are_kept(videos: Path, sheet: Path, params: Path) -> None:
    table = pd.read_csv(sheet, dtype=str).assign(speaker=[f"s{number % 6}" for number in range(24)])
    table.assign(group=table["speaker"].map(lambda name: f"call {int(name[1]) % 3}")).to_csv(sheet, index=False)
    assert command(videos, sheet, params).exit_code == 0
    assert list(config.load(params).folds.values()) == [["s0", "s3"], ["s1", "s4"], ["s2", "s5"]]
    assert "names 3 groups of speakers, too few for 4 folds" in command(videos, sheet, params, "--folds", "4").output
    table.assign(Fold=table["speaker"].map(lambda name: f"Session {int(name[1]) // 2}")).to_csv(sheet, index=False)
    assert command(videos, sheet, params).exit_code == 0
    assert config.load(params).folds == {
        "fold_Session_0": ["s0", "s1"],
        "fold_Session_1": ["s2", "s3"],
        "fold_Session_2": ["s4", "s5"],
    }
    table.assign(fold=["1", "2"] * 11 + ["1", ""]).to_csv(sheet, index=False)
    assert "rows without a fold: 1 (line 25)" in command(videos, sheet, params).output


def test_too_few_speakers_are_refused(videos: Path, sheet: Path, params: Path) -> None:
    assert (
        "names 3 speakers, too few for 4 folds. Use --folds 3" in command(videos, sheet, params, "--folds", "4").output
    )
    pd.read_csv(sheet, dtype=str).query("speaker != '1003'").to_csv(sheet, index=False)
    assert "Three are needed: to train, to validate and to test" in command(videos, sheet, params).output


def test_stages_skip_bad_clips_and_go_on(
    videos: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own, text = shutil.copytree(videos, tmp_path / "own"), (root / "params.yaml").read_text()
    sheet = sheet_of(own, tmp_path / "crema-d.csv")
    (own / "1001_DFA_ANG_XX.mp4").write_bytes(b"")
    Path("params.yaml").write_text(text.replace("on_bad_clip: fail", "on_bad_clip: skip"))
    Path("published").mkdir()

    run(cli.main, "folder", str(own), str(sheet), "--folds", "3")
    (own / "1002_DFA_HAP_XX.mp4").unlink()
    for speaker in SPEAKERS:
        run_to_shard(speaker)
    run(check, "folder", ".")
    manifest = json.loads(Path("manifest.json").read_text())
    assert manifest["labels"] == sorted(EMOTIONS.values())
    assert manifest["clips"] == {"1001": 7, "1002": 7, "1003": 8}
    assert manifest["skipped"] == {
        "1001/1001_DFA_ANG_XX": "is empty",
        "1002/1002_DFA_HAP_XX": "is missing in the folder of videos",
    }


@pytest.mark.parametrize("damage", ["label", "bit", "truncated", "empty", "no metadata"])
def test_a_changed_table_is_noticed(
    videos: Path, sheet: Path, tmp_path: Path, params: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    assert command(videos, sheet, params).exit_code == 0
    table = Path(options_of(params)["intake"])
    content = table.read_bytes()
    changed = {
        "bit": content[:99] + bytes([content[99] ^ 1]) + content[100:],
        "truncated": content[: len(content) // 2],
        "empty": b"",
    }
    table.write_bytes(changed.get(damage, content))
    if damage == "label":
        pq.write_table(pa.table(pd.read_parquet(table).replace("anger", "sadness")), table)
    elif damage == "no metadata":
        pq.write_table(pq.read_table(table).replace_schema_metadata({b"labels_files": b"[1]"}), table)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    problem = r"intake\.parquet: is not the table that params\.yaml was written with\. Run `cfnsr folder VIDEOS"
    for main, arguments in ((cli.main, ["check"]), (check, ["folder", str(tmp_path)])):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1 and re.search(problem, result.output) and result.output.count("\n") == 1


def test_a_missing_table_is_said(
    videos: Path, sheet: Path, tmp_path: Path, params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another machine that has the data: its labels are not compared, and nothing else is hindered."""
    assert command(videos, sheet, params).exit_code == 0
    options = options_of(params)
    assert labels_files.check("folder", **options) == []
    Path(options["intake"]).unlink()
    (note,) = labels_files.check("folder", **options)
    assert note == f"{options['intake']} is missing: its labels are not compared with the labels file"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    assert f"note: {note}\n" in CliRunner().invoke(check, ["folder", str(tmp_path)]).output
