"""The real pruning of models and jobs, and the first model there is."""

import sys
from pathlib import Path

from tests.support.stubs.payload import Call, expected, run


def best(call: Call) -> None:
    expected(Path(sys.argv[1]), "models", "jobs")
    call.write(call.outputs[0], "best.json", "model.safetensors")


run(best)
