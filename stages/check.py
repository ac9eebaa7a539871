from pathlib import Path
from typing import Any

import click

from cfnsr import corpora
from cfnsr.cli import labels_files
from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.stage import echo, stage
from cfnsr.config import Params
from cfnsr.data import splits
from cfnsr.data.manifest import Manifest
from cfnsr.preprocessing import validate
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.outputs import prune


@stage
@click.argument("corpus")
@click.argument("corpus_folder", type=IN_FOLDER)
def main(params: Params, corpus: str, corpus_folder: Path) -> None:
    """Check all shards; write manifest.json and validation.json into CORPUS_FOLDER.

    Example: python -m stages.check studio data/studio
    """
    module, options = corpora.get(corpus), getattr(params.corpora, corpus).model_dump()
    for note in labels_files.check(corpus, **options):
        echo(f"note: {note}")
    shards = corpus_folder / "shards"
    deleted = prune(shards, params.actors)
    for features in (corpus_folder / "features").glob("*"):  # those of listed speakers may be made later
        deleted += prune(features, [actor for actor in params.actors if (features / actor).exists()])
    for path in deleted:
        echo(f"deleted {path}, which params.yaml no longer lists")
    bad = BadClips(params.on_bad_clip)
    labels = module.labels(**options)
    preprocessing = _preprocessing(params)
    report = validate.validate(
        shards,
        labels=labels,
        expected={actor: module.expected(actor, **options) for actor in params.actors},
        **params.check.model_dump(),
        silence_db=params.extract.audio.silence_db,
        bad=bad,
        preprocessing=preprocessing,
        modalities=params.modalities,
    )
    report.write(corpus_folder / "validation.json", skipped=len(bad.skipped))
    report.raise_first()
    Manifest(
        corpus=corpus,
        labels=labels,
        protocols={name: splits.split(name, params.actors, params.folds) for name in splits.PROTOCOLS},
        clips=report.clips,
        skipped=bad.skipped,
        preprocessing=preprocessing,
        shapes=report.shapes,
        fingerprint=report.fingerprint,
        libraries=report.libraries,
        units=params.units(corpus),
        arrays=report.arrays,
    ).write(corpus_folder / "manifest.json")
    bad.report()
    for finding, found in report.findings.items():
        if found:
            echo(f"{finding}: {len(found)} clips, {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}")
    clips, speakers, folds = sum(report.clips.values()), len(report.clips), len(params.folds)
    echo(f"{clips} clips of {speakers} {params.units(corpus)} in {folds} folds")


def _preprocessing(params: Params) -> dict[str, Any]:
    """Return the options that made the shards: only those of the corpus's modalities."""
    unused = {modality for modality in ("video", "audio") if modality not in params.modalities}
    extract = params.extract.model_dump(exclude=unused)
    if "video" not in params.modalities:
        return {"extract": extract}
    source = params.landmarks.source
    # Only the options that decide the points.
    options_of_source = getattr(params.landmarks, source).model_dump(include={"detector", "points", "min_score"})
    return {"landmarks": {"source": source, **options_of_source}, "crop": params.crop.model_dump(), "extract": extract}


if __name__ == "__main__":
    main()
