from pathlib import Path

import click

from cfnsr.cli.options import OUT_FILE
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.runtime.outputs import atomic_file


@stage
@click.argument("out", type=OUT_FILE)
def main(params: Params, out: Path) -> None:
    """Check params.yaml; if it is sound, write OUT, which is always the same.

    Every other stage waits for OUT, so that no name of a faulty params.yaml reaches a shell.

    Example: python -m stages.params data/params.txt
    """
    with atomic_file(out) as partial:
        partial.write_text("params.yaml is sound\n", encoding="utf-8")


if __name__ == "__main__":
    main()
