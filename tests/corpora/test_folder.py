"""Any folder of videos with a labels file; CREMA-D is the example."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click import Command
from click.testing import CliRunner

from cfnsr import cli, config
from cfnsr.config import preset
from cfnsr.corpora import folder
from cfnsr.corpora.folder import prepare
from cfnsr.corpora.folder.prepare import labels_file
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.checksum import md5
from stages.check import main as check
from stages.crop import main as crop
from stages.download import main as download
from stages.extract import main as extract
from stages.landmarks import main as landmarks
from tests.support.media import landmarks_beside, numbered
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


def prepare_actor(actor: str, out: Path, **changes: Any) -> Path:
    out.mkdir()
    options = {"labels": list(EMOTIONS.values()), "sheet_md5": md5(Path(changes["sheet"])), **changes}
    prepare.prepare(actor, out, **options, source=Source("http://127.0.0.1:1", "", 1, 0, 1, out), jobs=1)
    return out


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_clips_of_a_speaker_are_linked(videos: Path, tmp_path: Path, ending: str) -> None:
    sheet = sheet_of(videos, tmp_path / f"sheet.{ending}")
    out = prepare_actor("1002", tmp_path / "out", videos=str(videos), sheet=str(sheet))
    clips = folder.clips(out, BadClips("fail"))
    assert [clip.id for clip in clips] == sorted(path.stem for path in videos.glob("1002*.mp4"))
    assert {clip.actor for clip in clips} == {"1002"}
    assert {clip.label for clip in clips} == set(EMOTIONS.values())
    for clip in clips:
        assert (
            clip.path.samefile(videos / clip.path.name)
            or clip.path.read_bytes() == (videos / clip.path.name).read_bytes()
        )
        assert clip.path.with_suffix(".csv").is_file()


def test_example_of_the_docs_makes_labels_file(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "VideoFlash").mkdir()
    for name in ("1002_IEO_SAD_XX", "1001_DFA_ANG_XX", "1001_TAI_NEU_XX"):
        (tmp_path / "VideoFlash" / f"{name}.flv").touch()
    monkeypatch.chdir(tmp_path)
    example = (root / "docs/corpora.md").read_text().split("```python\n")[1].split("```")[0]
    exec(example, {})
    assert labels_file.read(tmp_path / "crema-d.csv") == [
        labels_file.Entry("1001_DFA_ANG_XX.flv", "anger", "1001"),
        labels_file.Entry("1001_TAI_NEU_XX.flv", "neutral", "1001"),
        labels_file.Entry("1002_IEO_SAD_XX.flv", "sadness", "1002"),
    ]


FAULTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no speaker column": (lambda it: it.drop(columns="speaker"), "lacks the column speaker"),
    "a column twice": (lambda it: it.assign(**{" label": it["label"]}), "has a column twice"),
    "an empty cell": (lambda it: it.assign(label=[None, *it["label"][1:]]), "row 1 has an empty cell"),
    "a blank cell": (lambda it: it.assign(label=["  ", *it["label"][1:]]), "row 1 has an empty cell"),
    "a path that climbs": (lambda it: it.assign(file="../" + it["file"]), "is outside the folder"),
    "an absolute path": (lambda it: it.assign(file="/" + it["file"]), "is outside the folder"),
    "a clip twice": (lambda it: pd.concat([it, it.assign(file="more/" + it["file"])]), "have the same name"),
    "a speaker that can name no file": (lambda it: it.assign(speaker="a/b"), "has the speaker 'a/b'"),
    "a label that can name no column": (lambda it: it.assign(label="very angry!"), "has the label 'very angry!'"),
    "a file that is not there": (lambda it: it.assign(file="no_" + it["file"]), "is missing, but"),
    "a file that is no video": (
        lambda it: it.assign(file=it["file"].str.replace("mp4", "csv")),
        "is not the name of a video",
    ),
    "a label that params do not list": (lambda it: it.assign(label="bored"), "has the label 'bored'"),
    "no row of the speaker": (lambda it: it[it["speaker"] != "1002"], "has no row of speaker 1002"),
    "no row at all": (lambda it: it[:0], "has no row of speaker 1002"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_labels_file_is_one_clear_line(videos: Path, sheet: Path, tmp_path: Path, fault: str) -> None:
    change, message = FAULTS[fault]
    change(pd.read_csv(sheet, dtype=str)).to_csv(sheet, index=False)
    with pytest.raises(CfnsrError, match=message) as error:
        prepare_actor("1002", tmp_path / "out", videos=str(videos), sheet=str(sheet))
    assert str(error.value).isprintable()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'"file\n'])
def test_labels_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sheet.csv").write_bytes(content)
    with pytest.raises(CfnsrError, match=r"sheet\.csv: (cannot be read|lacks the column)"):
        labels_file.read(tmp_path / "sheet.csv")
    with pytest.raises(CfnsrError, match=r"none\.csv: cannot be read"):
        labels_file.read(tmp_path / "none.csv")


def test_command_updates_params_and_keeps_the_rest(videos: Path, sheet: Path, tmp_path: Path, root: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text((root / "params.yaml").read_text())
    given = ["folder", str(videos), str(sheet), "--folds", "3", "--params", str(params)]
    result = CliRunner().invoke(cli.main, given)
    assert result.exit_code == 0, result.output
    values = config.load(params)
    assert values.corpus == "folder" and values.actors == list(SPEAKERS)
    assert values.folds == {f"fold_{number}": [f"100{number}"] for number in (1, 2, 3)}
    assert values.corpora.folder.labels == sorted(EMOTIONS.values())
    assert "# Normalisation of the frames: mean and standard deviation" in params.read_text()
    assert CliRunner().invoke(cli.main, given).output == "nothing to change\n"
    labelled = pd.read_csv(sheet, dtype=str).replace("anger", "sadness")
    labelled.to_csv(sheet, index=False)
    options = values.corpora.folder.model_dump()
    with pytest.raises(CfnsrError, match="has changed since `cfnsr folder` read it"):
        prepare_actor("1002", tmp_path / "out", **options)
    assert "corpora.folder.sheet_md5" in CliRunner().invoke(cli.main, given).output
    refused = CliRunner().invoke(cli.main, [*given[:3], "--folds", "4", "--params", str(params)])
    assert refused.exit_code == 1 and "names 3 speakers" in refused.output
    shipped = CliRunner().invoke(
        cli.main, ["preset", "studio", "--params", str(params), "--presets", str(root / "presets")]
    )
    assert shipped.exit_code == 0 and config.load(params).corpus == "studio"


def test_folds_are_replaced_and_restored(tmp_path: Path, root: Path) -> None:
    params, sheet = tmp_path / "params.yaml", tmp_path / "sheet.csv"
    text = (root / "params.yaml").read_text()
    params.write_text(text.replace("  fold_1:\n", "  group_a:\n"))
    rows = [f"{speaker}_{label}.mp4,{label},s{speaker}" for speaker in range(9) for label in ("None", "calm")]
    sheet.write_text("\n".join(["file,label,speaker", *rows]))
    for row in rows:
        (tmp_path / row.split(",")[0]).touch()
    run = CliRunner().invoke
    assert run(cli.main, ["folder", str(tmp_path), str(sheet), "--folds", "9", "--params", str(params)]).exit_code == 0
    values = config.load(params)
    assert len(values.folds) == 9 and values.corpora.folder.labels == ["None", "calm"]
    presets = ["--presets", str(root / "presets"), "--params", str(params)]
    assert run(cli.main, ["preset", "studio", *presets]).exit_code == 0
    assert config.load(params).folds == config.load(root / "params.yaml").folds


@pytest.mark.parametrize(
    ("existing", "speakers", "message"),
    [
        ("abc", "112", "names 2 speakers, too few for 3 folds. Three are needed: to train, to validate and to test"),
        (
            "b",
            "123",
            "names 2 videos that are not in {folder}, for instance a.mp4. Give the folder that its paths start from",
        ),
    ],
)
def test_command_refuses_labels_file_that_cannot_run(
    tmp_path: Path, root: Path, existing: str, speakers: str, message: str
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text((root / "params.yaml").read_text())
    for name in existing:
        (tmp_path / f"{name}.mp4").touch()
    rows = [f"{name}.mp4,calm,{speaker}" for name, speaker in zip("abc", speakers, strict=True)]
    (tmp_path / "sheet.csv").write_text("\n".join(["file,label,speaker", *rows]))
    given = ["folder", str(tmp_path), str(tmp_path / "sheet.csv"), "--folds", "3", "--params", str(params)]
    result = CliRunner().invoke(cli.main, given)
    assert result.exit_code == 1 and message.format(folder=tmp_path) in result.output
    assert params.read_text() == (root / "params.yaml").read_text()


def test_stages_run_with_labels_of_the_folder(
    videos: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sheet = sheet_of(videos, tmp_path / "crema-d.csv")
    Path("params.yaml").write_text((root / "params.yaml").read_text())
    Path("published").mkdir()

    def run(main: Command, *arguments: str) -> None:
        result = CliRunner().invoke(main, [*arguments])
        assert result.exit_code == 0, result.output

    run(cli.main, "folder", str(videos), str(sheet), "--folds", "3")
    preset.update(Path("params.yaml"), {"extract": {"offset_s": 0.1, "window_s": 0.45}})
    for speaker in SPEAKERS:
        run(download, "folder", speaker, f"raw/{speaker}")
        run(landmarks, "folder", f"raw/{speaker}", "published", f"landmarks/{speaker}.parquet")
        run(crop, f"landmarks/{speaker}.parquet", f"faces/{speaker}.parquet")
        run(extract, "folder", f"raw/{speaker}", f"faces/{speaker}.parquet", f"shards/{speaker}")
    run(check, "folder", ".")
    manifest = json.loads(Path("manifest.json").read_text())
    assert manifest["labels"] == sorted(EMOTIONS.values()) and manifest["clips"] == dict.fromkeys(SPEAKERS, 8)
