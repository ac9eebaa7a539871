"""The work of a stub: a script with the command line and the outputs of a stage, and none of its computing.

DVC's own behaviour is tested on the real dvc.yaml with these in place of ``stages``: they start in a tenth of a second.
What a stub writes depends on the stage's arguments, on its declared params and on the bytes of its data, as the result
of a real stage does. Which params and data, and which outputs, it reads in dvc.yaml.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file, atomic_folder

if TYPE_CHECKING:
    from cfnsr.report.expected import ExpectedOutputs

HOLDS = "STUB_HOLDS"  # the environment variable that names the folder of tests.support.holds
CODE = ("cfnsr/", "stages/", "presets")  # deps that decide a result, but are not part of it


@dataclass(frozen=True)
class Call:
    """One call of a stage.

    Attributes:
        stage: its name in dvc.yaml.
        item: its values of the matrix, from the command line.
        params: all of params.yaml.
        declared: the keys of params.yaml that it declares.
        inputs: the paths of the data that it depends on.
        outputs: the paths it must write.
    """

    stage: str
    item: dict[str, str]
    params: dict[str, Any]
    declared: list[str]
    inputs: list[Path]
    outputs: list[Path]

    @cached_property
    def digest(self) -> str:
        """The md5 of the call's arguments, params and data."""
        digest = hashlib.md5(" ".join(sys.argv[1:]).encode())
        for key in self.declared:
            digest.update(f"{key}={_value(self.params, key)!r}".encode())
        for path in self.inputs:
            _add(digest, path)
        return digest.hexdigest()

    def bytes_of(self, name: str, count: int = 512) -> bytes:
        """Return bytes that depend on the call and on a name."""
        return hashlib.shake_128(f"{self.digest} {name}".encode()).digest(count)

    def write(self, output: Path, *names: str) -> None:
        """Write an output: a file, or a folder of files with these names, each with bytes of its own."""
        with held(self.stage, output) as partial:
            if partial.is_file():
                partial.write_bytes(self.bytes_of(output.name))
            for name in names:
                if "/" in name:  # only then: the folder itself may have been removed by a run that comes after
                    (partial / name).parent.mkdir(exist_ok=True)
                (partial / name).write_bytes(self.bytes_of(name))


def run(write: Callable[[Call], None]) -> None:
    """Run a stub; an error ends it with one line, as it ends a stage.

    Args:
        write: writes the outputs of a call.
    """
    try:
        call = _call(["python", "-m", f"stages.{Path(sys.argv[0]).stem}", *sys.argv[1:]])
        if call.digest:  # from here on it knows what it depends on
            _stop(call.stage, "start")
        write(call)
    except CfnsrError as error:
        sys.exit(f"Error: {error}")
    if "DVC_STAGE" in os.environ:
        name = os.environ["DVC_STAGE"].rpartition(":")[2]
        with atomic_file(Path(f"data/logs/{name}.json")) as partial:
            partial.write_text(json.dumps({"stage": name, "wall_s": 0.1, "device": "stub"}))


def job(call: Call) -> None:
    """Write a job's model and its results."""
    model, results = call.outputs
    call.write(model, "model.safetensors")
    call.write(results, "record.json", "predictions.parquet", "curves/test.csv")


def expected(data: Path, *folders: str) -> ExpectedOutputs:
    """Prune folders of ``data/<corpus>`` as the stages do that gather jobs.

    Args:
        data: the corpus's folder.
        folders: ``jobs``, ``models`` or both.

    Returns:
        The jobs that params.yaml lists.
    """
    from cfnsr import config
    from cfnsr.data.manifest import Manifest
    from cfnsr.report.expected import ExpectedOutputs
    from cfnsr.runtime.outputs import prune

    params = config.load(Path("params.yaml"))
    run, folds = params.run, Manifest.read(data / "manifest.json").folds
    jobs = ExpectedOutputs.of(run.rows, folds, run.seeds, run.fused, run.cross.rows)
    for folder in folders:
        for path in prune(data / folder, getattr(jobs, folder)):
            print(f"removed {path}, which params.yaml no longer lists")
    return jobs


