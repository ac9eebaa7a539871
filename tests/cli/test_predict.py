from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from cfnsr.cli import main
from cfnsr.inference.card import NOT_FOR, Card, HeldOut
from cfnsr.preprocessing import media
from tests.inference.conftest import Saved, saved
from tests.support.media import tone

__all__ = ["saved"]  # a fixture


@pytest.fixture
def model(saved: Callable[..., Saved]) -> Path:
    path, _ = saved("averaging", "face_mesh")
    held_out = HeldOut(0.5, 0.4, 0.6, 0.49, 64, 8, "held_out")
    Card("small", corpus="studio", labels=["a", "b"], temperature=1.5, held_out=held_out).write(path.parent)
    return path


def predict(model: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["predict", "--model", str(model), "--device", "cpu", *map(str, arguments)])


def test_each_window_has_a_line_and_a_row(model: Path, studio_actor: Path, tmp_path: Path) -> None:
    clip = sorted(studio_actor.glob("*.mp4"))[0]
    outputs = {name: tmp_path / "out" / f"table.{name}" for name in ("csv", "parquet", "json")}
    result = predict(
        model, clip, "--every", 0.6, *(part for name, path in outputs.items() for part in (f"--{name}", path))
    )
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"{clip}  (faces: face_mesh)" and lines[1].strip().startswith("0.0–2.") and "face " in lines[1]
    assert lines[-1] == f"{NOT_FOR}." and "50.0 % (40.0–60.0)" in lines[-2] and " rows: " in lines[-3]
    table, same = pd.read_csv(outputs["csv"]), pd.read_parquet(outputs["parquet"])
    content = json.loads(outputs["json"].read_text())
    assert len(table) == len(same) == len(content["rows"]) == len(lines) - 4 > 1
    assert content["model"]["temperature"] == 1.5 and content["landmarks"] == {str(clip): "face_mesh"}
    assert table["p_happy"][0] == pytest.approx(same["p_happy"][0]) == pytest.approx(content["rows"][0]["p_happy"])


def test_bad_file_is_one_line_and_the_rest_goes_on(model: Path, studio_actor: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.mp4").write_text("text")
    (folder / "b\x1b[31m\n.mp4").write_text("a name that would colour the terminal")
    tone(folder / "c.wav", pitch_hz=200)
    (folder / "d.mp4").symlink_to(sorted(studio_actor.glob("*.mp4"))[0])
    result = predict(model, tmp_path / "none.mp4", folder, "--json", tmp_path / "table.json")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert [error.split(": ")[1].removeprefix(str(tmp_path)) for error in errors] == [
        "/none.mp4",
        "/folder/a.mp4",
        "/folder/b\\x1b[31m\\n.mp4",
    ]
    assert "\x1b[31m" not in result.output and "Traceback" not in result.output
    assert "no prediction, no face (the file has no picture), no voice (nobody speaks)" in result.stdout
    assert "d.mp4" in result.stdout
    content = json.loads((tmp_path / "table.json").read_text())
    assert len(content["failed"]) == 3 and [row["emotion"] is None for row in content["rows"]] == [True, False]


@pytest.mark.parametrize("arguments", [["--window", "0"], ["--every", "nan"], ["--model", "nothing"]])
def test_wrong_option_is_one_line(model: Path, studio_actor: Path, arguments: list[str]) -> None:
    result = predict(model, sorted(studio_actor.glob("*.mp4"))[0], *arguments)
    assert result.exit_code == 1 and result.stderr.count("Error: ") == 1 and "Traceback" not in result.output


def test_help_says_what_it_is_not_for() -> None:
    result = CliRunner().invoke(main, ["predict", "--help"])
    assert "Not for decisions about people" in result.output and "cfnsr predict interview.mp4" in result.output


def test_page_and_video_are_written_beside_tables(model: Path, studio_actor: Path, tmp_path: Path) -> None:
    clip = sorted(studio_actor.glob("*.mp4"))[0]
    page, video, table = (tmp_path / "out" / name for name in ("said.html", "said.mp4", "said.csv"))
    result = predict(model, clip, "--page", page, "--annotate", video, "--csv", table)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert f"{NOT_FOR}." in text and "50.0 % (40.0–60.0)" in text and text.count("<img") >= 3
    assert "bright where the prediction depends on it most" in text and clip.name in text
    before, after = media.timeline(clip), media.timeline(video)
    assert len(after.pts) == len(before.pts) and after.tracks and len(pd.read_csv(table)) == 1
    assert sorted(path.name for path in page.parent.iterdir()) == ["said.csv", "said.html", "said.mp4"]


def test_page_names_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "<i>bad.wav").write_text("text")
    tone(tmp_path / "tone.wav", pitch_hz=200)
    result = predict(Path("voice_emodb"), tmp_path, "--page", tmp_path / "said.html")
    assert result.exit_code == 1
    text = (tmp_path / "said.html").read_text()
    assert "&lt;i&gt;bad.wav: is not a readable" in text and "no voice" in text and "studio" not in text


