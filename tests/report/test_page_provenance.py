from __future__ import annotations

from pathlib import Path

from cfnsr import config
from cfnsr.config import preset
from cfnsr.report.page.provenance import Provenance, provenance

PRESETS = {
    "small": {"corpus": "a", "corpora": {"a": {"n": 1}, "b": {}}, "run": {"train": ["x"]}, "fetch": {"tries": 1}},
    "large": {"corpus": "a", "corpora": {"a": {"n": 9}, "b": {}}, "run": {"train": ["x", "y"]}, "fetch": {"tries": 2}},
}


def test_the_closest_preset_and_changes_are_named() -> None:
    params = {"corpus": "a", "corpora": {"a": {"n": 9}}, "run": {"train": ["x", "z"]}}
    assert provenance(params, PRESETS) == Provenance("large", [("run.train", "x, y", "x, z")])


def test_sections_that_params_lack_are_ignored() -> None:
    params = {"corpus": "a", "corpora": {"a": {"n": 1}}, "run": {"train": ["x"]}}
    assert provenance(params, PRESETS) == Provenance("small", [])


def test_added_and_missing_keys_are_dashes() -> None:
    params = {"corpus": "a", "corpora": {"a": {}}, "run": {"train": ["x"], "seed": 3}}
    assert provenance(params, {"small": PRESETS["small"]}).changed == [
        ("corpora.a", "–", "{}"),
        ("corpora.a.n", "1", "–"),
        ("run.seed", "–", "3"),
    ]


def test_params_as_shipped_are_those_of_studio(root: Path) -> None:
    presets = preset.load_all(root / "presets")
    shipped = config.load(root / "params.yaml").of_result()
    assert provenance(shipped, presets) == Provenance("studio", [])
    changed = {**shipped, "train": {**shipped["train"], "clip_norm": 1.5}}
    assert provenance(changed, presets) == Provenance("studio", [("train.clip_norm", "0.0", "1.5")])
    both = {**shipped, "run": {**shipped["run"], "protocols": ["held_out", "test_selected"]}}
    assert provenance(both, presets) == Provenance("test_selected", [])


def test_paths_of_this_machine_are_shortened() -> None:
    values = {"videos": "/home/somebody/own videos", "model": "C:\\Users\\somebody\\model", "cache": "~/somebody/a"}
    lists = {"files": ["/home/somebody/b", "data/c"], "rate": "30000/1001"}
    found = provenance({"corpora": {"folder": {**values, **lists}}}, {"small": {"corpora": {"folder": {}}}})
    shown = {key.rpartition(".")[2]: value for key, _, value in found.changed if key != "corpora.folder"}
    assert shown == {
        **{"videos": "…/own videos", "model": "…/model", "cache": "…/a"},
        **{"files": "…/b, data/c", "rate": "30000/1001"},
    }
