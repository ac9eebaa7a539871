"""Run stages, one after another, in one DVC process: started once for each slot of this machine (``local``).

Reads the name of a stage from each line of standard input, writes what DVC and the stage print to the stage's log, and
answers with a line: 0 if the stage is done. Ends when standard input ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cfnsr.runtime.dvc_reproduction import Reproduction
from cfnsr.runtime.launch.repro import log_file


def main(root: Path) -> None:
    """Run the stages that standard input names.

    Args:
        root: of the repository.
    """
    # Copies, which no stage inherits: a stage must neither read the names nor write an answer.
    names, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    _redirect(Path(os.devnull), os.O_RDONLY, 0)
    with Reproduction(root) as reproduction:
        for line in names:
            name = line.removesuffix("\n")
            _redirect(log_file(name, root), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 1, 2)
            done = reproduction.run(name)
            sys.stdout.flush()
            print(0 if done else 1, file=answers, flush=True)


def _redirect(path: Path, flags: int, *descriptors: int) -> None:
    """Open a file as standard input, output or error."""
    opened = os.open(path, flags, 0o666)
    for descriptor in descriptors:
        os.dup2(opened, descriptor)
    os.close(opened)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
