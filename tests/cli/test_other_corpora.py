"""Which other corpora an earlier run has prepared, and what presets and ``cfnsr check`` say of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cfnsr import cli, config
from cfnsr.cli import other_corpora
from cfnsr.config import preset

PRESETS = Path(__file__).parents[2] / "presets"
ROWS = ["mel_statistics", "whisper_tiny"]


def prepare(data: Path, corpus: str, *rows: str) -> None:
    for row in rows:
        (data / corpus / "features" / row / "01").mkdir(parents=True)
        (data / corpus / "features" / row / "01/extractor.json").write_text("{}")
    (data / corpus / "manifest.json").write_text("{}")


@pytest.fixture
def params(tmp_path: Path, root: Path) -> Path:
    shutil.copy(root / "dvc.yaml", tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    return Path(shutil.copy(root / "params.yaml", tmp_path))


def run(params: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--params", str(params)])


def test_rows_are_those_that_all_have(tmp_path: Path) -> None:
    assert other_corpora.prepared(tmp_path, "ravdess_speech", ROWS) == {"corpora": [], "rows": []}
    prepare(tmp_path, "emodb", *ROWS)
    assert other_corpora.prepared(tmp_path, "ravdess_speech", ROWS) == {"corpora": ["emodb"], "rows": ROWS}
    prepare(tmp_path, "crema_d", "whisper_tiny")
    found = other_corpora.prepared(tmp_path, "ravdess_speech", ROWS)
    assert found == {"corpora": ["crema_d", "emodb"], "rows": ["whisper_tiny"]}
    assert other_corpora.prepared(tmp_path, "ravdess_speech", ROWS[:1]) == {"corpora": ["emodb"], "rows": ROWS[:1]}


def test_the_same_speakers_are_not_found(tmp_path: Path) -> None:
    for corpus in ("ravdess", "ravdess_speech", "studio", "folder"):
        prepare(tmp_path, corpus, *ROWS)
    assert other_corpora.prepared(tmp_path, "ravdess_speech", ROWS)["corpora"] == []
    assert other_corpora.prepared(tmp_path, "emodb", ROWS)["corpora"] == ["ravdess"]


def test_without_manifest_or_features_nothing_is_prepared(tmp_path: Path) -> None:
    prepare(tmp_path, "emodb", "mel_statistics")
    assert other_corpora.is_prepared(tmp_path, "emodb", "mel_statistics")
    assert not other_corpora.is_prepared(tmp_path, "emodb", "whisper_tiny")
    (tmp_path / "emodb/manifest.json").unlink()
    assert not other_corpora.is_prepared(tmp_path, "emodb", "mel_statistics")


def test_preset_lists_prepared_corpora_and_says_so(params: Path) -> None:
    apply = ("preset", "ravdess_speech", "--presets", str(PRESETS))
    assert "trained on" not in run(params, *apply).output
    assert config.load(params).run.cross.corpora == []
    prepare(params.parent / "data", "emodb", *ROWS)
    *changes, said = run(params, *apply).output.splitlines()
    assert changes == ["run.cross.corpora: [] -> [emodb]", "run.cross.rows: [] -> [mel_statistics, whisper_tiny]"]
    assert said == (
        "data/ has features of emodb: mel_statistics, whisper_tiny will also be trained on them (run.cross)"
    )
    assert config.load(params).run.cross.rows == ROWS
    run(params, "preset", "studio", "--presets", str(PRESETS))
    assert params.read_bytes() == (PRESETS.parent / "params.yaml").read_bytes()


def test_check_names_what_is_missing(params: Path) -> None:
    data = params.parent / "data"
    prepare(data, "emodb", *ROWS)
    preset.apply(params, PRESETS / "ravdess_speech.yaml", {"run": {"cross": {"corpora": ["emodb"], "rows": ROWS}}})
    counted = run(params, "check")
    assert counted.exit_code == 0, counted.output
    shutil.rmtree(data / "emodb/features/whisper_tiny")
    result = run(params, "check")
    assert result.exit_code == 1 and "data/emodb has no manifest, or no features of whisper_tiny" in result.output
    assert "Run `cfnsr preset emodb` and `dvc repro features check` first" in result.output
