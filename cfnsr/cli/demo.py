"""``cfnsr demo``."""

from __future__ import annotations

import webbrowser

import click


@click.command()
@click.option("--model", "models", multiple=True, help="A further model's path to choose from; may be repeated.")
@click.option(
    "--port", default=8050, show_default=True, type=click.IntRange(0, 65535), help="Port of the page; 0: any free one."
)
@click.option("--max-mb", default=200.0, show_default=True, type=click.FloatRange(0.001), help="Largest recording.")
@click.option("--max-minutes", default=10.0, show_default=True, type=click.FloatRange(0.01), help="Longest recording.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="auto: GPU if any."
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def demo(models: tuple[str, ...], port: int, max_mb: float, max_minutes: float, device: str, opens: bool) -> None:
    """Serve a page on this machine: record or upload, and see the predicted emotions.

    The page can be opened on this machine only. A recording is deleted when its result is sent; no other file is
    written.

    Not for decisions about people: the models were trained on acted emotions. The page shows how accurate they are, and
    on which corpus (docs/predict.md).

    \b
    Examples:
      cfnsr demo                                        the best model of this workspace, and those of cfnsr
      cfnsr demo --open --port 0                        any free port, opened in the browser
      cfnsr demo --model other/model.safetensors        one more model to choose from
      cfnsr demo --max-mb 1000 --max-minutes 30         longer recordings
    """
    from cfnsr.inference.demo.choices import choices
    from cfnsr.inference.demo.limits import Limits
    from cfnsr.inference.demo.serve import serve

    def ready(address: str) -> None:
        click.echo(f"{address}  (on this machine only; stop it with Ctrl-C)")
        if opens:
            webbrowser.open(address)

    serve(choices(models), Limits(max_mb, max_minutes), port, device, ready)
