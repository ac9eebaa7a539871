"""Read DVC's stages and their state. Only this module and ``dvc_reproduction`` use DVC's internals."""

from __future__ import annotations

import gc
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import getitem
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cfnsr.errors import CfnsrError

# DVC is imported inside functions: the import takes half a second, which reading dvc.yaml does not need.

_CHECKED = "params"
# Stages that must not run at the same time: `best` deletes jobs that are no longer listed, and `report` reads their
# folder; `check` deletes features of speakers that are no longer listed, where `features` writes.
_AFTER = {"report": "best", "features": "check"}


@dataclass(frozen=True)
class Plan:
    """The jobs to run.

    Attributes:
        needs: by job, the other jobs of the plan that must be done first.
        fresh: number of jobs of the requested stages that are up to date.
    """

    needs: dict[str, set[str]]
    fresh: int


def stage_names(root: Path) -> list[str]:
    """Read the names of the stages, in the order of dvc.yaml."""
    return list(_stages(root))


def stage_count(root: Path, params: Mapping[str, Any]) -> int:
    """Count the stages of dvc.yaml; each entry of a matrix is a stage.

    Args:
        root: of the repository.
        params: the values of params.yaml.
    """
    matrices = [stage.get("matrix", {}).values() for stage in _stages(root).values()]
    return sum(
        prod(len(_parameter(params, values) if isinstance(values, str) else values) for values in matrix)
        for matrix in matrices
    )


def _stages(root: Path) -> dict[str, dict[str, Any]]:
    path = root / "dvc.yaml"
    try:
        values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", "Run from the repository's root") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise CfnsrError(path, "is faulty (it is not YAML)", "Correct it, or run `git checkout dvc.yaml`") from error
    stages = values.get("stages") if isinstance(values, dict) else None
    if not isinstance(stages, dict):
        raise CfnsrError(path, "is faulty (it has no stages)", "Correct it, or run `git checkout dvc.yaml`")
    return stages


def _parameter(params: Mapping[str, Any], reference: str) -> Any:
    """Look up the value of ``${section.key}``."""
    return reduce(getitem, reference.removeprefix("${").removesuffix("}").split("."), params)


