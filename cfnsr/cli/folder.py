"""``cfnsr folder``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from cfnsr import config
from cfnsr.cli import intake_summary
from cfnsr.cli.options import IN_FILE, IN_FOLDER, params_option
from cfnsr.cli.stage import echo
from cfnsr.config import preset
from cfnsr.corpora.folder import builders, files, intake
from cfnsr.corpora.folder import folds as of_speakers
from cfnsr.corpora.folder.prepare import intake_file
from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.corpora.folder.problems import shown
from cfnsr.data import splits
from cfnsr.errors import CfnsrError
from cfnsr.preprocessing import headers
from cfnsr.preprocessing.headers import Header
from cfnsr.runtime.checksum import md5
from cfnsr.runtime.outputs import atomic_file, writing

INTAKE = Path("data/folder/intake.parquet")
LABELS = Path("data/folder/labels.csv")  # made with --from
_LEAST_CLIPS = 8  # check.min_clips as shipped
# DVC's own time grows with the square of the speakers: docs/decisions/0028-shards-of-speakers.md.
_MOST_SPEAKERS, _SHARDS = 100, 50


@click.command()
@click.argument("videos", type=IN_FOLDER)
@click.argument("labels", type=IN_FILE, required=False)
@click.option(
    "--from",
    "corpus",
    type=click.Choice(builders.names()),
    help="Read the labels from the file names of this corpus, in place of LABELS.",
)
@click.option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(3),
    help="Number of folds, of whole speakers; not used if LABELS has a column fold.",
)
@click.option(
    "--min-clips",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Leave out speakers and labels with fewer usable clips.",
)
@click.option(
    "--shards",
    type=click.IntRange(0),
    help="Join speakers to about this many shards, one a fold at least: stages, intervals and check.min_clips then "
    "count shards, not speakers. "
    f"0: none.  [default: 0, or {_SHARDS} of over {_MOST_SPEAKERS} speakers]",
)
@click.option(
    "--labels",
    "label_map",
    type=IN_FILE,
    help="Table with the columns from and to: renames, joins and (where to is empty) drops labels.",
)
@params_option
def folder(
    videos: Path,
    labels: Path | None,
    corpus: str | None,
    folds: int,
    min_clips: int,
    shards: int | None,
    label_map: Path | None,
    params: Path,
) -> None:
    """Use the videos of the folder VIDEOS, labelled by LABELS, as the corpus.

    LABELS is a table with the columns file, label and speaker: CSV with any separator, Parquet or xlsx. More columns
    may be there: group (clips of one group are never split over folds), fold (the test fold of each speaker), audio (a
    file of its own for the sound), start_s and end_s (the clip is a part of its file, in seconds), and face (of several
    people in the picture: longest, largest, left or right).

    The command reads the header of every video and prints what it found. It writes speakers, labels and balanced
    folds, the window of time, the source of landmarks and check.min_clips into params.yaml, and one row a clip into
    data/folder/intake.parquet. Look at what it changed: `git diff params.yaml`.

    \b
    Examples:
      cfnsr folder ~/crema-d/VideoFlash crema-d.csv
      cfnsr folder ~/crema-d/VideoFlash crema-d.csv --folds 6
      cfnsr folder ~/SAVEE/AudioVisualClip --from savee
      cfnsr folder ~/calls calls.xlsx --min-clips 10         without rare speakers and labels
      cfnsr folder ~/calls calls.xlsx --shards 50            of hundreds of speakers
      cfnsr folder ~/calls calls.xlsx --labels map.csv       map.csv: from,to / Happy,happy / excited,happy / other,
    """
    if (labels is None) == (corpus is None):
        raise click.UsageError("give either LABELS or --from")
    values = config.load(params)
    table = params.parent / INTAKE
    labels = labels or _labels_of(str(corpus), videos, params.parent / LABELS)
    skip = values.on_bad_clip == "skip"
    given = intake.read(labels, videos, label_map, skip_missing=skip)
    clips = headers.measure(videos, given.entries, values.parallel.jobs)
    clips, window_s = headers.with_window(clips, values.extract.audio.min_sound)
    _say(intake_summary.of_clips(given, clips))
    problems = intake_summary.of_problems([entry for entry, _ in clips])
    if problems:
        _say(["clips that cannot be used:", *(f"  {problem}" for problem in problems)])
    if given.surplus:
        echo(f"videos that no row names: {shown(given.surplus)}")
    kept, rare_speakers, rare_labels = of_speakers.without_rare([entry for entry, _ in clips], min_clips)
    _say(_left_out([entry for entry, _ in clips], kept, rare_speakers, rare_labels))
    read_files = [labels, *([label_map] if label_map else [])]
    _write(table, clips, kept, read_files)
    if problems and not skip:
        bad = sum(1 for entry, _ in clips if entry.problem)
        remedy = f"Correct them or remove their rows, or set on_bad_clip: skip; {table} lists all, column problem"
        raise CfnsrError(labels, f"{bad:,} clips cannot be used: {'; '.join(problems[:5])}", remedy)
    usable = [entry for entry in kept if not entry.problem]
    if len({entry.label for entry in usable}) < 2:
        raise CfnsrError(labels, "fewer than two labels have usable clips", "Add clips, or lower --min-clips")
    chosen = _folds(usable, folds, labels)
    _say(intake_summary.of_folds(usable, chosen))
    speakers = len({entry.speaker for entry in usable})
    shards = shards if shards is not None else _SHARDS * (speakers > _MOST_SPEAKERS)
    if shards:
        kept, chosen = of_speakers.joined(kept, chosen, shards)
        usable = [entry for entry in kept if not entry.problem]
        files.check_shards(videos, usable, labels)
        _write(table, clips, kept, read_files)
        echo(intake_summary.of_shards(usable, speakers))
    modalities = headers.modalities(clips)
    changed = _values(videos, table, usable, chosen, window_s, modalities)
    changed["corpora"]["folder"]["shards"] = sum(map(len, chosen.values())) if shards else 0
    if len(modalities) > len(values.modalities):  # of a corpus that was here before, and had one modality
        changed["run"] = {"pretrain": modalities, "combine": ["averaging"], "train": ["cfnsr"]}
    changes = preset.update(params, changed)
    _say(changes or ["nothing to change"])


def _labels_of(corpus: str, videos: Path, path: Path) -> Path:
    """Write the labels file of a known corpus; return its path."""
    with writing(path), atomic_file(path) as partial:
        builders.build(corpus, videos).to_csv(partial, index=False)
    return path


def _say(lines: Any) -> None:
    for line in lines:
        echo(line)


def _left_out(
    entries: Sequence[Entry], kept: Sequence[Entry], speakers: dict[str, int], labels: dict[str, int]
) -> list[str]:
    """Return a line about what is left out, and what that costs."""
    if not speakers and not labels:
        return []
    parts = [
        f"{kind} {shown([f'{name}: {count} clips' for name, count in sorted(names.items())])}"
        for kind, names in (("speakers", speakers), ("labels", labels))
        if names
    ]
    before, after = (sum(1 for entry in some if not entry.problem) for some in (entries, kept))
    return [f"left out for too few clips: {' and '.join(parts)}; this costs {before - after:,} of {before:,} clips"]


def _folds(usable: Sequence[Entry], count: int, labels: Path) -> dict[str, list[str]]:
    """Return the folds of the labels file, or balanced ones.

    Raises:
        CfnsrError: there are too few speakers or folds, or a training set lacks a class.
    """
    if usable[0].fold:
        folds = of_speakers.given(usable)
        if len(folds) < 3:
            problem = f"has {len(folds)} folds with usable clips"
            raise CfnsrError(labels, problem, "Three are needed: to train, to validate and to test")
    else:
        folds = of_speakers.balanced(usable, count, labels)
    sets = splits.split("held_out", sorted({entry.speaker for entry in usable}), folds)
    of_speakers.check_classes(usable, {fold: speakers.train for fold, speakers in sets.items()}, labels)
    return folds


def _write(
    path: Path, clips: Sequence[tuple[Entry, Header]], kept: Sequence[Entry], labels_files: Sequence[Path]
) -> None:
    """Write the table of the clips that are not left out."""
    by_clip = {entry.clip: entry for entry in kept}
    rows = [(by_clip[entry.clip], header) for entry, header in clips if entry.clip in by_clip]
    measured = [{name: value for name, value in asdict(header).items() if name != "problem"} for _, header in rows]
    with writing(path), atomic_file(path) as partial:
        intake_file.write(partial, [entry for entry, _ in rows], pa.Table.from_pylist(measured), labels_files)


def _values(
    videos: Path,
    table: Path,
    usable: Sequence[Entry],
    folds: dict[str, list[str]],
    window_s: float,
    modalities: list[str],
) -> dict[str, Any]:
    """Return what is written into params.yaml."""
    fewest = min(Counter(entry.speaker for entry in usable).values())
    has_landmarks = all(entry.landmarks for entry in usable)
    one_modality = {"run": {"pretrain": modalities, "combine": [], "train": [], "ablate": []}}
    return {
        "corpus": "folder",
        "modalities": modalities,
        **(one_modality if len(modalities) == 1 else {}),
        "report": {"faces": False},  # the people in the videos may not agree to be shown
        "actors": sorted({entry.speaker for entry in usable}),
        "folds": folds,
        "landmarks": {"source": "openface" if has_landmarks else "face_mesh"},
        "extract": {"offset_s": 0.0, "window_s": window_s},
        "check": {"min_clips": min(_LEAST_CLIPS, (fewest + 1) // 2)},  # half of a speaker's clips may be skipped
        "corpora": {
            "folder": {
                "videos": str(videos.resolve()),
                "intake": str(table.resolve()),
                "intake_md5": md5(table),
                "labels": sorted({entry.label for entry in usable}),
            }
        },
    }
