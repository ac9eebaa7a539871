import click

from cfnsr import corpora, fan_in, folds, gate
from cfnsr.bad_clips import BadClips
from cfnsr.config import Params
from cfnsr.entry import IN_FOLDER, OUT_FILE, stage


@stage
@click.argument("corpus")
@click.argument("shards", type=IN_FOLDER)
@click.argument("out", type=OUT_FILE)
def main(params: Params, corpus, shards, out) -> None:
    """Refuse SHARDS that contradict themselves; state labels, speakers and folds in OUT (JSON).

    Example: python -m stages.check studio data/studio/shards data/studio/corpus.json
    """
    for path in fan_in.keep(shards, params.actors):
        click.echo(f"removed {path}, which params.yaml no longer names")
    bad = BadClips(params.on_bad_clip)
    sets = folds.held_out(params.actors, params.folds)
    preprocessing = {"crop": params.crop.model_dump(), "extract": params.extract.model_dump()}
    found = gate.inspect(
        shards,
        corpus=corpus,
        labels=list(corpora.get(corpus).LABELS),
        protocol=params.protocol,
        folds=sets,
        actors=params.actors,
        **params.check.model_dump(),
        bad=bad,
        preprocessing=preprocessing,
    )
    found.write(out)
    bad.tell()
    click.echo(f"{sum(found.clips.values())} clips of {len(found.clips)} speakers in {len(found.folds)} folds")


if __name__ == "__main__":
    main()
