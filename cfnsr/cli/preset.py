"""``cfnsr preset``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from cfnsr import corpora
from cfnsr.cli.options import params_option, presets_option
from cfnsr.config import preset as overlays
from cfnsr.errors import CfnsrError


@click.command()
@click.argument("name", required=False)
@params_option
@presets_option
@click.option("--accept-licence", is_flag=True, help="Print and accept the licence of the preset's corpus.")
def preset(name: str | None, params: Path, presets: Path, accept_licence: bool) -> None:
    """Write the preset NAME into params.yaml; without NAME, list the presets.

    Writes presets/base.yaml with the keys that the preset changes, and prints what changed in params.yaml. What
    belongs to your machine or data stays, unless the preset names it: fetch, parallel, the licences that you accepted,
    corpora.folder, train.device and evaluate.checkpoints. All other keys are reset, train.threads too: the preset tiny
    changes it, and the preset studio undoes every preset.

    \b
    Examples:
      cfnsr preset                            list the presets
      cfnsr preset tiny                       choose the smallest run, a minute or two
      cfnsr preset studio                     go back to params.yaml as shipped
      cfnsr preset ravdess --accept-licence
      cfnsr preset crema_d --accept-licence
    """
    if name is None:
        if accept_licence:
            raise click.UsageError("--accept-licence needs the NAME of a preset")
        names = overlays.names(presets)
        width = max(map(len, names), default=0)
        for preset_name in names:
            click.echo(f"{preset_name:{width}}  {overlays.summary(presets / f'{preset_name}.yaml')}")
        return
    overlay, accepted = presets / f"{name}.yaml", {}
    if accept_licence:
        corpus = overlays.load(overlay)["corpus"]
        click.echo(_licence(corpus))
        accepted = {"corpora": {corpus: {"licence_accepted": True}}}
    changes = overlays.apply(params, overlay, accepted)
    click.echo("\n".join(changes) if changes else "nothing to change")


def _licence(corpus: str) -> str:
    """Return the text of a corpus's licence."""
    licence = getattr(import_module(f"{corpora.get(corpus).__name__}.prepare"), "LICENCE", None)
    if licence is None:
        raise CfnsrError("--accept-licence", f"{corpus} has no licence to accept", "Remove the option")
    return licence
