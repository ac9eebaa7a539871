"""Labels files as people write them, read against the folder of their videos."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cfnsr.corpora.folder import intake, sheet
from cfnsr.corpora.folder.intake import Intake
from cfnsr.corpora.folder.names import safe
from cfnsr.errors import CfnsrError
from tests.support import memory

ROWS = [("a.mp4", "happy", "01"), ("b.mov", "Ärger", "Zoë")]


def read(tmp_path: Path, content: bytes | str, files: list[str], label_map: Path | None = None) -> Intake:
    videos = tmp_path / "videos"
    videos.mkdir(exist_ok=True)
    for file in files:
        (videos / file).parent.mkdir(parents=True, exist_ok=True)
        (videos / file).write_text("x_0" if file.endswith("csv") else "")
    path = tmp_path / "sheet.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return intake.read(path, videos, label_map, skip_missing=False)


def text(separator: str, header: str = "file,label,speaker") -> str:
    return "\r\n".join(line.replace(",", separator) for line in [header, *map(",".join, ROWS)])


@pytest.mark.parametrize(
    "content",
    [
        text(",").encode(),
        text(",").encode("utf-8-sig"),
        text(";").encode("cp1252"),
        text("\t").encode("utf-16"),
        text("\t").encode("utf-16-le"),
        text("|", " File,LABEL ,Speaker").encode(),
        (text(";") + ";\r\n;;\r\n\r\n;;;").encode(),
        (text(", ") + "\r\n").encode(),
        text(",", '"file","label",speaker').encode(),
        text(",", "\ufefffile,label\u200b,\u00a0speaker").encode("utf-8-sig"),  # two marks: saved by two programs
        text(",", "file,label,speaker,,,note,note").encode(),
    ],
)
def test_plain_tables_are_read(tmp_path: Path, content: bytes) -> None:
    entries = read(tmp_path, content, ["a.mp4", "b.mov"]).entries
    assert [(entry.file, entry.written_label, entry.written_speaker) for entry in entries] == ROWS
    assert [(entry.clip, entry.label, entry.speaker) for entry in entries] == [
        ("a", "happy", "01"),
        ("b", "Arger", "Zoe"),
    ]


def test_parquet_with_numbers_is_read(tmp_path: Path) -> None:
    table = pd.DataFrame({"file": ["a.mp4", "b.mp4"], "label": ["x", "y"], "speaker": [1, 2], "group": [7.0, None]})
    table.to_parquet(tmp_path / "table")
    entries = read(tmp_path, (tmp_path / "table").read_bytes(), ["a.mp4", "b.mp4"]).entries
    assert [(entry.speaker, entry.group) for entry in entries] == [("1", "7"), ("2", "")]


def test_spreadsheet_is_read(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="spreadsheets need the extra xlsx")
    table = pd.DataFrame({"File": ["a.mp4", "b.mp4"], "label": ["x", "y"], "speaker": [1, "02"]})
    table.to_excel(tmp_path / "table.xlsx", index=False)
    entries = read(tmp_path, (tmp_path / "table.xlsx").read_bytes(), ["a.mp4", "b.mp4"]).entries
    assert [(entry.file, entry.speaker) for entry in entries] == [("a.mp4", "1"), ("b.mp4", "02")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "is neither text nor a Parquet or xlsx file"),
        (b"\x81\x8d", "is neither text nor"),
        (b"PAR1", "cannot be read"),
        (b"PK\x03\x04", "(cannot be read|needs the package openpyxl)"),
        (
            b"file:label:speaker\na:b:c",
            r"has one column: 'file:label:speaker'\. Name the columns file, label",
        ),
        (b"name;label\n1;2", r"lacks the column file, speaker; it has 2 columns: 'name', 'label'"),
        (b"file,label,speaker\n,,\n", "has no row below its header"),
        (b"file,label,speaker, Label\na,b,c,d", "has the column label twice"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(CfnsrError, match=problem) as error:
        read(tmp_path, content, ["a.mp4"])
    assert str(error.value).isprintable()


def test_binary_tables_with_a_column_twice_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="spreadsheets need the extra xlsx")
    rows = [["file", "label", "speaker", "Label "], ["a.mp4", "happy", "1", "sad"]]
    columns = [pa.array([cell]) for cell in rows[1]]
    names = ["file", "label", "speaker", "label"]
    pq.write_table(pa.Table.from_arrays(columns, names=names), tmp_path / "table")
    pd.DataFrame(rows).to_excel(tmp_path / "table.xlsx", index=False, header=False)
    pd.DataFrame([rows[1]], columns=names).to_excel(tmp_path / "alike.xlsx", index=False)
    for name in ("table", "table.xlsx", "alike.xlsx"):
        with pytest.raises(CfnsrError, match=r"sheet\.csv: has the column label twice\. Rename one of them"):
            read(tmp_path, (tmp_path / name).read_bytes(), ["a.mp4"])


def test_spreadsheet_rows_have_their_own_numbers(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="spreadsheets need the extra xlsx")
    rows = [[""] * 3, ["file", "label", "speaker"], [""] * 3, ["a.mp4", "", "1"]]
    pd.DataFrame(rows).to_excel(tmp_path / "table.xlsx", index=False, header=False)
    with pytest.raises(CfnsrError, match=r"rows with an empty cell: 1 \(line 4, label\)"):
        read(tmp_path, (tmp_path / "table.xlsx").read_bytes(), ["a.mp4"])


def test_all_problems_are_in_one_message(tmp_path: Path) -> None:
    rows = [
        "file,label,speaker",
        "a.mp4,happy,01",
        "b.mp4,Happy,1",
        "c.mp4,,anna",
        "d.mp4,NaN,anna",
        "e.mp4,sad,Anna",
        "f.mp4,sad,anna",
        "a.mp4,sad,anna",
        "../g.mp4,sad,anna",
        f"{__file__},sad,anna",
        "h.mp4,sad,anna,more",
        "!.mp4,sad,?!",
        "i.mp4,very sad,!",
        "j.mp4,v. sad,Ann+a",
    ]
    with pytest.raises(CfnsrError) as error:
        read(tmp_path, "\n".join(rows), ["a.mp4", "b.mp4", "e.mp4", "h.mp4", "!.mp4", "i.mp4", "j.mp4"])
    for problem in (
        "rows with an empty cell: 2 (line 4, label, line 5, label)",
        "labels that differ by a hair: 1 ('Happy' and 'happy')",
        "speakers that differ by a hair: 2 ('01' and '1', 'Anna' and 'anna')",
        "1 (f.mp4)",
        "videos named twice: 1 (a.mp4 in lines 2 and 8)",
        f"2 (../g.mp4, {__file__})",
        "more cells than the header's 3: 1 (line 11)",
        "speaker without a letter or digit: 2",
        "--labels map.csv",
    ):
        assert problem in str(error.value)
    assert str(error.value).isprintable()


def test_names_that_no_disk_takes_are_refused(tmp_path: Path) -> None:
    """A disk counts bytes: an umlaut has two. The names of the folders stand before that of the second `x`."""
    files = ["ü" * 120 + ".mp4", "x.mp4", f"{'d' * 120}/{'e' * 120}/x.mp4"]
    rows = [f"{files[0]},{'l' * 60},1,{'f' * 60},", f"{files[1]},b,{'s' * 300},g,{'g' * 300}", f"{files[2]},b,2,g,"]
    with pytest.raises(CfnsrError) as error:
        read(tmp_path, "\n".join(["file,label,speaker,fold,group", *rows]), files)
    for column, letter in (("label", "l"), ("speaker", "s"), ("fold", "f")):
        assert f"{column}s of more than 59 letters: 1 ('{letter * 20}...')" in str(error.value)
    assert "videos whose names have more than 200 bytes: 2 (" in str(error.value) and "groups" not in str(error.value)


def test_groups_that_differ_by_a_hair_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"groups that differ by a hair: 1 \('Call 1' and 'call 01'\)"):
        read(tmp_path, "file,label,speaker,group\na,x,1,call 01\nb,y,2,Call 1\nc,y,3,", ["a.mp4", "b.mp4", "c.mp4"])


def test_words_that_become_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"become one name, a_b: 1 \('a b' and 'a_ b'\)|differ by a hair: 1"):
        read(tmp_path, "file,label,speaker\na,x,a b\nb,y,a_ b", ["a.mp4", "b.mp4"])
    with pytest.raises(CfnsrError, match="labels that become one name, ae"):
        read(tmp_path, "file,label,speaker\na,ae,1\nb,æ,2", ["a.mp4", "b.mp4"])


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("a__1", "a__1"),
        ("Mrs. Green", "Mrs_Green"),
        ("spk-02", "spk_02"),
        (" very  angry! ", "very_angry"),
        ("Überraschung", "Uberraschung"),
        ("Überraschung", "Uberraschung"),
        ("Ωμέγα", "omegamuepsilongammaalpha"),
        ("기쁨", "gibbeum"),
        ("喜び", "559cbi"),
        ("\uff11", "1"),
    ],
)
def test_names_are_letters_digits_and_underscores(word: str, name: str) -> None:
    assert safe(word) == name


def test_files_are_found_as_people_name_them(tmp_path: Path) -> None:
    real = ["Day 1/Kåre.MP4", "b.c.flv", "b.c.csv", "two.mov", "two.avi", "three.wav", "three.mkv", "three.csv"]
    names = ["day 1\\" + unicodedata.normalize("NFD", "kåre.mp4"), "./b.c", "three"]
    rows = [f"{name},x,{number}" for number, name in enumerate(names)]
    found = read(tmp_path, "\n".join(["file,label,speaker", *rows]), real)
    assert [entry.file for entry in found.entries] == ["Day 1/Kåre.MP4", "b.c.flv", "three.mkv"]
    assert [entry.landmarks for entry in found.entries] == ["", "b.c.csv", "three.csv"]
    assert found.surplus == []
    with pytest.raises(CfnsrError, match=r"names that fit several files: 1 \(two: two\.avi and two\.mov\)"):
        read(tmp_path, "file,label,speaker\ntwo,x,1", real)
    whole = f"file,label,speaker\n{tmp_path.resolve()}/videos/two.mov,x,1"
    assert [entry.file for entry in read(tmp_path, whole, real).entries] == ["two.mov"]


def test_folders_name_clips_of_equal_names(tmp_path: Path) -> None:
    files = ["DC/a1.avi", "J E/a1.avi", "J E/b.avi", "J E/extra.avi", "processed/b.csv", "DC/processed/a1.csv"]
    entries = read(tmp_path, "file,label,speaker\nDC/a1.avi,x,DC\nJ E/a1.avi,x,JE\nJ E/b.avi,y,JE", files)
    assert [entry.clip for entry in entries.entries] == ["DC_a1", "J_E_a1", "b"]
    assert [entry.landmarks for entry in entries.entries] == ["DC/processed/a1.csv", "", "processed/b.csv"]
    assert entries.surplus == ["J E/extra.avi"]
    with pytest.raises(CfnsrError, match=r"videos whose names become one: 1 \(a/x\.mov and a/x\.mp4\)"):
        read(tmp_path, "file,label,speaker\na/x.mov,x,1\na/x.mp4,x,2", ["a/x.mov", "a/x.mp4"])


def test_links_in_circles_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "videos" / "a" / "up").symlink_to(tmp_path / "videos")
    found = read(tmp_path, "file,label,speaker\na/up/a.mp4,x,1", ["a.mp4", "a/b.mp4"])
    assert [entry.file for entry in found.entries] == ["a/up/a.mp4"]
    assert found.surplus == ["a.mp4", "a/b.mp4"]


def test_columns_nobody_reads_are_named(tmp_path: Path) -> None:
    assert read(tmp_path, "file,label,speaker,age\na,x,1,30", ["a.mp4"]).unread == ["age"]


@pytest.mark.parametrize(
    "rows", ['b.mp4,s,"2\nc.mp4,h,3\nd.mp4,s,4\n', 'b.mp4,s,"2\nc.mp4,h,"3"\n', 'b.mp4,s,"2\nc.mp4,h,3"\nd.mp4,s,4\n']
)
def test_unclosed_quote_swallows_no_row(tmp_path: Path, rows: str) -> None:
    with pytest.raises(CfnsrError, match="Look for a quote that is not closed"):
        read(tmp_path, f"file,label,speaker\na.mp4,h,1\n{rows}", ["a.mp4", "b.mp4", "c.mp4", "d.mp4"])


def test_broken_links_and_long_names_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.csv").symlink_to(tmp_path / "nowhere")
    (entry,) = read(tmp_path, "file,label,speaker\na.mp4,h,1\n", ["a.mp4"]).entries
    assert entry.landmarks == ""
    with pytest.raises(CfnsrError, match="videos that are not in"):
        read(tmp_path, f"file,label,speaker\n{'x' * 300}.mp4,h,1\n", ["a.mp4"])


def text_of_all_rows(letters: int) -> pa.Array:
    """Return a column of 6,000 cells with one text, which the file has once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * 6000, pa.int32()), pa.array(["x" * letters]))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is measured in /proc, which only Linux has")
