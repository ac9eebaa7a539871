from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from cfnsr.training.optimiser import Adam

PROGRAM = """
import sys, torch
from cfnsr.evaluation import device
from cfnsr.models import encoders
from cfnsr.training import loop
from cfnsr.training.optimiser import Adam
device.make_reproducible(1, 1, torch.device("cpu"))
layer = torch.nn.Linear(2, 2)
optimiser = Adam(layer.parameters(), lr=0.1, fused=True)
layer(torch.ones(1, 2)).sum().backward()
optimiser.step(); optimiser.zero_grad()
optimiser.load_state_dict(optimiser.state_dict())
with torch.device("meta"):  # as when a saved network is loaded
    options = {"layers": [1] * 4, "width": 32, "cardinality": 8, "stem_relu": True}
    encoders.build("video", "resnext3d", 8, [8, 64, 64, 3], **options)
assert torch.are_deterministic_algorithms_enabled()
print("torch._dynamo" in sys.modules)"""


def test_adam_updates_weights_as_torchs_does() -> None:
    def weights(adam: type[torch.optim.Adam]) -> list[torch.Tensor]:
        torch.manual_seed(1)
        network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
        optimiser = adam(network.parameters(), lr=0.01, weight_decay=0.1, fused=True)
        for _ in range(5):
            optimiser.zero_grad(set_to_none=True)
            network(torch.randn(4, 6)).square().mean().backward()
            optimiser.step()
        return list(network.parameters())

    assert all(map(torch.equal, weights(Adam), weights(torch.optim.Adam)))


def test_training_does_not_import_torchs_compiler() -> None:
    printed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
