from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cfnsr import config
from cfnsr.config import preset
from cfnsr.errors import CfnsrError

PRESETS = Path(__file__).parents[2] / "presets"
NAMES = preset.names(PRESETS)


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    return Path(shutil.copy(root / "params.yaml", tmp_path / "params.yaml"))


def overlay(folder: Path, text: str) -> Path:
    """Write an overlay beside the shipped base.yaml."""
    shutil.copy(PRESETS / "base.yaml", folder / "base.yaml")
    (folder / "mine.yaml").write_text(text)
    return folder / "mine.yaml"


def comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


def test_studio_is_what_ships(params: Path, root: Path) -> None:
    assert preset.apply(params, PRESETS / "studio.yaml") == []
    assert params.read_bytes() == (root / "params.yaml").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_studio_undoes_each_preset_byte_by_byte(params: Path, name: str) -> None:
    shipped = params.read_bytes()
    changes = preset.apply(params, PRESETS / f"{name}.yaml")
    written = params.read_bytes()
    assert bool(changes) == (written != shipped)
    assert config.read_yaml(params) == preset.load(PRESETS / f"{name}.yaml")
    assert comments(written.decode()) == comments(shipped.decode())
    assert preset.apply(params, PRESETS / f"{name}.yaml") == []
    preset.apply(params, PRESETS / "studio.yaml")
    assert params.read_bytes() == shipped


def test_all_presets_are_loaded_by_name() -> None:
    presets = preset.load_all(PRESETS)
    assert sorted(presets) == NAMES
    assert presets["studio"] == config.read_yaml(PRESETS / "base.yaml")
    assert presets["tiny"]["actors"] == ["01", "02", "03"] and presets["tiny"]["train"]["threads"] == 1


def test_the_users_own_sections_stay(params: Path) -> None:
    text = params.read_text().replace("local: '' ", "local: '/my # files' ").replace("jobs: 0 ", "jobs: 3 ")
    params.write_text(text.replace("licence_accepted: false", "licence_accepted: true"))
    preset.apply(params, PRESETS / "tiny.yaml")
    values = config.load(params)
    assert (values.fetch.local, values.parallel.jobs, values.corpora.ravdess.licence_accepted) == (
        "/my # files",
        3,
        True,
    )
    assert re.search(r"local: '/my # files' +# a folder where you have the archives", params.read_text())


def test_other_changes_are_undone_and_printed(params: Path) -> None:
    params.write_text(params.read_text().replace("    - 1234\n", "    - 99\n").replace("  jobs: 0 ", "  job: 0 "))
    changes = preset.apply(params, PRESETS / "studio.yaml")
    assert changes == ["parallel.jobs: (none) -> 0", "run.seeds: [99] -> [1234]", "parallel.job: 0 -> (none)"]


def test_the_users_device_and_checkpoints_stay(params: Path) -> None:
    text = params.read_text().replace("device: auto ", "device: cpu ").replace(": checkpoints ", ": /my/networks ")
    params.write_text(text)
    for name in ("tiny", "studio"):
        preset.apply(params, PRESETS / f"{name}.yaml")
    values = config.load(params)
    assert (values.train.device, values.evaluate.checkpoints) == ("cpu", "/my/networks")


def test_keys_that_are_no_words_are_removed(params: Path) -> None:
    params.write_text(params.read_text() + "1: 2\n")
    assert preset.apply(params, PRESETS / "studio.yaml") == ["1: 2 -> (none)"]


def test_a_preset_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = overlay(tmp_path, "")
    path.write_bytes(b"\xff")
    with pytest.raises(CfnsrError, match=r"mine\.yaml: is not YAML"):
        preset.summary(path)


def test_an_overlay_may_name_kept_sections(params: Path, tmp_path: Path) -> None:
    preset.apply(params, overlay(tmp_path, "# Mine.\nparallel: {jobs: 2}\nablations: {variants: {}}\n"))
    values = config.load(params)
    assert values.parallel.jobs == 2 and values.ablations.variants == {}


def test_values_are_updated_in_place(tmp_path: Path, params: Path) -> None:
    before = params.read_text().replace("# Settings of every training.", "# My own comment.")
    params.write_text(before)
    changes = preset.update(params, {"report": {"faces": False}, "run": {"seeds": [1, 2], "ablate": []}})
    assert changes == ["run.seeds: [1234] -> [1, 2]", "report.faces: True -> False"]
    expected = before.replace("    - 1234\n", "    - 1\n    - 2\n")
    assert params.read_text() == expected.replace("  faces: true              #", "  faces: false             #")


def test_a_faulty_file_is_named_by_its_path(params: Path) -> None:
    before = params.read_bytes()
    with pytest.raises(CfnsrError, match=r"params\.yaml: would be faulty: crop\.margin: .*git checkout") as caught:
        preset.update(params, {"crop": {"margin": -1.0}})
    assert ".partial" not in str(caught.value) and params.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("crop:\n  margn: 0.3\n", r"mine\.yaml: base\.yaml has no crop\.margn"),
        ("crop: 3\n", r"base\.yaml has no crop\. Correct the key"),
        ("corpus:\n  a: 1\n", r"base\.yaml has no corpus\.a"),
        ("crop:\n  margin: -1\n", r"params\.yaml: would be faulty: crop\.margin"),
        ("1: 2\n", r"mine\.yaml: base\.yaml has no 1\. Correct the key"),
        ("- 1\n", r"mine\.yaml: has no keys at its top level"),
        ("a: [\n", r"mine\.yaml: is not YAML"),
    ],
)
def test_a_faulty_preset_changes_nothing(params: Path, tmp_path: Path, text: str, problem: str) -> None:
    before = params.read_bytes()
    with pytest.raises(CfnsrError, match=problem):
        preset.apply(params, overlay(tmp_path, text))
    assert params.read_bytes() == before


def test_several_keys_on_one_line_are_refused(params: Path) -> None:
    before = params.read_text().replace("check:\n  min_clips: 8 ", "check: {min_clips: 8} ")
    params.write_text(before)
    with pytest.raises(CfnsrError, match=r"params\.yaml: "):
        preset.update(params, {"check": {"min_clips": 4}})
    assert params.read_text() == before


def test_an_unknown_preset_names_the_known_ones(params: Path) -> None:
    with pytest.raises(
        CfnsrError, match=r"huge\.yaml: there is no such preset\. Choose one of: .*studio, test_selected, tiny"
    ):
        preset.apply(params, PRESETS / "huge.yaml")


def test_a_folder_without_base_is_refused(params: Path, tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"base\.yaml: is missing\. Run from the repository's root"):
        preset.apply(params, tmp_path / "tiny.yaml")
