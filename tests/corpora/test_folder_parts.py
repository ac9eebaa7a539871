"""Rows of the labels file that mean a part of a file, sound from another one, or one face of several."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cfnsr.corpora.folder import intake
from cfnsr.corpora.folder.intake import Intake
from cfnsr.errors import CfnsrError

HEADER = "file,label,speaker,start_s,end_s,face,audio"


def read(tmp_path: Path, rows: list[str], *, skip_missing: bool = False) -> Intake:
    videos = tmp_path / "videos"
    (videos / "wav").mkdir(parents=True, exist_ok=True)
    for file in ("call.mp4", "call.wav", "one.mp4", "wav/one.wav", "wav/other.wav"):
        (videos / file).touch()
    (tmp_path / "sheet.csv").write_text("\n".join([HEADER, *rows]))
    return intake.read(tmp_path / "sheet.csv", videos, None, skip_missing=skip_missing)


def test_rows_of_one_file_are_clips(tmp_path: Path) -> None:
    rows = ["call,x,a,12.5,15,Left,call", "call,y,b,12.5,15,right,call", 'call,y,a,"0,25",3,,', "one,x,a,1,,,wav/one"]
    entries = read(tmp_path, rows).entries
    assert [entry.clip for entry in entries] == ["call_0000250", "call_0012500_left", "call_0012500_right", "one"]
    assert [(entry.start_s, entry.end_s, entry.face) for entry in entries] == [
        (0.25, 3, "longest"),
        (12.5, 15, "left"),
        (12.5, 15, "right"),
        (1, None, "longest"),
    ]
    assert [entry.audio for entry in entries] == ["", "call.wav", "call.wav", "wav/one.wav"]


def test_columns_of_a_spreadsheet_are_read(tmp_path: Path) -> None:
    table = pd.DataFrame({"file": ["call", "call"], "label": ["x", "y"], "speaker": [1, 2], "start_s": [0.5, None]})
    read(tmp_path, ["call,x,a,0,1,,"])  # writes the files
    table.to_parquet(tmp_path / "sheet.csv")
    found = intake.read(tmp_path / "sheet.csv", tmp_path / "videos", None, skip_missing=False)
    assert [(entry.clip, entry.start_s) for entry in found.entries] == [("call_0000000", 0.0), ("call_0000500", 0.5)]


def test_faulty_cells_are_in_one_message(tmp_path: Path) -> None:
    rows = [
        "call,x,a,1:30,,,",
        "call,x,a,-1,,,",
        "call,x,a,nan?,inf,,",
        "call,x,a,5,5,,",
        "call,x,a,6,7,middle,",
        "call,x,a,8,9,,none.wav",
        "call,x,a,10,11,,../call.wav",
        "one,x,a,0,,,",
        "one,y,b,0,,,",
    ]
    with pytest.raises(CfnsrError) as error:
        read(tmp_path, rows)
    for problem in (
        "cells that are no seconds: 4 (line 2, start_s '1:30', line 3, start_s '-1', line 4, start_s 'nan?', ...)",
        "parts that end before they start: 1 (line 5, 5 to 5)",
        "faces of no known kind: 1 (line 6, 'middle')",
        "1 (none.wav)",
        "1 (../call.wav)",
        "videos named twice: 3 (call.mp4 in lines 2 and 3, call.mp4 in lines 2 and 4, one.mp4 in lines 9 and 10)",
        "give each its start_s",
    ):
        assert problem in str(error.value), str(error.value)


def test_missing_sound_is_the_clips_problem(tmp_path: Path) -> None:
    entries = read(tmp_path, ["call,x,a,,,,none.wav", "one,x,a,,,,wav/one.wav"], skip_missing=True).entries
    assert [entry.problem for entry in entries] == ["the file of its sound is missing", ""]


def test_other_sounds_are_no_surplus(tmp_path: Path) -> None:
    assert read(tmp_path, ["one,x,a,,,,wav/one", "wav/other,x,b,,,,call.wav"]).surplus == ["call.mp4"]