def named(*names: str) -> Callable[[Call], None]:
    """Return a function that writes each output of a call: with ``names`` as folders of these files, else as files."""

    def write(call: Call) -> None:
        for output in call.outputs:
            call.write(output, *names)

    return write


class held(AbstractContextManager[Path]):  # noqa: N801
    """Yield the temporary path of an output; where a test holds the stage, stop with half of it written."""

    def __init__(self, stage: str, output: Path) -> None:
        self._stage = stage
        self._atomic = atomic_file(output) if output.suffix else atomic_folder(output)

    def __enter__(self) -> Path:
        partial = self._atomic.__enter__()
        half = partial / "half" if partial.is_dir() else partial
        if _stop(self._stage, "half", lambda: half.write_bytes(b"half of an output")) and partial.is_dir():
            half.unlink(missing_ok=True)
        return partial

    def __exit__(self, *error: Any) -> bool | None:
        return self._atomic.__exit__(*error)


def _stop(stage: str, moment: str, before: Callable[[], Any] = lambda: None) -> bool:
    """Take one of the holds of a stage, say which process took it, and wait until the test lets it go."""
    for hold in sorted(Path(os.environ.get(HOLDS, "no holds")).glob(f"{stage}-*.{moment}")):
        taken = hold.with_suffix(f".{os.getpid()}")
        try:
            before()
            hold.rename(taken)
        except FileNotFoundError:  # another process took it
            continue
        while taken.exists():
            time.sleep(0.01)
        return True
    return False


def _call(command: list[str]) -> Call:
    params = yaml.load(Path("params.yaml").read_bytes(), yaml.CSafeLoader)
    stages = yaml.load(Path("dvc.yaml").read_bytes(), yaml.CSafeLoader)["stages"]
    line = " ".join(command)
    for name, entry in stages.items():
        match = re.fullmatch(_pattern(" ".join(shlex.split(entry["cmd"])), params), line)
        if match:
            stage, item = name, match.groupdict()
            break
    else:
        sys.exit(f"no stage of dvc.yaml has the command `{line}`")
    fill = lambda text: _fill(text, params, item)  # noqa: E731
    declared = sorted(fill(key) for key in entry.get("params", []))
    inputs = [Path(dep) for dep in sorted(map(fill, entry["deps"])) if not dep.startswith(CODE)]
    outputs = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
    paths = [fill(next(iter(output)) if isinstance(output, dict) else output) for output in outputs]
    return Call(stage, item, params, declared, inputs, [Path(path) for path in paths])


def _pattern(command: str, params: dict[str, Any]) -> str:
    """Return a regular expression for a command of dvc.yaml, with a group for each value of the matrix."""
    pattern, seen = "", set()
    for text, name in re.findall(r"([^$]*)(?:\$\{([\w.]+)\})?", command):
        pattern += re.escape(text)
        if name.startswith("item."):
            group = name.removeprefix("item.").replace(".", "__")
            pattern += f"(?P={group})" if group in seen else rf"(?P<{group}>[\w.]+)"
            seen.add(group)
        elif name:
            pattern += re.escape(str(_value(params, name)))
    return pattern


def _fill(text: str, params: dict[str, Any], item: dict[str, str]) -> str:
    def known(name: str) -> str:
        if not name.startswith("item.row."):
            return item.get(name.removeprefix("item.")) or str(_value(params, name))
        rows = [*params["run"]["fuse"], *params["run"]["train_frozen"]]
        (row,) = [row for row in rows if row["name"] == item["row__name"]]
        return row[name.removeprefix("item.row.")]

    return re.sub(r"\$\{([\w.]+)\}", lambda match: known(match[1]), text)


def _value(params: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        params = params[part]
    return params


def _add(digest: Any, path: Path) -> None:
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts):
            digest.update(f"{file} ".encode() + file.read_bytes())
