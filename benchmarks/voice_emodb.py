"""Make the small model that cfnsr ships, voice_emodb: a linear classifier on Whisper tiny, trained on EmoDB.

EMODB and RAVDESS are data/emodb and data/ravdess_speech of a workspace in which `dvc repro` has run under the preset
emodb, and then under ravdess_speech with `run.cross: {corpora: [emodb], rows: [whisper_tiny]}`.

\b
Layer and strength are those that predict the validation speakers of all ten folds best, each by a classifier of its
fold's training speakers; the temperature is fitted to these predictions. Then all ten speakers train. The card's
figures are those of the held-out row, whose models knew nine speakers or fewer, and of RAVDESS.

Example: python benchmarks/voice_emodb.py data/emodb data/ravdess_speech
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pandas as pd

from cfnsr import config
from cfnsr.data.dataset import Clips, FoldDatasets
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation.outputs import to_table
from cfnsr.evaluation.reference import FAR, Reference
from cfnsr.features import probe
from cfnsr.features.fold import FrozenFeatures
from cfnsr.report import metrics, model_card
from cfnsr.runtime.outputs import atomic_folder

NAME, ROW, CORPUS, SEED = "voice_emodb", "whisper_tiny", "emodb", 1234
ROOT = Path(__file__).parents[1]


def choose(folder: Path, manifest: Manifest, strengths: list[float]) -> tuple[int, float, pd.DataFrame]:
    """Return the layer and the strength, and the validation predictions of all folds with these two."""
    correct: dict[tuple[int, float], int] = {}
    tables: dict[tuple[int, float], list[pd.DataFrame]] = {}
    for fold in manifest.folds:
        datasets = FoldDatasets.open(Trial("held_out", fold, SEED), folder / "shards", manifest)
        clips = datasets.selection_split
        train, selection = (FrozenFeatures.open(folder / "features" / ROW, part) for part in (datasets.train, clips))
        for layer in range(train.means.shape[1]):
            for strength in sorted(strengths):
                predicted = probe.fit(train, layer, strength, len(manifest.labels)).predict(selection)
                key = (layer, strength)
                correct[key] = correct.get(key, 0) + int((predicted.argmax(axis=1) == selection.classes).sum())
                tables.setdefault(key, []).append(to_table(clips.index, manifest.labels, "validation", predicted))
    chosen = max(correct, key=lambda key: correct[key])  # of equals the earlier layer, the stronger regularisation
    return *chosen, pd.concat(tables[chosen], ignore_index=True)


@click.command(help=__doc__)
@click.argument("emodb", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("ravdess", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ROOT / "cfnsr/inference/shipped" / NAME,
    help="The folder to write.",
)
def main(emodb: Path, ravdess: Path, out: Path) -> None:
    params, manifest = config.load(ROOT / "params.yaml"), Manifest.read(emodb / "manifest.json")
    layer, strength, validation = choose(emodb, manifest, params.probe.c)
    clips = Clips(emodb / "shards", list(manifest.clips), manifest.labels, manifest.modalities)
    everyone = FrozenFeatures.open(emodb / "features" / ROW, clips)
    fitted = probe.fit(everyone, layer, strength, len(manifest.labels))
    trials = [Trial("held_out", fold, SEED) for fold in manifest.folds]
    of_row = {"encoder_licence": everyone.facts.licence, "cross_rows": (), "ci_level": params.report.ci_level}
    held_out = model_card.card(emodb, manifest, ROW, trials[0], trials, refit=False, **of_row)
    across = model_card.cross_figures(ravdess, Manifest.read(ravdess / "manifest.json"), [ROW], params.report.ci_level)
    card = replace(
        held_out,
        name=NAME,
        fold="",
        trained_clips=len(clips.index),
        trained_speakers=len(manifest.clips),
        temperature=round(metrics.temperature(validation, manifest.labels), 4),
        cross=[figure for figure in across if figure.trained_on == CORPUS],
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(out) as partial:
        model = partial / "model.safetensors"
        options = {"options": params.frozen(ROW).options, "preprocessing": {}}
        probe.save(model, fitted, everyone.facts, manifest.labels, Trial("", "", SEED), manifest.fingerprint, **options)
        Reference.of(everyone.means[:, layer]).write(model)
        card.write(partial)
    click.echo(f"{out}: layer {layer}, C {strength:g}, {sum(path.stat().st_size for path in out.iterdir()):,} bytes")
    far = held_out_far(emodb, manifest, layer)
    click.echo(f"held-out speakers' clips that are far from the other nine speakers': {far:.1%}")
    for line in card.figures():
        click.echo(line)


def held_out_far(folder: Path, manifest: Manifest, layer: int) -> float:
    """Return the share of clips that are marked as far, each by the clips of all other speakers."""
    far = []
    for fold in manifest.folds:
        speakers = manifest.speakers(Trial("held_out", fold, SEED))
        parts = [[*speakers.train, *speakers.validation], [*speakers.test]]
        others, own = (
            FrozenFeatures.open(
                folder / "features" / ROW, Clips(folder / "shards", names, manifest.labels, manifest.modalities)
            ).means[:, layer]
            for names in parts
        )
        far.append(Reference.of(others).percentile(own) >= FAR)
    return float(np.concatenate(far).mean())


if __name__ == "__main__":
    main()
