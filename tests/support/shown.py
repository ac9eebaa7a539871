"""Made-up results of three systems, for pages: what was predicted, and the shards it was predicted of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cfnsr.data.manifest import Manifest
from cfnsr.data.splits import Speakers
from cfnsr.report import files, page, pooling, results
from cfnsr.report.page.provenance import Origin
from cfnsr.report.page.shown import Shown
from tests.support import corpus

SKILLS = {"video": 0.4, "audio": 0.5, "cfnsr": 0.75}
ACTORS = corpus.ACTORS


def manifest(labels: list[str], **changes: Any) -> Manifest:
    folds = {
        f"fold_{number}": Speakers((actor,), (), tuple(other for other in ACTORS if other != actor))
        for number, actor in enumerate(ACTORS, start=1)
    }
    values: dict[str, Any] = {
        "corpus": "made_up",
        "labels": labels,
        "protocols": {"held_out": folds, "test_selected": folds},
        "clips": dict.fromkeys(ACTORS, 8),
        "skipped": {},
        "preprocessing": {},
        "shapes": {"frames": [4, 16, 16, 3], "mel": [32, 36], "mfcc": [13, 36]},
        "fingerprint": "0123456789abcdef",
        "arrays": {},
    }
    return Manifest(**(values | changes))


def predicted(name: str, labels: list[str], seed: int = 7) -> pd.DataFrame:
    random = np.random.default_rng([seed, *name.encode()])
    rows = []
    for number, actor in enumerate(ACTORS, start=1):
        for clip in range(8):
            right = random.random() < SKILLS[name]
            logits = random.normal(0, 1, len(labels)) + 4.0 * (
                np.arange(len(labels)) == (clip + (not right) * random.integers(1, len(labels))) % len(labels)
            )
            probabilities = np.exp(logits) / np.exp(logits).sum()
            rows.append(
                {
                    "clip": f"clip-{actor}-{clip}",
                    "actor": actor,
                    "label": labels[clip % len(labels)],
                    "predicted": labels[int(probabilities.argmax())],
                    "fold": f"fold_{number}",
                    "seed": seed,
                    **{f"p_{label}": float(value) for label, value in zip(labels, probabilities, strict=True)},
                }
            )
    table = pd.DataFrame(rows)
    if name == "cfnsr":
        table["attention"] = random.dirichlet(np.ones(4), (len(rows), 2)).reshape(-1, 2, 2, 2).tolist()
    return table


def made(labels: list[str], known: Manifest) -> results.Results:
    """As ``gather`` finds them, of one seed, with two epochs of curves."""
    tables = {name: predicted(name, labels) for name in SKILLS}
    lines = []
    for name, table in tables.items():
        reads = ["audio", "video"] if name == "cfnsr" else [name]
        account = {
            "parameters": 1000,
            "protocol": "held_out",
            "data": known.fingerprint,
            "reads": reads,
            "reconstructed": "",
            "published_accuracy": 0.7576 if name == "cfnsr" else None,
            "imported": [],
            "seed": 7,
        }
        choices = [
            table.assign(choice=choice) for choice in ("selected", "last_epoch", "best_test_epoch", "validation")
        ]
        if name == "cfnsr":
            choices += [
                tables[one].assign(choice=f"without_{other}") for one, other in (("audio", "video"), ("video", "audio"))
            ]
        lines.append(pooling.pooled(name, [account] * 4, pd.concat(choices), known, 0.95))
    recalls = pd.DataFrame(
        {"name": name, "label": label, "recall": float((part["predicted"] == label).mean()), "clips": len(part)}
        for name, table in tables.items()
        for label, part in table.groupby("label", sort=False)
    )
    epochs = {"epoch": [1, 2], "trials": [4, 4]}
    figures = ("train_loss", "validation_loss", "validation_accuracy", "test_accuracy")
    curves = {name: pd.DataFrame(epochs | {one: [0.5, 0.25] for one in figures}) for name in SKILLS}
    return results.Results(lines, list(pooling.compare(tables)), tables, recalls, curves)


def write(
    out: Path,
    shards: Path,
    *,
    labels: list[str] | None = None,
    faces: bool = True,
    origin: Origin | None = None,
    **changes: Any,
) -> results.Results:
    """Write every file of the report, the page among them."""
    known = manifest(labels or ["calm", "angry", "happy", "sad"], **changes)
    found = made(known.labels, known)
    files.write(out, found, known)
    shown = Shown(shards, ACTORS, faces)
    page.write(out / "report.html", found, known, shown, origin or Origin("tiny", [("train.seed", "1", "2")]))
    return found
