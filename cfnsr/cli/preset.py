"""``cfnsr preset``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from cfnsr import corpora
from cfnsr.cli import other_corpora
from cfnsr.cli.options import DATA, params_option, presets_option
from cfnsr.cli.stage import echo
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
    changes it, and the preset studio undoes every preset. Where an earlier run left features of another corpus in
    data/, run.cross lists it: the rows of run.probe are then trained on that corpus too, and tested on this one.

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
            echo(f"{preset_name:{width}}  {overlays.summary(presets / f'{preset_name}.yaml')}")
        return
    overlay = presets / f"{name}.yaml"
    values = overlays.load(overlay)
    added: dict[str, Any] = {}
    if accept_licence:
        echo(_licence(values["corpus"]))
        added["corpora"] = {values["corpus"]: {"licence_accepted": True}}
    others = other_corpora.of_preset(params.parent / DATA, values)
    if others["corpora"]:
        added["run"] = {"cross": others}
    changes = overlays.apply(params, overlay, added)
    echo("\n".join(changes) if changes else "nothing to change")
    if others["corpora"]:
        names, rows = (", ".join(others[key]) for key in ("corpora", "rows"))
        echo(f"data/ has features of {names}: {rows} will also be trained on them (run.cross)")


def _licence(corpus: str) -> str:
    """Return the text of a corpus's licence."""
    licence = getattr(import_module(f"{corpora.get(corpus).__name__}.prepare"), "LICENCE", None)
    if licence is None:
        raise CfnsrError("--accept-licence", f"{corpus} has no licence to accept", "Remove the option")
    return licence