@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("group", r"column group has a cell of 100,000 bytes; the limit is 16,384"),
        ("note", r"videos that are not in"),  # it is not read
        ("label.first", r"videos that are not in"),  # Arrow reads it with `label`
    ],
)
def test_text_of_many_parquet_rows_is_not_unpacked(tmp_path: Path, column: str, problem: str) -> None:
    columns = {name: pa.array(["1"] * 6000) for name in ("file", "label", "speaker")}
    table = pa.table({**columns, column: text_of_all_rows(100_000)})
    pq.write_table(table, tmp_path / "table", store_schema=False)
    with memory.at_most(200), pytest.raises(CfnsrError, match=problem):
        read(tmp_path, (tmp_path / "table").read_bytes(), [])


def test_parquet_with_too_many_rows_is_refused(tmp_path: Path) -> None:
    rows = 1_000_001
    table = pa.table({name: pa.nulls(rows, pa.string()) for name in ("file", "label", "speaker")})
    pq.write_table(table, tmp_path / "table")
    with pytest.raises(CfnsrError, match=r"its 1,000,001 rows unpack to 0 MB; the limits are 1,000,000 and 128"):
        read(tmp_path, (tmp_path / "table").read_bytes(), [])


def test_columns_of_lists_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file": [["a"]], "label": ["x"], "speaker": ["1"]}), tmp_path / "table")
    with pytest.raises(CfnsrError, match=r"its column file is list<.*, not text or numbers"):
        read(tmp_path, (tmp_path / "table").read_bytes(), [])


