from __future__ import annotations

from pathlib import Path

import pytest

from cfnsr.corpora.folder import builders
from cfnsr.errors import CfnsrError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def rows(name: str, folder: Path) -> list[tuple[str, ...]]:
    table = builders.build(name, folder)
    assert list(table.columns[:3]) == ["file", "label", "speaker"]
    return list(table.itertuples(index=False, name=None))


def test_savee_names_emotion_by_letters(tmp_path: Path) -> None:
    touch(tmp_path, "AudioData/DC/a01.wav", "AudioData/DC/Info.txt")
    assert rows("savee", tmp_path) == [("AudioData/DC/a01.wav", "anger", "DC")]
    touch(tmp_path, "AudioVisualClip/DC/sa03.avi", "AudioVisualClip/JK/su1.avi", "AudioVisualClip/JK/s1.avi")
    assert rows("savee", tmp_path) == [
        ("AudioVisualClip/DC/sa03.avi", "sadness", "DC"),
        ("AudioVisualClip/JK/su1.avi", "surprise", "JK"),
    ]


def test_mead_takes_the_front_camera(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "M003/video/front/angry/level_1/001.mp4",
        "M003/video/left_30/angry/level_1/001.mp4",
        "W009/video/front/neutral/level_1/040.mp4",
        "W009/audio/neutral/level_1/040.m4a",
    )
    assert rows("mead", tmp_path) == [
        ("M003/video/front/angry/level_1/001.mp4", "angry", "M003"),
        ("W009/video/front/neutral/level_1/040.mp4", "neutral", "W009"),
    ]


def test_enterface_reads_the_names_of_folders(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "subject 1/anger/sentence 1/s1_an_1.avi",
        "subject 10/Surprise/sentence 5/s10_su_5.avi",
        "subject 6/anger/s6_an.avi",
        "subject 1/anger/sentence 1/Thumbs.db",
    )
    assert rows("enterface", tmp_path) == [
        ("subject 1/anger/sentence 1/s1_an_1.avi", "anger", "01"),
        ("subject 10/Surprise/sentence 5/s10_su_5.avi", "surprise", "10"),
    ]


def test_meld_joins_tables_and_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/train_splits/dia0_utt1.mp4", "output_repeated_splits_test/dia3_utt0.mp4")
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
    train = header.encode() + b'1,"It\x92s, well, fine",The Waiter,joy,positive,0,1\n'
    (tmp_path / "train_sent_emo.csv").write_bytes(train)
    (tmp_path / "test_sent_emo.csv").write_text(f"{header}1,No.,Joey,neutral,neutral,3,0\n")
    assert rows("meld", tmp_path) == [
        ("output_repeated_splits_test/dia3_utt0.mp4", "neutral", "Joey"),
        ("train/train_splits/dia0_utt1.mp4", "joy", "The Waiter"),
    ]


def test_iemocap_keeps_both_of_a_session_together(tmp_path: Path) -> None:
    table = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro05.txt"
    table.parent.mkdir(parents=True)
    table.write_text(
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[140.2250 - 145.6000]\tSes01F_impro05_F019\tang\t[1.5000, 4.0000, 4.5000]\nC-E1:\tAnger;\t()\n\n"
        "[150.1000 - 151.6000]\tSes01F_impro05_M020\tneu\t[2.5000, 2.0000, 2.5000]\n\n"
        "[152.1000 - 153.6000]\tSes01F_impro05_MXX0\txxx\t[2.5000, 2.0000, 2.5000]\n"
    )
    (table.parent / "Categorical").mkdir()
    folder = "Session1/sentences/wav/Ses01F_impro05"
    assert rows("iemocap", tmp_path) == [
        (f"{folder}/Ses01F_impro05_F019.wav", "anger", "Ses01F", "Ses01"),
        (f"{folder}/Ses01F_impro05_M020.wav", "neutral", "Ses01M", "Ses01"),
    ]


@pytest.mark.parametrize("name", builders.names())
def test_a_folder_without_the_corpus_is_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "holiday.mp4")
    with pytest.raises(CfnsrError, match=f"has no file that is named as in {name}"):
        builders.build(name, tmp_path)


def test_an_unknown_corpus_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match="Choose one of: enterface, iemocap, mead, meld, savee"):
        builders.build("toy", tmp_path)
