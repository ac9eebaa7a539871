import click

from cfnsr import corpora, folds, gate
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
        preprocessing=preprocessing,
    )
    found.write(out)
    click.echo(f"{sum(found.clips.values())} clips of {len(found.clips)} speakers in {len(found.folds)} folds")


if __name__ == "__main__":
    main()
