from pathlib import Path

import click

from cfnsr.cli.options import IN_FOLDER
from cfnsr.cli.stage import echo, stage
from cfnsr.config import Params
from cfnsr.data.manifest import Manifest
from cfnsr.features import imported


@stage
@click.argument("source")
@click.argument("name")
@click.argument("corpus_folder", type=IN_FOLDER)
def main(params: Params, source: str, name: str, corpus_folder: Path) -> None:
    """Take the features NAME of the corpus SOURCE, beside CORPUS_FOLDER, of clips whose emotion both corpora have.

    Example: python -m stages.import_features emodb whisper_tiny data/ravdess_speech
    """
    manifest = Manifest.read(corpus_folder / "manifest.json")
    features = imported.collect(corpus_folder.parent / source, name, manifest, params.cross.labels)
    imported.write(corpus_folder / "imported_features" / name / source, features)
    left_out = "".join(f", without {count} of {emotion}" for emotion, count in features.left_out.items())
    echo(f"{len(features.index)} clips of {source}{left_out}")


if __name__ == "__main__":
    main()
