import click

from cfnsr import corpora
from cfnsr.cli.options import IN_FOLDER, OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.data import splits
from cfnsr.data.manifest import Manifest
from cfnsr.preprocessing import validate
from cfnsr.runtime.bad_clips import BadClips
from cfnsr.runtime.outputs import prune


@stage
@click.argument("corpus")
@click.argument("shards", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
@click.argument("counts", type=OUT_FILE)
def main(params: Params, corpus, shards, out, counts) -> None:
    """Refuse SHARDS that contradict themselves; state labels, speakers and folds in OUT, and what was found in COUNTS.

    Example: python -m stages.check studio data/studio/shards data/studio/manifest.json data/studio/validation.json
    """
    for path in prune(shards, params.actors):
        click.echo(f"removed {path}, which params.yaml no longer names")
    module, options = corpora.get(corpus), getattr(params.corpora, corpus).model_dump()
    bad = BadClips(params.on_bad_clip)
    labels = module.labels(**options)
    crop = params.crop.model_dump(exclude={"face_align"})
    if params.crop.landmarks == "face_align":  # what decides the points, not what they are computed on
        crop |= params.crop.face_align.model_dump(include={"detector", "points"})
    preprocessing = {"crop": crop, "extract": params.extract.model_dump()}
    found = validate.inspect(
        shards,
        labels=labels,
        expected={actor: module.expected(actor, **options) for actor in params.actors},
        **params.check.model_dump(),
        silence_db=params.extract.audio.silence_db,
        bad=bad,
        preprocessing=preprocessing,
    )
    found.write(counts, len(bad.skipped))
    found.stop()
    Manifest(
        corpus=corpus,
        labels=labels,
        protocols={one: splits.split(one, params.actors, params.folds) for one in splits.PROTOCOLS},
        clips=found.clips,
        skipped=bad.skipped,
        preprocessing=preprocessing,
        shapes=found.shapes,
        fingerprint=found.fingerprint,
        arrays=found.arrays,
    ).write(out)
    bad.tell()
    click.echo(f"{sum(found.clips.values())} clips of {len(found.clips)} speakers in {len(params.folds)} folds")


if __name__ == "__main__":
    main()
