"""Rows of a labels file for corpora whose files say emotion and speaker by their names.

The videos stay where their owners' archives put them; ``build`` looks for them below a folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from cfnsr.errors import CfnsrError

Row = dict[str, str]


def names() -> list[str]:
    """List the corpora."""
    return sorted(_BUILDERS)


def build(name: str, folder: Path) -> pd.DataFrame:
    """Return the rows of a corpus: file (path within the folder), label, speaker, and group if people share recordings.

    Args:
        name: one of ``names()``.
        folder: of the unpacked corpus.

    Raises:
        CfnsrError: there is no such corpus, or the folder has none of its files.
    """
    if name not in _BUILDERS:
        raise CfnsrError("--from", f"there is no corpus {name!r}", f"Choose one of: {', '.join(names())}")
    builder = _BUILDERS[name]
    rows = sorted(builder(folder), key=lambda row: row["file"])
    if not rows:
        summary = (builder.__doc__ or "").splitlines()[0].removesuffix(".")
        raise CfnsrError(folder, f"has no file that is named as in {name}", f"Give the folder of: {summary}")
    return pd.DataFrame(rows)


def _savee(folder: Path) -> Iterator[Row]:
    """SAVEE: DC/a01.avi, speaker and emotion with number; the wav files if there is no video.

    Haq and Jackson, University of Surrey; Info.txt of the corpus.
    """
    emotions = {
        "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise"
    }  # fmt: skip
    pattern = r"(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>a|d|f|h|n|sa|su)\d\d?\.{}"
    rows: list[Row] = []
    for ending in ("avi", "wav"):
        rows = rows or [
            {"file": file, "label": emotions[match["emotion"].lower()], "speaker": match["speaker"].upper()}
            for file, match in _matches(folder, pattern.format(ending))
        ]
    yield from rows


def _mead(folder: Path) -> Iterator[Row]:
    """MEAD: M003/video/front/angry/level_1/001.mp4; the front camera alone, as all seven saw the same.

    Wang and others, "MEAD: A Large-scale Audio-visual Dataset for Emotional Talking-face Generation", ECCV 2020.
    """
    emotions = "angry|contempt|disgusted|fear|happy|neutral|sad|surprised"
    pattern = rf"(?P<speaker>[MW]\d{{3}})/video/front/(?P<emotion>{emotions})/level_[123]/\d{{3}}\.mp4"
    for file, match in _matches(folder, pattern):
        yield {"file": file, "label": match["emotion"].lower(), "speaker": match["speaker"].upper()}


def _enterface(folder: Path) -> Iterator[Row]:
    """eNTERFACE'05: subject 1/anger/sentence 1/s1_an_1.avi; the folders' names decide.

    Martin, Kotsia, Macq and Pitas, "The eNTERFACE'05 Audio-Visual Emotion Database", ICDE Workshops 2006.
    """
    emotions = "anger|disgust|fear|happiness|sadness|surprise"
    pattern = rf"subject[ _-]?(?P<speaker>\d+)/(?P<emotion>{emotions})/sentence[ _-]?\d/[^/]+\.avi"
    for file, match in _matches(folder, pattern):
        yield {"file": file, "label": match["emotion"].lower(), "speaker": f"{int(match['speaker']):02d}"}


def _meld(folder: Path) -> Iterator[Row]:
    """MELD: train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv and the folders of diaX_uttY.mp4.

    Poria and others, "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", ACL 2019.
    Speakers are characters of a series, and a video shows others too.
    """
    videos = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    for split, name in videos.items():
        tables = sorted(folder.rglob(f"{split}_sent_emo.csv"))
        folders = [path for path in sorted(folder.rglob(name)) if path.is_dir()]
        if not tables or not folders:
            continue
        table = pd.read_csv(tables[0], dtype=str, keep_default_na=False, encoding_errors="replace")
        for row in table.to_dict("records"):
            path = folders[0] / f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4"
            file = path.relative_to(folder).as_posix()
            yield {"file": file, "label": row["Emotion"], "speaker": row["Speaker"].strip()}


def _iemocap(folder: Path) -> Iterator[Row]:
    """IEMOCAP: Session1/dialog/EmoEvaluation/Ses*.txt and the sound of Session1/sentences/wav.

    Busso and others, "IEMOCAP: interactive emotional dyadic motion capture database", Language Resources and Evaluation
    42, 2008. Sound alone: its videos show two people in one picture. Turns whose raters do not agree are left out. Both
    people of a session share recordings, and are one group.
    """
    emotions = {
        "ang": "anger", "hap": "happiness", "sad": "sadness", "neu": "neutral", "fru": "frustration",
        "exc": "excitement", "fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other",
    }  # fmt: skip
    line = re.compile(r"\[[\d.]+ - [\d.]+\]\s+((Ses\d\d)[FM]_\w+)_([FM])(\w+)\s+([a-z]{3})\s")
    for table in sorted(folder.rglob("dialog/EmoEvaluation/Ses*.txt")):
        session = table.parents[2]
        for dialogue, number, gender, turn, emotion in line.findall(table.read_text(encoding="latin-1")):
            if emotion in emotions:
                path = session / f"sentences/wav/{dialogue}/{dialogue}_{gender}{turn}.wav"
                file = path.relative_to(folder).as_posix()
                yield {"file": file, "label": emotions[emotion], "speaker": f"{number}{gender}", "group": number}


def _matches(folder: Path, pattern: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Find the files whose path ends as a pattern says; names of folders may be in any case."""
    end = re.compile(rf"(?:.*/)?{pattern}", re.IGNORECASE)
    for path in folder.rglob("*.*"):
        file = path.relative_to(folder).as_posix()
        match = end.fullmatch(file)
        if match and path.is_file():
            yield file, match


_BUILDERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "enterface": _enterface,
    "iemocap": _iemocap,
    "mead": _mead,
    "meld": _meld,
    "savee": _savee,
}