def test_spreadsheet_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="spreadsheets need the extra xlsx")
    pd.DataFrame({"file": ["a.mp4"], "label": ["x"], "speaker": [1]}).to_excel(tmp_path / "table", engine="openpyxl")
    with ZipFile(tmp_path / "table", "a", ZIP_DEFLATED) as file:
        file.writestr("more", bytes(1 << 25))
    with pytest.raises(CfnsrError, match=r"it unpacks to 32 MB; the limit is 32"):
        read(tmp_path, (tmp_path / "table").read_bytes(), ["a.mp4"])


def test_texts_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CfnsrError, match=r"/dev/zero: has more than 128 MB"):
        intake.read(Path("/dev/zero"), tmp_path, None, skip_missing=False)
    monkeypatch.setattr(sheet, "MOST_ROWS", 2)
    with pytest.raises(CfnsrError, match="has more than 2 rows"):
        read(tmp_path, "file,label,speaker\n\n\n\n", [])
    for separator, problem in ((",", "16,384 columns or 128 million letters"), (";", "field larger than field limit")):
        with pytest.raises(CfnsrError, match=problem):
            read(tmp_path, separator * 200_000, [])
    with pytest.raises(CfnsrError, match="has a cell of more than 4,096 letters in line 2"):
        read(tmp_path, f"file,label,speaker\n{'a' * 4097},x,1", [])
