from pathlib import Path

import click

from cfnsr.cli.options import IN_FOLDER, OUT_FOLDER, PRESETS
from cfnsr.cli.stage import stage
from cfnsr.config import Params, preset
from cfnsr.data.manifest import Manifest
from cfnsr.errors import CfnsrError
from cfnsr.report import files, page, results
from cfnsr.report.expected import ExpectedOutputs
from cfnsr.report.page.gallery import Gallery
from cfnsr.report.page.provenance import provenance
from cfnsr.runtime.outputs import checked, prune


@stage
@click.argument("corpus", type=IN_FOLDER)
@click.argument("out", type=OUT_FOLDER)
def main(params: Params, corpus: Path, out: Path) -> None:
    """Write the metrics, plots, table and page of CORPUS's jobs into OUT.

    \b
    Example: python -m stages.report data/studio metrics/studio
    """
    manifest = Manifest.read(corpus / "manifest.json")
    expected = ExpectedOutputs.of(
        params.run.rows, manifest.folds, params.run.seeds, params.run.fused, params.run.cross.rows
    )
    for path in prune(corpus / "jobs", expected.jobs):
        click.echo(f"deleted {path}, which params.yaml no longer lists")
    resume = corpus.parent / ".resume" / corpus.name
    if resume.is_dir():  # every job is complete: nothing is left to resume
        prune(resume, [])
    figures = results.gather(corpus, manifest, expected=expected, ci_level=params.report.ci_level)
    files.write(out, figures, manifest)
    gallery = Gallery(corpus / "shards", manifest, faces=params.report.faces)
    presets = preset.load_all(PRESETS)

    def check_presets() -> None:
        if preset.load_all(PRESETS) != presets:
            raise CfnsrError(PRESETS, "was edited while this stage ran", "Run the same command again")

    with checked(check_presets):  # DVC records them after the stage has ended
        page.write(out / "report.html", figures, manifest, gallery, provenance(params.of_result(), presets))


if __name__ == "__main__":
    main()
