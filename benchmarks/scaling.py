"""How long a run takes on one machine and on many, and what limits it: predicted from what its parts cost.

Without a command it prints the tables of docs/scaling.md, from the costs that are committed beside it. Examples:
python benchmarks/scaling.py
python benchmarks/scaling.py predict --clips 100000 --nodes 16
python benchmarks/scaling.py measure        what the parts cost here, at the published size: ten minutes
python benchmarks/scaling.py compare        predict three runs, run them, and tell the error: twenty minutes
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.cost import Cluster, Costs, Work, in_turn, on  # noqa: E402
from tests.support.repository import Repository  # noqa: E402

COSTS = ROOT / "benchmarks/cost/published.json"
EPOCHS = {"video": 70, "audio": 70, "cfnsr": 70}  # as presets/ravdess.yaml
CLIPS_OF_A_SPEAKER, FOLDS, BATCH = 60, 6, 8
LARGE_BATCH = 1024
NODES = (1, 10, 100, 1000)
LEARNING = ("training", "judging epochs")
WORK_ON_CLIPS = ("face boxes", "extraction", "one writer", "checking")
_FOLDS_HERE = 3
SMALL = {
    "corpora.studio.width": 480,
    "corpora.studio.height": 272,
    "extract.video.frames": 8,
    "encoders.video.width": 32,
    "encoders.video.cardinality": 8,
    "train.threads": 2,
    "pretrain.video.epochs": 6,
    "pretrain.audio.epochs": 6,
    "systems.cfnsr.training.epochs": 4,
}
PUBLISHED = {
    "corpora.studio.width": 1280,
    "corpora.studio.height": 720,
    "extract.video.frames": 30,
    "extract.video.side_px": 224,
    "encoders.video.layers": [3, 4, 6, 3],
    "encoders.video.width": 64,
    "encoders.video.cardinality": 32,
    "train.precision": "auto",
    "train.threads": 2,
    "pretrain.video.epochs": 1,
    "pretrain.audio.epochs": 1,
    "pretrain.video.batch_size": BATCH,
    "pretrain.audio.batch_size": BATCH,
    "systems.cfnsr.training.epochs": 1,
    "systems.cfnsr.training.batch_size": BATCH,
}
# Speakers, sentences, takes and intensities: 48, 192 and 540 clips.
SIZES: list[tuple[int, dict[str, Any]]] = [
    (6, {"statements": [1], "repetitions": 1, "intensities": ["normal"]}),
    (12, {"statements": [1, 2], "repetitions": 1, "intensities": ["normal"]}),
    (18, {"statements": [1, 2], "repetitions": 1, "intensities": ["normal", "strong"]}),
]


def repository(folder: Path, changes: dict[str, Any], speakers: int = 3) -> Repository:
    """The pipeline at tiny scale, but for some keys of params.yaml, by their paths."""
    made = Repository.shipped(folder)
    path, yaml = made.folder / "params.yaml", YAML()
    values = yaml.load(path.read_text())
    names = [f"{number:02d}" for number in range(1, speakers + 1)]
    values["actors"] = names
    values["folds"] = {f"fold_{fold + 1}": names[fold::_FOLDS_HERE] for fold in range(_FOLDS_HERE)}
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = values
        for name in sections:
            section = section[name]
        section[last] = value
    with path.open("w") as file:
        yaml.dump(values, file)
    made.commit("of this size")
    return made


def measured(changes: dict[str, Any]) -> Costs:
    """What the parts cost here, at the sizes of params.yaml as changed."""
    from benchmarks.cost.measured import costs  # imports torch, which prediction does without

    with tempfile.TemporaryDirectory() as folder:
        return costs(repository(Path(folder) / "small", changes))


def decoding_s() -> float:
    """Seconds of a core to extract a clip like RAVDESS's."""
    from benchmarks.extract import cpu_s, generated, ours

    with tempfile.TemporaryDirectory() as folder:
        clip = generated(Path(folder) / "clip.mp4", 3, 6, 0)
        return min(cpu_s(ours, clip) for _ in range(3))


def kept(path: Path) -> Costs:
    return Costs(**json.loads(path.read_text(encoding="utf-8")))


def duration(seconds: float) -> str:
    """In the largest unit of which there are two or more."""
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    return f"{seconds:.0f} s"


def of_ravdess_kind(clips: int, batch_size: int) -> Work:
    """A corpus of so many clips, all else as in RAVDESS at the published size."""
    return Work(clips, max(FOLDS, round(clips / CLIPS_OF_A_SPEAKER)), FOLDS, EPOCHS, batch_size)


