"""``cfnsr demo``."""

from __future__ import annotations

import webbrowser

import click


@click.command()
@click.option("--model", "models", multiple=True, help="A model's path, to choose from as well; may be repeated.")
@click.option("--port", default=8050, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--most-mb", default=200.0, show_default=True, type=click.FloatRange(0.001), help="Of a recording.")
@click.option("--most-minutes", default=10.0, show_default=True, type=click.FloatRange(0.01), help="Of a recording.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def demo(models: tuple[str, ...], port: int, most_mb: float, most_minutes: float, device: str, opens: bool) -> None:
    """Serve a page on this machine: record or upload, and see which emotions voice and face show.

    The page can be opened on this machine only. Recordings are deleted when their result is there, and nothing else is
    written.

    Not for decisions about people: a model tells acted emotions apart, as the figures beside the result say
    (docs/predict.md).

    \b
    Examples:
      cfnsr demo                                        the best model of this workspace, and those that ship
      cfnsr demo --open --port 0                        any free port, opened in the browser
      cfnsr demo --model other/model.safetensors        one more model to choose from
      cfnsr demo --most-mb 1000 --most-minutes 30       longer recordings
    """
    from cfnsr.inference.demo.choices import choices
    from cfnsr.inference.demo.limits import Limits
    from cfnsr.inference.demo.serve import serve

    def ready(address: str) -> None:
        click.echo(f"{address}  (this machine only; Ctrl-C ends it)")
        if opens:
            webbrowser.open(address)

    serve(choices(models), Limits(most_mb, most_minutes), port, device, ready)
