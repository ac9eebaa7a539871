"""Folders of models, and Hugging Face's cache, without a network."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import huggingface_hub
import pytest

from cfnsr.errors import CfnsrError
from cfnsr.runtime import model_folder
from cfnsr.runtime.model_folder import ModelFolder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def find(model: Path | str, revision: str = COMMIT, *, fetch_weights: bool = False) -> ModelFolder:
    return model_folder.find(str(model), revision, fetch_weights=fetch_weights, where="here", extra="some-extra")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_weights_may_be_in_parts(tmp_path: Path) -> None:
    for name in ("model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors", "optimizer.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    parts = find(tmp_path, "noted")
    assert [path.name[:11] for path in parts.weights] == ["model-00001", "model-00002"] and parts.revision == "noted"
    assert parts.checksum() == digest("".join(digest(path.name.encode()) for path in parts.weights).encode())
    (tmp_path / "model.safetensors").write_bytes(b"whole")
    assert find(tmp_path).checksum() == digest(b"whole")


def test_commit_is_read_from_the_cache(cache: Path) -> None:
    snapshot = cache / "models--owner--model/snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    folder = find("owner/model")
    assert folder.path.samefile(snapshot) and folder.revision == COMMIT and folder.checksum() == digest(b"weights")


def test_missing_model_is_named_with_its_remedy(cache: Path) -> None:
    with pytest.raises(CfnsrError) as raised:
        find("owner/model")
    assert str(raised.value) == (
        "here: owner/model is no folder, and is not in Hugging Face's cache. Run `hf download owner/model --revision "
        f"{COMMIT} --include '*.json' --include 'model*.safetensors'`, give a folder with config.json, "
        "preprocessor_config.json and model.safetensors, or set fetch_weights to true"
    )


@pytest.mark.parametrize("revision", ["", "main", "0123456", COMMIT.upper()])
def test_repository_without_a_commit_is_refused(cache: Path, revision: str) -> None:
    with pytest.raises(CfnsrError, match=f"owner/model is no folder, and revision is '{revision}'"):
        find("owner/model", revision, fetch_weights=True)


@pytest.mark.parametrize("fetch_weights", [False, True])
def test_hub_is_asked_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fetch_weights: bool) -> None:
    asked = {}
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda model, **how: asked.update(how) or str(tmp_path))
    find("owner/model", fetch_weights=fetch_weights)
    assert asked["token"] is False and asked["local_files_only"] is not fetch_weights and asked["revision"] == COMMIT
    assert asked["allow_patterns"] == ["*.json", "model*.safetensors"]


def test_what_cannot_be_fetched_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CfnsrError, match=r"cannot be fetched \(no route\)\. Check model and revision"):
        find("owner/model", fetch_weights=True)


def test_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CfnsrError, match=r"has no weights in safetensors format\. Put config\.json, .* there"):
        find(tmp_path)


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path, [], "")
    assert folder.read_json("config.json") == {}
    for content, problem in (("{", "cannot be read"), ("[1]", "holds no JSON object")):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(CfnsrError, match=rf"config\.json: {problem}"):
            folder.read_json("config.json")


def test_missing_hub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CfnsrError, match=r"Run `pip install 'cfnsr\[some-extra\]'`"):
        find("owner/model")