@pytest.mark.parametrize("case", ["folder", "two", "sound", "itself", "text", "suffix"])
def test_what_cannot_be_annotated_is_one_line(model: Path, studio_actor: Path, tmp_path: Path, case: str) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / "out" / "said.mp4"
    clip.write_bytes(sorted(studio_actor.glob("*.mp4"))[0].read_bytes())
    before = clip.read_bytes()
    (tmp_path / "text.mp4").write_text("text")
    sound = tone(tmp_path / "tone.wav", pitch_hz=200)
    given: dict[str, tuple[list[Path], Path, str]] = {
        "folder": ([tmp_path], out, "takes one video"),
        "two": ([clip, clip], out, "takes one video"),
        "sound": ([sound], out, "has no picture"),
        "itself": ([clip], clip, "is the recording itself"),
        "text": ([tmp_path / "text.mp4"], out, "is not a readable media file"),
        "suffix": ([clip], out.with_suffix(".gif"), "is none of the formats"),
    }
    paths, target, problem = given[case]
    result = predict(model, *paths, "--annotate", target)
    assert result.exit_code == 1 and problem in result.stderr and result.stdout == ""
    assert result.stderr.count("Error: ") == 1 and "Traceback" not in result.output
    assert clip.read_bytes() == before and not out.parent.exists()


@pytest.mark.parametrize("outputs", [["--csv", "IN"], ["--page", "LINK"], ["--csv", "OUT", "--json", "./OUT"]])
def test_no_output_replaces_recording_or_output(model: Path, tmp_path: Path, outputs: list[str]) -> None:
    clip = tone(tmp_path / "call.wav", pitch_hz=200)
    (tmp_path / "link").symlink_to(clip)
    names = {"IN": clip, "LINK": tmp_path / "link", "OUT": tmp_path / "out", "./OUT": tmp_path / "." / "out"}
    before = clip.read_bytes()
    result = predict(model, tmp_path, *(names.get(part, part) for part in outputs))
    assert result.exit_code == 1 and result.stderr.count("Error: ") == 1 and not result.stdout
    assert clip.read_bytes() == before and not (tmp_path / "out").exists()


def test_output_to_device_is_refused(model: Path, tmp_path: Path) -> None:
    clip = tone(tmp_path / "call.wav", pitch_hz=200)
    os.mkfifo(tmp_path / "pipe")
    result = predict(model, clip, "--csv", tmp_path / "pipe")
    assert result.exit_code == 1 and "would be replaced" in result.stderr and (tmp_path / "pipe").is_fifo()


def test_name_that_is_no_text_is_in_all_outputs(model: Path, tmp_path: Path) -> None:
    clip = tone(Path(os.fsdecode(bytes(tmp_path) + b"/\xff.wav")), pitch_hz=200)
    outputs = [part for name in ("csv", "parquet", "json", "page") for part in (f"--{name}", tmp_path / name)]
    result = predict(model, clip, *outputs)
    assert result.exit_code == 0, result.output
    assert pd.read_csv(tmp_path / "csv")["file"].tolist() == [f"{tmp_path}/\\udcff.wav"]


def test_path_too_long_is_one_line(model: Path) -> None:
    result = predict(model, "a" * 5000)
    assert result.exit_code == 1 and result.stderr.count("Error: ") == 1 and "does not exist" in result.stderr
    assert "there is no such model" in predict(Path("a" * 5000), "b").stderr


def test_card_and_labels_cannot_write_to_terminal(saved: Callable[..., Saved], studio_actor: Path) -> None:
    path, _ = saved("averaging", "face_mesh", labels=[f"\x1b[3{number}m" for number in range(8)])
    held_out = HeldOut(0.5, 0.4, 0.6, 0.5, 1, 1, "")
    Card("small", corpus="\x1b[31m", not_for="\x1b[2J\n", held_out=held_out).write(path.parent)
    result = predict(path, sorted(studio_actor.glob("*.mp4"))[0])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout and "\\x1b[2J\\n." in result.stdout
