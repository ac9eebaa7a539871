from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import nn

from cfnsr import cli, config
from cfnsr.config import preset
from cfnsr.errors import CfnsrError
from cfnsr.models import checkpoint
from cfnsr.models import published as exchange

PRESETS = Path(__file__).parents[2] / "presets"


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
            described = exchange.specification("audio", fold, params) | {"name": imported}
            checkpoint.save(file, nn.Linear(1, 1), described)
    checked = CliRunner().invoke(cli.main, ["check", "--params", str(params)])
    assert checked.exit_code == 0, checked.output
    assert bool(changes) == (params.read_bytes() != shipped)
    preset.apply(params, PRESETS / "studio.yaml", config.load)
    assert params.read_bytes() == shipped


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (None, "run.evaluate names video, and .*fold_1.safetensors is missing. Write it with"),
        (b"", "fold_1.safetensors: cannot be read as safetensors"),
        ({"name": "audio"}, "is of audio, fold_1, not of video, fold_1. Import the right file there"),
        ({"name": "video", "fold": "fold_2"}, "is of video, fold_2, not of video, fold_1"),
    ],
)
def test_a_checkpoint_that_is_not_there_or_another_is_told_before_any_work(
    params: Path, written: bytes | dict[str, str] | None, told: str
) -> None:
    preset.apply(params, PRESETS / "evaluate.yaml", config.load)
    file = params.parent / "checkpoints/video/fold_1.safetensors"
    if isinstance(written, bytes):
        file.parent.mkdir(parents=True)
        file.write_bytes(written)
    elif written is not None:
        checkpoint.save(file, nn.Linear(1, 1), exchange.specification("audio", "fold_1", params) | written)
    checked = CliRunner().invoke(cli.main, ["check", "--params", str(params)])
    assert checked.exit_code == 1 and re.search(told, checked.output) and len(checked.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("heads: 8 ", "heads: 7 ", "systems.cfnsr.options: no network can be built with"),
        ("ratio: 4 ", "ratio: 0 ", "ZeroDivisionError"),
        ("hidden: 256 ", "hidden: 0 ", "systems.concat.options: "),
        ("dropout: 0.5 ", "dropout: 1.5 ", "no network can be built with"),
        ("depth: 1 ", "depth: 0 ", "systems.eranns.options.depth: 0 blocks make no stage"),
        ("block_dropout: 0.2 ", "block_dropout: 2.0 ", "systems.msaf.options.block_dropout: 2.0 is not a share"),
        ("beta: 0.3 ", "beta: -1.0 ", "systems.multiplicative.options.beta: -1.0 is not 0 or more"),
        ("beta: 0.3 ", "beta: .nan ", "systems.multiplicative.options.beta: nan is not 0 or more"),
    ],
)
def test_options_of_which_no_network_can_be_made_are_told_before_any_work(
    params: Path, old: str, new: str, told: str
) -> None:
    text = params.read_text()
    assert text.count(old) == 1
    params.write_text(text.replace(old, new))
    checked = CliRunner().invoke(cli.main, ["check", "--params", str(params)])
    assert checked.exit_code == 1 and told in checked.output and len(checked.output.splitlines()) == 1
    shown = CliRunner().invoke(cli.main, ["models", "--params", str(params)])
    assert shown.exit_code == 1 and told in shown.output


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
    params.write_text(params.read_text().replace("    - 1234\n", "    - 99\n"))
    preset.apply(params, PRESETS / "tiny.yaml", config.load)
    assert config.load(params).run.seeds == [99]


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


def test_a_faulty_file_is_named_by_its_own_name(params: Path) -> None:
    params.write_text(params.read_text().replace("  threads: 2", "  thread: 2"))
    with pytest.raises(
        CfnsrError, match=r"params\.yaml: as it would be: .*train\.thread: Extra.*git checkout"
    ) as caught:
        preset.apply(params, PRESETS / "tiny.yaml", config.load)
    assert ".partial" not in str(caught.value)


def test_presets_are_listed_with_what_they_are_for() -> None:
    listed = CliRunner().invoke(cli.main, ["preset", "--presets", str(PRESETS)]).output.splitlines()
    told = dict(line.split(maxsplit=1) for line in listed)
    assert list(told) == preset.names(PRESETS) and len(set(told.values())) == len(told)
    assert told["studio"] == "What ships" and told["tiny"].startswith("The whole pipeline as small as it goes, for")
    assert all(10 <= len(line) < 110 for line in listed)


@pytest.mark.parametrize(
    "command",
    ["check", "results", "report", "preset", "preset tiny", "sheet 01 out.png", "models", "profile cfnsr", "launch"],
)
def test_who_is_not_at_the_root_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.main, command.split())
    assert result.exit_code == 1 and "Run from the repository's root" in result.output


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
