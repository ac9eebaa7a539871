from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cfnsr import config
from cfnsr.errors import CfnsrError

SHIPPED = YAML(typ="safe", pure=True).load((Path(__file__).parents[2] / "params.yaml").read_text())


def load(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> config.Params:
    values = copy.deepcopy(SHIPPED)
    change(values)
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(values, file)
    return config.load(path)


def fusion(name: str, first: str, second: str) -> dict[str, str]:
    return {"name": name, "first": first, "second": second, "rule": "averaging"}


def on_frozen(system: str = "concat") -> dict[str, str]:
    return {"name": "a", "system": system, "video": "blendshapes", "audio": "whisper_tiny"}


def test_shipped_params_are_valid(root: Path) -> None:
    values = config.load(root / "params.yaml")
    assert values.actors == [f"{number:02d}" for number in range(1, 9)]
    assert len(values.folds) == 4


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda v: v.update(epochs=3), "epochs: Extra inputs"),
        (lambda v: v["crop"].update(margn=0.3), r"crop\.margn: Extra inputs"),
        (lambda v: v["train"].update(threads=2**31), r"train\.threads: .*less than or equal to 1024"),
        (lambda v: v["train"]["augment"]["video"].update(jitter=10**6), r"train\.augment\.video\.jitter: .*1000"),
        (lambda v: v["train"]["augment"]["audio"].update(gain_db=1e4), r"train\.augment\.audio\.gain_db: .*60"),
        (
            lambda v: v["train"].update(warmup_epochs=20),
            r"train\.warmup_epochs: 20, but pretrain\.audio has 20 epochs: the learning rate would never be reached",
        ),
        (
            lambda v: (v["train"].update(warmup_epochs=19), v["systems"]["cfnsr"]["training"].update(epochs=10)),
            r"train\.warmup_epochs: 19, but systems\.cfnsr\.training has 10 epochs",
        ),
        (
            lambda v: (
                v.update(corpus="folder"),
                v["corpora"]["folder"].update(videos="x", intake="y", labels=["calm"]),
            ),
            r"corpora\.folder\.labels: one emotion alone cannot be recognised",
        ),
        (lambda v: v.update(modalities=[]), "modalities: List should have at least 1"),
        (lambda v: v.update(modalities=["audio", "audio"]), "modalities: audio named twice"),
        (lambda v: v.update(modalities=["audio"]), r"run\.pretrain: video cannot run, as modalities has audio alone"),
        (
            lambda v: (v.update(modalities=["audio"]), v["run"].update(pretrain=["audio"])),
            r"run\.combine: averaging starts from both modalities, and modalities has audio alone",
        ),
        (
            lambda v: (v.update(modalities=["video"]), v["run"].update(pretrain=["video"], combine=[])),
            r"run\.train: cfnsr starts from both modalities, and modalities has video alone",
        ),
        (
            lambda v: (
                v.update(modalities=["audio"]),
                v["run"].update(pretrain=["audio"], combine=[], train=[], evaluate=["cfnsr"]),
            ),
            r"run\.evaluate: cfnsr cannot run, as modalities has audio alone",
        ),
        (lambda v: v["crop"].pop("margin"), r"crop\.margin: Field required"),
        (lambda v: v["extract"]["video"].update(frames="8"), r"extract\.video\.frames: .*integer.*given: '8'"),
        (lambda v: v["extract"]["video"].update(frames=0), r"extract\.video\.frames: .*greater than or equal to 1"),
        (lambda v: v["train"].update(threads=True), r"train\.threads: .*integer"),
        (lambda v: v["run"].update(seeds=["1"]), r"run\.seeds\.0: .*integer"),
        (lambda v: v["run"].update(seeds=[1, 1]), r"run\.seeds: 1 named twice"),
        (lambda v: v["run"].update(seeds=[]), r"run\.seeds: List should have at least 1"),
        (lambda v: v["run"].update(protocols=["ours"]), r"run\.protocols\.0: Input should be 'held_out' or"),
        (lambda v: v["pretrain"]["audio"].update(learning_rate=float("nan")), r"pretrain\.audio\.learning_rate"),
        (lambda v: v["extract"]["audio"].update(coefficients=200), r"extract\.audio: coefficients \(200\)"),
        (lambda v: v.update(corpus="ravdes"), r"corpus: Input should be 'studio'"),
        (lambda v: v.update(actors=[]), "actors: List should have at least 1 item"),
        (lambda v: v["actors"].append("01"), "actors: 01 named twice"),
        (lambda v: v["actors"].append(True), r"actors\.8: Input should be a valid string"),
        (lambda v: v["actors"].append(9), r"actors\.8: studio's actors are two digits \(given: '9'\)"),
        (lambda v: v["actors"].append("amy"), r"actors\.8: studio's actors are two digits"),
        (lambda v: v["actors"].append("../x"), r"actors\.8: String should match"),
        (lambda v: v["folds"].update(fold_1=[]), r"folds\.fold_1: List should have at least 1 item"),
        (lambda v: v["folds"].update({5: ["01"]}), r"folds\.5"),
        (lambda v: v["folds"]["fold_1"].append("03"), r"folds\.fold_2: actor '03' is already in fold_1"),
        (lambda v: v["folds"]["fold_1"].append("99"), r"folds\.fold_1: actor '99' is not among the actors"),
        (lambda v: v.update(folds={"fold_1": ["01"]}), "folds: Dictionary should have at least 2"),
        (lambda v: v.update(actors=["01", "02"], folds={"a": ["01"], "b": ["02"]}), "a fold has no speaker to train"),
        (
            lambda v: v["folds"].update(size=v["folds"].pop("fold_1")),
            r"folds\.size: DVC ignores changes",
        ),
        (lambda v: v["systems"].update(nfiles=v["systems"]["concat"]), r"systems\.nfiles: DVC ignores changes"),
        (lambda v: v["ablations"]["variants"].update(size={"heads": 1}), r"ablations\.variants\.size: DVC ignores"),
        (lambda v: v["features"].update(size=v["features"]["speaker"]), r"features\.size: DVC ignores changes"),
        (lambda v: v.update(systems={}), "systems: Dictionary should have at least 1"),
        (
            lambda v: v["systems"]["cfnsr"].update(training={"epochs": 3}),
            r"systems\.cfnsr\.training\.batch_size: Field",
        ),
        (lambda v: v["train"].update(devices=0), r"train\.devices: .*greater than or equal to 1"),
        (
            lambda v: v["train"].update(devices=9),
            r"train\.devices: 9 processes share a batch.*pretrain\.video\.batch_size is 16",
        ),
        (
            lambda v: v["parallel"].update(backend="dask"),
            r"parallel\.backend: Input should be 'threading', 'loky' or 'ray'",
        ),
        (lambda v: v["train"].update(nodes=2), r"train\.nodes: Extra inputs"),
        (lambda v: v["landmarks"].update(source="dlib"), r"landmarks\.source: Input should be 'openface',"),
        (lambda v: v["parallel"].update(address="the cluster"), r"parallel\.address: String should match"),
    ],
)
def test_a_wrong_value_is_named_by_key(tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str) -> None:
    with pytest.raises(CfnsrError, match=problem):
        load(tmp_path, change)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda v: v["run"].update(train=["ghost"]), r"run\.train: ghost has no section; the sections are"),
        (lambda v: v["run"].update(train=["cfnsr", "cfnsr"]), "run: cfnsr named twice"),
        (lambda v: v["run"].update(evaluate=["video"]), "run: video named twice"),
        (lambda v: v["run"].update(probe=["none"]), r"run\.probe: none has no section; the sections are action_units"),
        (lambda v: v["features"].update(audio=v["features"]["mel_statistics"]), "audio is the name of a system"),
        (lambda v: v["run"].update(fuse=[fusion("a", "video", "b")]), "a: b is no row before it; the rows are video"),
        (lambda v: v["run"].update(fuse=[fusion("a", "video", "video")]), "a: combines a row with itself"),
        (lambda v: v["run"].update(sequence=["whisper_tiny"]), "run.sequence: whisper_tiny has no features; add it to"),
        (
            lambda v: v["run"].update(probe=["mel_statistics"], sequence=["mel_statistics"]),
            r"mel_statistics stores no sequence; set features\.mel_statistics\.sequence\.steps",
        ),
        (
            lambda v: v["run"].update(train_frozen=[on_frozen()]),
            "a starts from blendshapes, whisper_tiny; add it to run",
        ),
        (lambda v: v["run"].update(train_frozen=[on_frozen("no")]), "run.train_frozen: no has no section"),
        (
            lambda v: v["run"].update(train_frozen=[on_frozen("averaging")]),
            "run.train_frozen: averaging belongs in run.fuse: its section has no training",
        ),
        (lambda v: v["run"].update(fuse=[fusion("cfnsr", "video", "audio")]), "cfnsr named twice"),
        (lambda v: v["probe"].update(c=[0.0]), r"probe\.c\.0: Input should be greater than 0"),
        (
            lambda v: v["run"].update(pretrain=["audio"], evaluate=["video"], train=["msaf"]),
            "run: msaf would train on imported video, whose weights were trained on the fold's validation",
        ),
        (
            lambda v: v["run"].update(pretrain=[], evaluate=["video", "audio"], train=[], ablate=["cfnsr_no_residual"]),
            "run: cfnsr_no_residual would train on imported video and audio",
        ),
        (lambda v: v["ablations"]["variants"].update(same={}), r"variants\.same: no option differs from cfnsr's"),
        (
            lambda v: v["ablations"]["variants"].update(same={"residual": True}),
            r"variants\.same: no option differs from cfnsr's",
        ),
        (
            lambda v: v["run"].update(pretrain=["audio"]),
            "run: the systems start from video; add it to pretrain or evaluate",
        ),
        (lambda v: v["run"].update(pretrain=[], combine=[], train=[]), "run: names nothing to run"),
        (lambda v: v["run"].update(train=["averaging"], combine=[]), r"run\.train: averaging belongs in run\.combine"),
        (lambda v: v["run"].update(combine=["cfnsr"], train=[]), r"run\.combine: cfnsr belongs in run\.train"),
        (lambda v: v["run"].update(ablate=["msaf"]), r"run\.ablate: msaf has no section"),
        (
            lambda v: (
                v["ablations"].update(system="averaging", variants={"other": {"weight": 1}}),
                v["run"].update(ablate=["other"]),
            ),
            r"run\.ablate: averaging trains nothing",
        ),
        (lambda v: v["ablations"].update(system="ghost"), r"ablations\.system: ghost has no section"),
        (lambda v: v["ablations"]["variants"].update(audio={}), r"ablations\.variants: audio is the name of a"),
        (lambda v: v["evaluate"].update(checkpoints="a; rm -r b"), r"evaluate\.checkpoints: String should match"),
    ],
)
def test_rows_that_cannot_run_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    with pytest.raises(CfnsrError, match=problem):
        load(tmp_path, change)