def check_files(root: Path) -> dict[str, Any]:
    """Check that DVC can read its own files, which may be incomplete after DVC was killed.

    Args:
        root: of the repository.

    Returns:
        The entries of dvc.lock, by stage.

    Raises:
        CfnsrError: one of them is incomplete.
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    lock, processes = root / "dvc.lock", root / ".dvc" / "tmp" / "rwlock"
    problem = "is incomplete (DVC was killed while it wrote it)"
    content: Any = {}
    if lock.exists():
        try:
            content = COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(lock.read_text(encoding="utf-8")) or {})
        except (OSError, YAMLError, Invalid, ValueError, RecursionError) as error:
            remedy = "Run `git checkout dvc.lock`, or delete it; `dvc repro` then takes finished stages from its cache"
            raise CfnsrError(lock, problem, remedy) from error
    if processes.exists():
        try:
            json.loads(processes.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CfnsrError(processes, problem, "Delete it once no DVC runs here") from error
    return content.get("stages", {})


def cache_folder(root: Path) -> Path:
    """Return the folder of DVC's cache that holds the objects; it may be outside the repository.

    Raises:
        CfnsrError: DVC cannot read its settings, or finds no git repository.
    """
    from dvc.repo import Repo

    with _readable(root), Repo(str(root)) as repo:
        return Path(repo.cache.local.path)


def site_cache_folder(root: Path) -> Path:
    """Return the folder in which DVC keeps what it knows of the repositories of this machine.

    Raises:
        CfnsrError: DVC cannot read its settings.
    """
    from dvc.config import Config
    from dvc.dirs import site_cache_dir

    with _readable(root):
        return Path(site_cache_dir(Config(str(root / ".dvc"))["core"].get("site_cache_dir"))) / "repo"


def not_together(jobs: Collection[str]) -> list[tuple[str, str]]:
    """Return the pairs of jobs of which the first must wait for the second, though it reads none of its outputs."""
    of_stage: dict[str, list[str]] = {}
    for job in jobs:
        of_stage.setdefault(job.partition("@")[0], []).append(job)
    return [
        (job, before)
        for stage, other in _AFTER.items()
        for job in of_stage.get(stage, [])
        for before in of_stage.get(other, [])
    ]


@contextmanager
def _readable(root: Path) -> Iterator[None]:
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    try:
        yield
    except SCMError as error:
        remedy = (
            "Run `git init && git add -A && git commit -m start`; or, without `dvc exp` and `dvc metrics diff`, "
            "`dvc config --local core.no_scm true`"
        )
        raise CfnsrError(root.absolute(), "is not a git repository", remedy) from error
    except DvcException as error:
        raise CfnsrError(root / ".dvc", f"DVC cannot read it ({error})", "Run `dvc config --list`") from error


def believed(root: Path, paths: Iterable[Path]) -> dict[Path, str]:
    """Return the md5 that DVC takes each file to have without reading it; of files that it would read, none.

    Args:
        root: of the repository.
        paths: of its files.
    """
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        known = {path: repo.state.get(str(path.absolute()), repo.fs)[1] for path in paths}
    return {path: str(value.value) for path, value in known.items() if value is not None}


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Search for no garbage while DVC is imported and reads its files: what it makes stays, and searching is slow."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_garbage_collection()
def plan(root: Path, stages: Collection[str]) -> Plan:
    """Ask DVC which jobs are stale, and plan them with the jobs that need them.

    The `dvc repro` of a job that needs a stale one decides whether there is something to do. The stage `params` may be
    stale: its output is always the same, and the caller has checked params.yaml.

    Args:
        root: of the repository.
        stages: names in dvc.yaml, for instance ``pretrain``; the jobs are their stages.

    Raises:
        CfnsrError: a stage is not in dvc.yaml, DVC cannot read its files, or the jobs' input is stale.
    """
    import networkx as nx
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo, lock_repo

    known = stage_names(root)
    unknown = [stage for stage in stages if stage not in known]
    if unknown:
        raise CfnsrError("dvc.yaml", f"has no stage {', '.join(unknown)}", f"Choose from {', '.join(known)}")
    try:
        with Repo(str(root)) as repo, lock_repo(repo):  # locked, it reads dvc.yaml and dvc.lock once for both questions
            # Names as in dvc.yaml: addresses depend on the current folder. Edges point from a stage to the stages
            # whose outputs it reads.
            names = {stage: getattr(stage, "name", None) or stage.addressing for stage in repo.index.graph}
            graph: Any = nx.relabel_nodes(repo.index.graph, names)
            status = repo.status()
            changed = {name for stage, name in names.items() if stage.addressing in status}
    except NotDvcRepoError as error:
        raise CfnsrError(root, "is not a DVC repository", "Run from the repository's root, or `dvc init`") from error
    except DvcException as error:
        raise CfnsrError(root, f"DVC cannot tell what is stale: {error}", "Run `cfnsr check`") from error
    jobs = {name for name in graph if name.partition("@")[0] in stages}
    stale = [name for name in nx.topological_sort(graph.reverse()) if name in changed]
    inputs = set().union(*(nx.descendants(graph, job) for job in jobs)) - jobs
    stale_inputs = [name for name in stale if name in inputs and name != _CHECKED]
    if stale_inputs:
        targets = " ".join(dict.fromkeys(name.partition("@")[0] for name in stale_inputs))
        problem = f"{stale_inputs[0]} is stale (and {len(stale_inputs) - 1} more)"
        raise CfnsrError("the jobs' data", problem, f"Run `dvc repro {targets}` first")
    todo = {job for job in jobs if job in changed or (nx.descendants(graph, job) & jobs & changed) - {_CHECKED}}
    graph.add_edges_from(not_together(todo))
    return Plan({job: nx.descendants(graph, job) & todo for job in sorted(todo)}, len(jobs) - len(todo))
