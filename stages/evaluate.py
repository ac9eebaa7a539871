from pathlib import Path

import click

from cfnsr.cli.job_arguments import job_arguments
from cfnsr.cli.options import IN_FILE
from cfnsr.cli.stage import stage
from cfnsr.cli.timing import log_fact
from cfnsr.config import Params
from cfnsr.data.dataset import FoldDatasets
from cfnsr.data.jobs import JobPaths
from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Trial
from cfnsr.evaluation import device, imported, module_features
from cfnsr.evaluation.missing_modality import predict_without_each, read_by
from cfnsr.evaluation.outputs import write_outputs
from cfnsr.evaluation.predict import Normalise, Predictor


@stage
@job_arguments
@click.option("--checkpoint", type=IN_FILE, required=True, help="Written by `cfnsr import-checkpoint`.")
def main(
    params: Params,
    name: str,
    trial: Trial,
    corpus_folder: Path,
    manifest: Manifest,
    paths: JobPaths,
    checkpoint: Path,
) -> None:
    """Evaluate the imported network NAME on the test speakers of one FOLD.

    \b
    Example: python -m stages.evaluate cfnsr held_out fold_1 1234 data/ravdess
             --checkpoint checkpoints/cfnsr/fold_1.safetensors
    """
    selected = device.pick(params.train.device)
    device.make_reproducible(trial.seed, params.train.threads, selected)
    log_fact(device=device.describe(selected))
    network, spec = imported.load(checkpoint, name, trial, manifest)
    datasets = FoldDatasets.open(trial, corpus_folder / "shards", manifest).reading(read_by(network))
    normalise = Normalise(**spec.pixels, device=selected)
    predictor = Predictor(network.to(selected), normalise, params.evaluate.batch_size)
    choices = {"selected": predictor.predict(datasets.test)}
    reference = module_features.describe(network, predictor.batches(datasets.train))
    choices |= predict_without_each(predictor, datasets.test, reference.means)
    attention = predictor.attention(datasets.test)
    write_outputs(paths, network, spec, datasets, choices, attention=attention, reference=reference)


if __name__ == "__main__":
    main()