def test_imported_rows_need_held_out(tmp_path: Path) -> None:
    both = ["held_out", "test_selected"]
    run = load(tmp_path, lambda v: v["run"].update(protocols=both, evaluate=["msaf"])).run
    assert run.rows[-4:] == [("test_selected", name) for name in ("video", "audio", "averaging", "cfnsr")]
    assert ("held_out", "msaf") in run.rows
    with pytest.raises(CfnsrError, match=r"run\.evaluate: imported networks are evaluated under held_out"):
        load(tmp_path, lambda v: v["run"].update(protocols=["test_selected"], evaluate=["msaf"]))
    rows = {"protocols": both, "pretrain": ["audio"], "evaluate": ["video"], "train": []}
    with pytest.raises(CfnsrError, match="start from video; add it to pretrain, as test_selected has no imported rows"):
        load(tmp_path, lambda v: v["run"].update(rows))


def test_rows_stand_in_the_stages_order(tmp_path: Path) -> None:
    rows = {"pretrain": ["audio"], "evaluate": ["video", "msaf"], "combine": ["averaging"], "train": []}
    names = load(tmp_path, lambda v: v["run"].update(rows)).run.names("held_out")
    assert names == ["audio", "averaging", "video", "msaf"]


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"(?s)crop\.margin.*train\.threads"):
        load(tmp_path, lambda v: v.update(crop={**v["crop"], "margin": -1}, train={**v["train"], "threads": 0}))


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = (Path(__file__).parents[2] / "params.yaml").read_text()
    path.write_text(text.replace("learning_rate: 0.001", "learning_rate: 1e-4"))
    assert config.load(path).pretrain.video.learning_rate == 0.0001


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CfnsrError, match=r"absent\.yaml: cannot be read"):
        config.load(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("actors: [")
    with pytest.raises(CfnsrError, match=r"broken\.yaml: is not YAML"):
        config.load(broken)


def test_speakers_may_be_numbers(tmp_path: Path) -> None:
    values = load(tmp_path, lambda values: values.update(actors=[11, 12, 13], folds={"a": [11], "b": [12], "c": [13]}))
    assert values.actors == ["11", "12", "13"] and values.folds["b"] == ["12"]


PATHS = [
    (section, key)
    for section, values in SHIPPED.items()
    if isinstance(values, dict) and section != "folds"
    for key, value in values.items()
    # a section may be empty; a path may be any text or a word; there may be no variants
    if value != {}
    and (section, key) not in {("fetch", "local"), ("evaluate", "checkpoints"), ("ablations", "variants")}
]


@given(
    where=st.sampled_from(PATHS), junk=st.one_of(st.none(), st.text(max_size=5), st.dictionaries(st.text(), st.none()))
)
def test_junk_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, where: tuple[str, str], junk: object
) -> None:
    assume((where, junk) != (("cross", "labels"), {}))  # corpora may need no common names
    section, key = where
    folder = tmp_path_factory.mktemp("params")
    try:
        load(folder, lambda values: values[section].update({key: junk}))
    except CfnsrError as error:
        assert section in str(error) or "YAML" in str(error)
    else:
        pytest.fail(f"{section}.{key} = {junk!r} was taken")


