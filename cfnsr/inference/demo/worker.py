"""The process that reads recordings and predicts. The server may kill it at any time.

It reads jobs from its standard input and writes answers to its standard output, both as lines of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfnsr.errors import CfnsrError
from cfnsr.inference import names
from cfnsr.inference.demo.limits import Limits
from cfnsr.runtime import lifeline

if TYPE_CHECKING:
    from cfnsr.inference.model import Model

# While predicting: done_s and of_s, the seconds predicted and in all. At the end: result, an HTML page; or error, one
# line.
Answer = dict[str, Any]
_MODELS = 2  # models kept in memory
_NAME = "your recording"  # on the page: the browser does not send the file's name


def main() -> None:
    """Answer jobs until the standard input ends."""
    lifeline.die_with_parent()
    device, max_mb, max_minutes, first = json.loads(sys.argv[1])
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with answers

        def answer(content: Answer) -> None:
            answers.write(json.dumps(content) + "\n")
            answers.flush()

        @lru_cache(_MODELS)
        def load(model: str) -> Model:
            return names.load(model, device)

        if first is not None:
            _load_ahead(load, first)
        for line in sys.stdin:
            _work(json.loads(line), load, Limits(max_mb, max_minutes), answer)


def _load_ahead(load: Callable[[str], Model], model: str) -> None:
    try:
        load(model)
    except CfnsrError:  # the first job with this model reports it
        return


def _work(job: dict[str, Any], load: Callable[[str], Model], limits: Limits, answer: Callable[[Answer], None]) -> None:
    from cfnsr.inference.demo.check import check  # imports torch

    path = Path(job["file"])
    try:
        check(path, limits)
        answer({"result": _predict(path, load(job["model"]), job["only"], answer)})
    except CfnsrError as error:
        answer({"error": str(error).replace(str(path), "recording")})


def _predict(path: Path, model: Model, only: str | None, answer: Callable[[Answer], None]) -> str:
    from cfnsr.inference import page

    run = model.run(path, only=only, pictures=True)
    of_s = run.windows[-1].end_s
    answer({"done_s": 0.0, "of_s": of_s})
    rows = []
    for row in run:
        if not rows or row.end_s > rows[-1].end_s:
            answer({"done_s": row.end_s, "of_s": of_s})
        rows.append(row)
    name = _NAME if only is None else f"{_NAME}, the {only} alone"
    return page.render([page.Pictured(name, run.duration_s, run.levels, rows)], model)


if __name__ == "__main__":
    main()
