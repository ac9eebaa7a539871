"""What `cfnsr folder` says about a folder of videos."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from cfnsr.corpora.folder.intake import Intake
from cfnsr.corpora.folder.prepare.intake_file import Entry
from cfnsr.corpora.folder.problems import shown
from cfnsr.preprocessing.headers import Header
from cfnsr.preprocessing.validate import LATE_S, LONG

_KINDS = 12  # labels and picture sizes listed one by one


def of_clips(intake: Intake, clips: Sequence[tuple[Entry, Header]]) -> Iterator[str]:
    """Yield lines about the clips of a labels file, the good and the bad ones."""
    good = [(entry, header) for entry, header in clips if not entry.problem]
    if intake.unread:
        yield f"columns that are not read: {', '.join(intake.unread)}"
    if intake.dropped:
        yield f"dropped by the map of labels: {_counts(intake.dropped)}"
    yield from _renamed((entry.written_label, entry.label) for entry, _ in clips)
    yield from _renamed((entry.written_speaker, entry.speaker) for entry, _ in clips)
    of_speaker = Counter(entry.speaker for entry, _ in good)
    yield f"{len(good):,} usable clips of {len(clips):,}, {len(of_speaker)} speakers"
    if not good:
        return
    yield f"clips by label: {_counts(Counter(entry.label for entry, _ in good))}"
    most, least = max(of_speaker.values()), min(of_speaker.values())
    yield f"clips by speaker: {least} to {most}, median {statistics.median(of_speaker.values()):g}"
    tracked = sum(1 for entry, _ in good if entry.landmarks)
    yield f"OpenFace's CSV files: {f'of {tracked:,} clips' if tracked else 'none'}"
    yield from _of_headers(good)


def _of_headers(good: Sequence[tuple[Entry, Header]]) -> Iterator[str]:
    durations_s = [header.duration_s for _, header in good]
    median_s = statistics.median(durations_s)
    yield f"length: {min(durations_s):.2f} to {max(durations_s):.2f} s, median {median_s:.2f} s"
    tracks = Counter(header.tracks for _, header in good)
    yield f"tracks of sound: {', '.join(f'{count} in {clips:,}' for count, clips in sorted(tracks.items()))}"
    seen = [header for _, header in good if header.frames]
    if seen:
        yield f"pictures: {_counts(Counter(f'{header.width}x{header.height}' for header in seen))}"
        rates = [header.frame_rate_hz for header in seen]
        yield f"frame rates: {min(rates):.2f} to {max(rates):.2f} Hz"
    else:
        yield "pictures: none; the sound is used alone"
    transfers = {header.transfer for _, header in good}
    findings: dict[str, Callable[[Header], bool]] = {
        "much longer than the others": lambda header: header.duration_s > LONG * median_s,
        f"sound and picture begin over {LATE_S} s apart": lambda header: abs(header.sound_offset_s) > LATE_S,
        "begin without a keyframe, so that frames are lost": lambda header: header.lost_frames > 0,
        "several video streams": lambda header: header.video_streams > 1,
        "pixels that are not square": lambda header: header.frames > 0 and header.pixel_ratio != 1,
        "high dynamic range, beside clips without": lambda header: len(transfers) > 1 and header.transfer != "sdr",
    }
    for finding, is_so in findings.items():
        files = [entry.file for entry, header in good if is_so(header)]
        if files:
            yield f"{finding}: {shown(files)}"


def of_problems(entries: Sequence[Entry]) -> list[str]:
    """Return one line a kind of problem: what it is, how many clips have it, and the first of them."""
    kinds: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.problem:
            kinds[re.sub(r"\d+(\.\d+)?", "#", entry.problem)].append(entry)
    by_count = sorted(kinds.values(), key=len, reverse=True)
    return [f"{bad[0].problem}: {shown([entry.file for entry in bad])}" for bad in by_count]


def of_folds(entries: Sequence[Entry], folds: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a line a fold: its speakers and clips by label."""
    fold_of = {speaker: fold for fold, speakers in folds.items() for speaker in speakers}
    labels_of: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        labels_of[fold_of[entry.speaker]][entry.label] += 1
    for fold, speakers in folds.items():
        labels = labels_of[fold]
        yield f"{fold}: {len(speakers)} speaker{'s'[: len(speakers) > 1]}, {labels.total():,} clips ({_counts(labels)})"


def of_shards(entries: Sequence[Entry], speakers: int) -> str:
    """Return a line about the shards that stand for speakers.

    Args:
        entries: the usable clips, with shards as speakers.
        speakers: number of those who were joined.
    """
    clips = Counter(entry.speaker for entry in entries).values()
    return (
        f"{len(clips)} shards of {speakers:,} speakers, {min(clips)} to {max(clips)} clips each: stages, intervals and "
        "check.min_clips count shards in place of speakers"
    )


def _renamed(pairs: Iterator[tuple[str, str]]) -> Iterator[str]:
    changed = [f"{written} -> {name}" for written, name in sorted({*pairs}) if written != name]
    if changed:
        yield f"renamed: {', '.join(changed)}"


def _counts(counts: Mapping[str, int]) -> str:
    """Return ``happy 12, sad 10``, in the order of names, or of counts where there are too many to list."""
    listed = sorted(counts.items())
    if len(listed) > _KINDS:
        listed = sorted(listed, key=lambda item: -item[1])[:_KINDS]
    more = f", and {len(counts) - len(listed)} more" if len(counts) > len(listed) else ""
    return ", ".join(f"{name} {count:,}" for name, count in listed) + more
