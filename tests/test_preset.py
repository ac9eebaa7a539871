from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cfnsr import cli, config, preset
from cfnsr.errors import CfnsrError

PRESETS = Path(__file__).parents[1] / "presets"


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    return Path(shutil.copy(root / "params.yaml", tmp_path / "params.yaml"))


def test_studio_is_what_ships(params: Path) -> None:
    assert preset.apply(params, PRESETS / "studio.yaml", config.load) == []


@pytest.mark.parametrize("name", preset.names(PRESETS))
def test_each_preset_is_valid_and_studio_undoes_it_to_the_byte(params: Path, name: str) -> None:
    shipped = params.read_bytes()
    changes = preset.apply(params, PRESETS / f"{name}.yaml", config.load)
    values = config.load(params)
    for imported in values.run.evaluate:
        for fold in values.folds:
            file = params.parent / values.evaluate.checkpoints / imported / f"{fold}.safetensors"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    checked = CliRunner().invoke(cli.main, ["check", "--params", str(params)])
    assert checked.exit_code == 0, checked.output
    assert bool(changes) == (params.read_bytes() != shipped)
    preset.apply(params, PRESETS / "studio.yaml", config.load)
    assert params.read_bytes() == shipped


@pytest.mark.parametrize("name", preset.names(PRESETS))
def test_no_comment_is_lost(params: Path, name: str) -> None:
    def comments(text: str) -> list[str]:
        return [line.strip() for line in text.splitlines() if line.lstrip().startswith("#")]

    before = comments(params.read_text())
    preset.apply(params, PRESETS / f"{name}.yaml", config.load)
    assert comments(params.read_text()) == before


def test_changes_are_told_key_by_key(tmp_path: Path) -> None:
    params, overlay = tmp_path / "params.yaml", tmp_path / "overlay.yaml"
    params.write_text("a: 1  # one\nb:\n  - x\n\n# about c\nc:\n  d: 2\n  e: 3\n\n# about f\nf: 4\n")
    overlay.write_text("a: 5\nb:\n  - y\n  - z\nc:\n  g: 6\n")
    assert preset.apply(params, overlay, Path.read_text) == ["a: 1 -> 5", "b: [x] -> [y, z]", "c.g: (none) -> 6"]
    assert (
        params.read_text()
        == "a: 5  # one\nb:\n  - y\n  - z\n\n# about c\nc:\n  d: 2\n  e: 3\n  g: 6\n\n# about f\nf: 4\n"
    )


def test_own_changes_stay(params: Path) -> None:
    params.write_text(params.read_text().replace("seed: 1234", "seed: 99"))
    preset.apply(params, PRESETS / "tiny.yaml", config.load)
    assert config.load(params).train.seed == 99


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["tiny", "--accept-licence"], "studio asks for none"),
        (["--accept-licence"], "needs the NAME of a preset"),
        (["huge", "--accept-licence"], "there is no such preset"),
    ],
)
def test_a_licence_that_is_not_there_is_not_accepted(params: Path, given: list[str], told: str) -> None:
    before = params.read_bytes()
    result = CliRunner().invoke(cli.main, ["preset", *given, "--params", str(params), "--presets", str(PRESETS)])
    assert result.exit_code and told in result.output and params.read_bytes() == before


def test_an_unknown_preset_names_those_there_are(params: Path) -> None:
    with pytest.raises(CfnsrError, match=r"There are .*studio, tiny"):
        preset.apply(params, PRESETS / "huge.yaml", config.load)


@pytest.mark.parametrize("name", preset.names(PRESETS))
def test_a_preset_gives_the_same_whatever_was_before(params: Path, name: str) -> None:
    preset.apply(params, PRESETS / f"{name}.yaml", config.load)
    wanted = params.read_bytes()
    for other in preset.names(PRESETS):
        preset.apply(params, PRESETS / f"{other}.yaml", config.load)
        preset.apply(params, PRESETS / f"{name}.yaml", config.load)
        assert params.read_bytes() == wanted, f"{name} after {other}"


@pytest.mark.parametrize("overlay", ["crop:\n  landmarks:\n", "crop:\n  margin:\n", "crop: 3\n", "corpus:\n  a: 1\n",
                                     "crop:\n  margin: -1\n"])  # fmt: skip
def test_a_preset_that_would_do_harm_leaves_params_as_they_were(params: Path, tmp_path: Path, overlay: str) -> None:
    before = params.read_bytes()
    (tmp_path / "overlay.yaml").write_text(overlay)
    with pytest.raises(CfnsrError, match=r"preset, |crop\.margin"):
        preset.apply(params, tmp_path / "overlay.yaml", config.load)
    assert params.read_bytes() == before
