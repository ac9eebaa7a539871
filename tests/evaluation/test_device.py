from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cfnsr.errors import CfnsrError
from cfnsr.evaluation import device

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick("auto") == device.pick("cpu") == CPU
    with pytest.raises(CfnsrError, match=r"train\.device: is cuda, and torch finds no GPU"):
        device.pick("cuda")


def test_the_device_is_described_with_threads_and_torch() -> None:
    text = device.describe(CPU)
    assert text.startswith("cpu (") and f"{torch.get_num_threads()} threads), torch {torch.__version__}" in text


def test_automatic_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag, expected in (("amx_bf16", "bf16"), ("avx512_bf16", "bf16"), ("avx2", "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flag=flag: {flag: True})
        assert device.pick_precision("auto", CPU) == expected
    for native, expected in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert device.pick_precision("auto", CUDA) == expected
    assert device.pick_precision("fp32", CPU) == "fp32"


def test_a_missing_compiler_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device.check_compiler(CUDA)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CfnsrError, match=r"train\.compile: is true, and there is no C\+\+ compiler"):
        device.check_compiler(CPU)
    (tmp_path / "compiler").touch(mode=0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "compiler"))
    device.check_compiler(CPU)


def test_all_random_numbers_are_seeded() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), np.random.random(), torch.rand(1).item()

    threads = torch.get_num_threads()
    try:
        device.make_reproducible(5, 3, CPU)
        first = draw()
        assert torch.get_num_threads() == 3
        device.make_reproducible(5, 2, CPU)
        assert draw() == first and torch.get_num_threads() == 2
        device.make_reproducible(6, 2, CPU)
        assert all(new != old for new, old in zip(draw(), first, strict=True))
    finally:
        torch.set_num_threads(threads)


MEMORY = """
import psutil, torch
from cfnsr.evaluation import device

def returned():
    tensors = [torch.ones(2**20) for _ in range(64)]
    full = psutil.Process().memory_info().rss
    del tensors
    return (full - psutil.Process().memory_info().rss) / 2**20

before = returned()
device.keep_freed_memory()
print(before, returned())
"""


def test_freed_memory_is_kept(root: Path) -> None:
    printed = subprocess.run([sys.executable, "-c", MEMORY], cwd=root, check=True, capture_output=True).stdout
    before, after = map(float, printed.split())
    assert before > 200 and after < 20  # MiB, of 256
