"""The ``cfnsr`` command: one module a command, imported when the command runs."""

from __future__ import annotations

from importlib import import_module

import click

from cfnsr import __version__
from cfnsr.cli.stage import HELP, one_line_errors

# By command: its module, and its line in `cfnsr --help`. Listing the commands must not import torch.
COMMANDS = {
    "check": ("check", "Check params.yaml, DVC's own files and its cache before any work."),
    "preset": ("preset", "Write the preset NAME into params.yaml; without NAME, list the presets."),
    "folder": ("folder", "Use the videos of the folder VIDEOS, labelled by LABELS, as the corpus."),
    "folds": ("folds", "Write the folds NAME of the speakers into params.yaml; without NAME, list the names."),
    "launch": ("launch", "Run what is stale of STAGES in parallel; without STAGES the whole pipeline."),
    "results": ("results", "Print the results of the last run, and how long each stage took."),
    "report": ("report", "Print the path of the last run's page."),
    "predict": ("predict", "Predict the emotions of voice and face in the recordings PATH..."),
    "demo": ("demo", "Serve a page on this machine: record or upload, and see the predicted emotions."),
    "models": ("models", "List the networks with sizes and published figures, and the trained models with cards."),
    "import-checkpoint": ("models", "Convert a PUBLISHED state dict (.pth) to a model of this pipeline, OUT."),
    "export-checkpoint": ("models", "Write MODEL (safetensors) as a state dict (.pth) for the published code."),
    "export": ("export", "Write MODEL (safetensors) as OUT.onnx for other runtimes, or as OUT.pt2 of torch.export."),
    "profile": ("profile", "Train the row NAME for a few steps, and print where their time goes."),
    "sheet": ("contact_sheet", "Draw all face crops of ACTOR into the picture OUT."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command runs, and prints each error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        return getattr(import_module(f"cfnsr.cli.{module}"), cmd_name.replace("-", "_"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        with one_line_errors():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings=HELP)
@click.version_option(__version__)
def main() -> None:
    """Speech-and-face emotion recognition as a reproducible DVC pipeline.

    \b
    Examples:
      cfnsr check              check params.yaml before any work
      cfnsr preset tiny        choose the smallest run, a minute or two
      dvc repro                run the pipeline
      cfnsr results            print the results, and how long each stage took
      cfnsr COMMAND --help     explain a command, with examples
    """
