"""The real pruning of models and jobs, and the first model there is."""

import sys
from dataclasses import replace
from pathlib import Path

from tests.support.stubs.payload import Call, expected, run


def best(call: Call) -> None:
    expected(Path(sys.argv[1]), "models", "jobs")
    replace(call).write(call.outputs[0], "best.json", "model.safetensors")


run(best)
