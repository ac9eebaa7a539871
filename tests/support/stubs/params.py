"""The check of params.yaml, and a file that is always the same."""

from pathlib import Path

from cfnsr import config
from tests.support.stubs.payload import Call, held, run


def write(call: Call) -> None:
    config.load(Path("params.yaml"))
    with held(call.stage, *call.outputs) as partial:
        partial.write_text("params.yaml is sound\n")


run(write)