@click.group(help=__doc__, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        for clips in (1440, 100_000, 10_000_000):
            for by_speaker in (True, False):
                table(kept(COSTS), clips, by_speaker=by_speaker)
        click.echo("\nMost of the data's time is not work on clips any more:")
        for nodes in NODES[:2]:
            first = speakers_too_many(kept(COSTS), nodes)
            click.echo(
                f"  {nodes:5} nodes: " + (f"from {first} speakers on" if first > FOLDS else "however few speakers")
            )


def table(costs: Costs, clips: int, *, by_speaker: bool) -> None:
    work = of_ravdess_kind(clips, BATCH if by_speaker else LARGE_BATCH)
    how = f"as it is: {work.speakers} speakers, two stages each" if by_speaker else "as planned: one stage of data"
    click.echo(f"\n{clips:,} clips, {how}; {work.cells} cells, batches of {work.batch_size}")
    for nodes in NODES:
        phases = on(costs, work, Cluster(nodes, costs.cores), by_speaker=by_speaker)
        data = {name: seconds for name, seconds in phases.items() if name not in LEARNING}
        click.echo(f"  {nodes:5} nodes: {most_of(phases)}; data {most_of(data)}")


def most_of(phases: dict[str, float]) -> str:
    """How long they take together, and which takes the most of it."""
    whole, most = sum(phases.values()), max(phases, key=lambda name: phases[name])
    return f"{duration(whole)} ({most} {phases[most] / whole:.0%})"


def speakers_too_many(costs: Costs, nodes: int) -> int:
    """From how many speakers on most of the data's time is not work on clips."""
    for speakers in range(FOLDS, 10_000):
        work = of_ravdess_kind(speakers * CLIPS_OF_A_SPEAKER, BATCH)
        phases = on(costs, work, Cluster(nodes, costs.cores))
        if phases["DVC"] + phases["starting processes"] > sum(phases[name] for name in WORK_ON_CLIPS):
            return speakers
    return 10_000


@main.command()
@click.option("--clips", default=1440, show_default=True)
@click.option("--nodes", default=1, show_default=True)
@click.option("--cores", type=int, help="Of a node.  [default: those of the machine that was measured]")
@click.option("--faster", default=1.0, show_default=True, help="By how much a node trains faster than that machine.")
@click.option("--batch-size", default=BATCH, show_default=True)
@click.option("--one-stage", is_flag=True, help="Not two stages a speaker, but as planned for large corpora.")
@click.option("--costs", type=click.Path(path_type=Path, exists=True), default=COSTS, show_default=True)
def predict(
    clips: int, nodes: int, cores: int | None, faster: float, batch_size: int, one_stage: bool, costs: Path
) -> None:
    """Print the phases of one run."""
    known = kept(costs)
    cluster = Cluster(nodes, cores or known.cores, faster)
    phases = on(known, of_ravdess_kind(clips, batch_size), cluster, by_speaker=not one_stage)
    for name, seconds in phases.items():
        click.echo(f"{name:20} {duration(seconds):>10} {seconds / sum(phases.values()):5.0%}")
    click.echo(f"{'together':20} {duration(sum(phases.values())):>10}")


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=COSTS, show_default=True)
def measure(out: Path) -> None:
    """Measure what the parts cost here, at the published size, and keep it in OUT.

    Decoding is that of a clip like RAVDESS's, as studio's are easier.
    """
    found = asdict(measured(PUBLISHED)) | {"extract": decoding_s()}
    out.write_text(json.dumps(_rounded(found), indent=2) + "\n", encoding="utf-8")
    click.echo(out.read_text(encoding="utf-8"))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


@main.command()
def compare() -> None:
    """Predict three runs from parts measured on 24 clips, then run them."""
    costs = measured(SMALL)
    click.echo(json.dumps(_rounded(asdict(costs))))
    for speakers, takes in SIZES:
        per_speaker = (1 + 7 * len(takes["intensities"])) * len(takes["statements"]) * takes["repetitions"]
        work = Work(speakers * per_speaker, speakers, _FOLDS_HERE, {"video": 6, "audio": 6, "cfnsr": 4})
        phases = in_turn(costs, work)
        with tempfile.TemporaryDirectory() as folder:
            changed = SMALL | {f"corpora.studio.{key}": value for key, value in takes.items()}
            there = repository(Path(folder) / "run", changed, speakers)
            started = time.perf_counter()
            there.run("dvc", "repro")
            took = time.perf_counter() - started
            told = sum(json.loads(path.read_text())["wall_s"] for path in (there.folder / "data/logs").glob("*.json"))
        predicted = sum(phases.values())
        click.echo(f"{work.clips} clips: predicted {predicted:.0f} s, took {took:.0f} s: {predicted / took - 1:+.0%}")
        click.echo("  " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in phases.items()))
        click.echo(f"  DVC's own: predicted {phases['DVC']:.0f} s, took {took - told:.0f} s")


if __name__ == "__main__":
    main()
