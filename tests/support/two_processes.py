"""A stage of two processes that trains nothing: ``python -m tests.support.two_processes [ERROR]``.

Once connected they print "joined", and exchange numbers until they are ended. Given an error, process 1 raises it.
"""

from __future__ import annotations

import time

import click
import torch
from torch import distributed

import stages  # noqa: F401  (has a process end with the one that started it)
from cfnsr.cli.stage import stage
from cfnsr.config import Params
from cfnsr.errors import CfnsrError
from cfnsr.training import torchrun


@stage
@click.argument("error", default="")
def main(params: Params, error: str) -> None:
    """Exchange numbers."""
    device = torch.device("cpu")
    if torchrun.launch(params.train.devices, device):
        return
    with torchrun.process_group(device):
        number = torch.ones(1)
        distributed.all_reduce(number)
        if distributed.get_rank() == 0:
            print("joined", flush=True)
        distributed.all_reduce(number)
        if error and distributed.get_rank() == 1:
            raise CfnsrError("the test", error, "Go on")
        while True:
            distributed.all_reduce(number)
            time.sleep(0.02)


if __name__ == "__main__":
    main()