def numbers(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each number of a JSON schema, with its path; not those of options, which have no fields."""
    if isinstance(schema, dict):
        if schema.get("type") in {"number", "integer"} and "enum" not in schema and "patternProperties" not in path:
            yield ".".join(path), schema
        for key, value in schema.items():
            yield from numbers(value, (*path, key))


def test_every_number_has_bounds() -> None:
    fields = dict(numbers(config.Params.model_json_schema()))
    lower, upper = ({f"{which}imum", f"exclusive{which.title()}imum"} for which in ("min", "max"))
    assert len(fields) > 50
    assert not [path for path, field in fields.items() if not (lower & field.keys() and upper & field.keys())]


def paths(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each number in nested sections and lists."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e300, 10**400])
def test_no_number_may_be_endless(number: float) -> None:
    for *sections, name in paths(SHIPPED):
        values = copy.deepcopy(SHIPPED)
        section = values
        for key in sections:
            section = section[key]
        section[name] = number
        with pytest.raises(CfnsrError) as error:
            config.check(values, Path("params.yaml"))
        assert ".".join(map(str, [*sections, name])) in str(error.value) and len(str(error.value)) < 400


def test_only_pyav_leaves_out_deblocking() -> None:
    values = copy.deepcopy(SHIPPED)
    values["extract"]["video"] |= {"decoder": "decord", "deblock": False}
    with pytest.raises(CfnsrError, match=r"extract\.video: deblock: false is for the decoder pyav"):
        config.check(values, Path("params.yaml"))


@pytest.mark.parametrize(
    ("section", "values", "problem"),
    [
        ("extract.video", {"frames": 10_000, "side_px": 4096}, "extract: a clip would have 503,316,480,000 values"),
        ("extract.audio", {"hop": 1, "mels": 4096}, "extract: a clip would have "),
        ("pretrain.video", {"batch_size": 10**9}, r"pretrain\.video\.batch_size: .*less than or equal to 65536"),
        ("systems.concat.options", {"hidden": 10**8}, r"systems\.concat\.options\.hidden: 100000000 is more than"),
        ("corpora.studio", {"frame_rate": "1/99999999999"}, r"corpora\.studio\.frame_rate: "),
    ],
)
def test_sizes_that_no_machine_holds_are_refused(
    tmp_path: Path, section: str, values: dict[str, Any], problem: str
) -> None:
    def change(params: dict[str, Any]) -> None:
        for key in section.split("."):
            params = params[key]
        params |= values

    with pytest.raises(CfnsrError, match=problem):
        load(tmp_path, change)


def test_a_batch_that_no_gpu_holds_is_refused(tmp_path: Path) -> None:
    def change(params: dict[str, Any]) -> None:
        params["extract"]["video"] |= {"frames": 100, "side_px": 448}
        params["pretrain"]["video"]["batch_size"] = 4096

    with pytest.raises(CfnsrError, match=r"pretrain\.video\.batch_size: 4096 clips of 60,211,200 values are more than"):
        load(tmp_path, change)


def test_names_that_no_disk_takes_are_refused(tmp_path: Path) -> None:
    """Two of the longest names, and what stages add, are one name of a file."""
    name = "n" * 64
    (tmp_path / f".train_frozen@ravdess_speech-test_selected-{name}_sequence-{name}-{2**32}.json.12345678.json").touch()
    for change in (
        lambda v: v.update(corpus="folder", actors=[name + "n"]),
        lambda v: v["folds"].update({name + "n": v["folds"].pop("fold_1")}),
        lambda v: v["ablations"]["variants"].update({name + "n": {"residual": False}}),
        lambda v: v["systems"].update({name + "n": v["systems"]["concat"]}),
    ):
        with pytest.raises(CfnsrError, match="at most 64 characters"):
            load(tmp_path, change)


def test_a_number_of_many_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(f"corpus: {'1' * 5000}\n")
    with pytest.raises(CfnsrError, match="is not YAML"):
        config.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "deep", ["[" * 60_000, "{a: " * 60_000, "- " * 60_000, "\n".join(" " * n + "a:" for n in range(2000))]
)
def test_deep_sections_are_an_error_without_a_crash(tmp_path: Path, deep: str) -> None:
    (tmp_path / "params.yaml").write_text(f"corpus:\n {deep}\n")
    with pytest.raises(CfnsrError, match="is not YAML"):
        config.load(tmp_path / "params.yaml")
