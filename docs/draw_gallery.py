"""Draw the pictures of docs/gallery.md from a finished run of studio, the synthetic corpus.

    python docs/draw_gallery.py metrics/studio data/studio/shards/01 docs/gallery

The charts are those of the report's page, of its own functions; the faces are one speaker's crops.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import vl_convert

from cfnsr.data import shards
from cfnsr.preprocessing import contact_sheet
from cfnsr.report.page import charts
from cfnsr.report.results import read_table

SYSTEM = "cfnsr"
WIDTH_PX = {"confusion": 380, "accuracy": 520}
STYLE = {"font": "sans-serif", "background": "#ffffff", "view": {"stroke": "transparent"}}
JPEG_QUALITY = 85
MOST_BYTES = 200_000  # of each picture


def draw_charts(metrics: Path, out: Path) -> None:
    """Draw one system's confusion matrix and its accuracy by epoch as SVG.

    Args:
        metrics: the folder of a corpus's tables.
        out: folder of the pictures.
    """
    predictions = read_table(metrics / f"confusion/{SYSTEM}.csv", ["actual", "predicted"])
    predictions = predictions.rename(columns={"actual": "label"}).assign(fold="", clip="")
    recalls = read_table(metrics / "recall.csv", ["label"])
    labels = list(dict.fromkeys(recalls["label"]))
    curves = read_table(metrics / f"curves/{SYSTEM}.csv", ["epoch"])
    specs = {
        "confusion": charts.confusion({SYSTEM: predictions}, labels, SYSTEM),
        "accuracy": charts.curves({SYSTEM: curves}, "accuracy", SYSTEM),
    }
    for name, spec in specs.items():
        fixed: dict[str, Any] = {**(spec or {}), "width": WIDTH_PX[name], "config": STYLE}
        del fixed["background"]  # transparent: nothing could be read on a dark page
        (out / f"{name}.svg").write_text(vl_convert.vegalite_to_svg(fixed), encoding="utf-8")


def draw_faces(folder: Path, out: Path) -> None:
    """Draw the first clip of each emotion of one speaker, a row a clip, as JPEG.

    Args:
        folder: the speaker's shard.
        out: folder of the pictures.
    """
    shard = shards.read(folder, ["video", "audio"])
    numbers = np.flatnonzero(~shard.index["label"].duplicated())
    rows = np.concatenate([contact_sheet.picture(shard, int(number), 1) for number in numbers])
    picture = cv2.cvtColor(rows, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(out / "faces.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def draw(metrics: Path, shard: Path, out: Path) -> None:
    """Draw all pictures.

    Raises:
        SystemExit: a picture is too large for a page.
    """
    out.mkdir(exist_ok=True)
    draw_charts(metrics, out)
    draw_faces(shard, out)
    for picture in sorted(out.iterdir()):
        if picture.stat().st_size > MOST_BYTES:
            sys.exit(f"{picture} has more than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: python {sys.argv[0]} METRICS SHARD OUT")
    draw(*map(Path, sys.argv[1:]))
