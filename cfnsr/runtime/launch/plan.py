"""Which cells have work, and what each waits for: DVC knows both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from cfnsr.errors import CfnsrError


@dataclass(frozen=True)
class Plan:
    """The cells to run.

    Attributes:
        needs: by cell, the others of the plan that go before it.
        fresh: how many cells of the stages asked for have nothing to do.
    """

    needs: dict[str, set[str]]
    fresh: int


def made(root: Path, stages: Collection[str]) -> Plan:
    """Ask DVC what is stale.

    A cell that needs a stale one is in the plan too: whether it then has work, its own `dvc repro` sees.

    Args:
        root: the repository's.
        stages: of dvc.yaml, ``pretrain`` and ``train`` for instance.

    Raises:
        CfnsrError: a stage is not in dvc.yaml, DVC cannot read its files, or what the stages read is itself stale.
    """
    try:
        with Repo(str(root)) as repo:
            # Edges lead from a stage to what it depends on.
            names = {stage: _name(stage) for stage in repo.index.graph}
            graph: Any = nx.relabel_nodes(repo.index.graph, names)
            told = repo.status()
            changed = {name for stage, name in names.items() if stage.addressing in told}
    except DvcException as error:
        raise CfnsrError(root, f"DVC cannot tell what is stale: {error}", "Run `cfnsr check`") from error
    known = {name.partition("@")[0] for name in graph}
    unknown = sorted(set(stages) - known)
    if unknown:
        raise CfnsrError("dvc.yaml", f"has no stage {', '.join(unknown)}", f"There are {', '.join(sorted(known))}")
    cells = {name for name in graph if name.partition("@")[0] in stages}
    above = set().union(*(nx.descendants(graph, cell) for cell in cells)) - cells
    stale = sorted(above & changed, key=lambda name: (len(nx.descendants(graph, name)), name))
    if stale:
        targets = " ".join(sorted({name.partition("@")[0] for name in stale}))
        raise CfnsrError(
            "the cells' data", f"{stale[0]} is stale (and {len(stale) - 1} more)", f"Run `dvc repro {targets}` first"
        )
    todo = {cell for cell in cells if cell in changed or nx.descendants(graph, cell) & cells & changed}
    needs = {cell: nx.descendants(graph, cell) & todo for cell in sorted(todo)}
    return Plan(needs, len(cells) - len(todo))


def order_lock(root: Path, before: Collection[str]) -> None:
    """Put new entries of dvc.lock where `dvc repro` would have: it writes them in the order in which stages end.

    Args:
        root: the repository's.
        before: the stages that had entries; these stay where they are.
    """
    with Repo(str(root)) as repo, repo.lock:
        ranks = {_name(stage): rank for rank, stage in enumerate(plan_repro(repo.index.graph))}
        with modify_yaml(str(root / "dvc.lock")) as lock:
            entries = lock["stages"]
            new = [name for name in entries if name not in before]
            for name in sorted(new, key=lambda one: ranks.get(one, len(ranks))):
                entries[name] = entries.pop(name)


def _name(stage: Any) -> str:
    """As dvc.yaml has it; its address would depend on the folder one is in."""
    return getattr(stage, "name", None) or stage.addressing


def locked(root: Path) -> list[str]:
    """The stages that have an entry in dvc.lock."""
    path = root / "dvc.lock"
    if not path.exists():
        return []
    return list(YAML(typ="safe").load(path.read_text(encoding="utf-8"))["stages"])
