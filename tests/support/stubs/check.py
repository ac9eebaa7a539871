"""The real pruning and the real manifest, of shards that are not read."""

import sys
from dataclasses import replace
from pathlib import Path

from cfnsr.data import splits
from cfnsr.data.manifest import Manifest
from cfnsr.runtime.outputs import prune
from tests.support.stubs.payload import Call, held, run


def check(call: Call) -> None:
    manifest, report = call.outputs
    actors, folds = call.params["actors"], call.params["folds"]
    for path in prune(Path(sys.argv[2]) / "shards", actors):
        print(f"removed {path}, which params.yaml no longer lists")
    call = replace(call)  # which reads the shards that are left
    written = Manifest(
        corpus=sys.argv[1],
        labels=["neutral", "happy"],
        protocols={protocol: splits.split(protocol, actors, folds) for protocol in splits.PROTOCOLS},
        clips=dict.fromkeys(actors, 8),
        skipped={},
        preprocessing={key: call.params[key] for key in ("landmarks", "crop", "extract")},
        shapes={"frames": [4, 64, 64, 3], "mel": [128, 212], "mfcc": [13, 212]},
        fingerprint=call.digest,
        libraries=[],
        units="speakers",
        arrays=dict.fromkeys(actors, call.digest),
    )
    with held(call.stage, manifest) as partial:
        written.write(partial)
    call.write(report)


run(check)
