from __future__ import annotations


@pytest.mark.parametrize("name", ["audio", "cfnsr"])
def test_an_imported_network_is_scored_as_it_is(run: Run, tmp_path: Path, name: str) -> None:
    network, described = initial.imported(imported(run, tmp_path, name), name, corpus.trial("fold_1"), run.manifest)
    places = Run.places(replace_folder(run, tmp_path), name, "fold_1")
    scoring.score(Job(network, described, run.open("fold_1"), run.manifest, places), batch_size=3, place=CPU)
    table, trained = pd.read_parquet(places.predictions), predictions(run, name, "fold_1")
    columns = [f"p_{label}" for label in LABELS]
    for choice in ["selected", *(["without_video", "without_audio"] if name == "cfnsr" else [])]:
        ours, theirs = (one.query(f"choice == '{choice}'")[columns].to_numpy() for one in (table, trained))
        assert np.abs(ours - theirs).max() < 1e-5
    assert not {"last_epoch", "best_test_epoch"} & set(table["choice"])
    account = json.loads(places.cell.read_text())
    assert account["imported"][0]["file"] == "published.pth" and account["data"] == run.manifest.fingerprint
    assert not list(places.curves.iterdir())


@pytest.mark.parametrize(
    ("changes", "asked", "told"),
    [
        ({}, {"name": "video"}, "its system is audio, not video"),
        ({}, {"fold": "fold_2"}, "its fold is fold_1, not fold_2"),
        ({"labels": list(LABELS)[::-1]}, {}, r"its emotions is \['surprised'"),
    ],
)
def test_an_imported_network_of_another_kind_is_refused(
    run: Run, tmp_path: Path, changes: dict[str, Any], asked: dict[str, str], told: str
) -> None:
    path = imported(run, tmp_path, **changes)
    with pytest.raises(CfnsrError, match=told):
        asked = {"name": "audio", "fold": "fold_1", **asked}
        initial.imported(path, asked["name"], corpus.trial(asked["fold"]), run.manifest)
    other = replace(run.manifest, shapes={**run.manifest.shapes, "mfcc": [13, 99]})
    with pytest.raises(CfnsrError, match=r"its MFCC is \[13, 36\], not \[13, 99\]"):
        initial.imported(imported(run, tmp_path), "audio", corpus.trial("fold_1"), other)


def test_a_model_of_our_own_is_provenance_too_and_no_header_reaches_the_page(run: Run, tmp_path: Path) -> None:
    path = imported(run, tmp_path, imported=[])
    _, described = initial.imported(path, "audio", corpus.trial("fold_1"), run.manifest)
    assert described["imported"][0]["file"] == "imported.safetensors"
    assert described["imported"][0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    path = imported(run, tmp_path, imported=[{"file": "<b>|x", "sha256": "<img>"}])
    _, described = initial.imported(path, "audio", corpus.trial("fold_1"), run.manifest)
    assert described["imported"] == [{"file": "_b__x", "sha256": "_img_", "differs": []}]


def test_how_the_clips_differ_from_those_it_knows_is_told(run: Run, tmp_path: Path) -> None:
    path = imported(run, tmp_path, preprocessing={"size": 32, "extract": {"video": {"frames": 30}}})
    _, described = initial.imported(path, "audio", corpus.trial("fold_1"), run.manifest)
    assert described["imported"][0]["differs"] == ["extract.video.frames was 30, is None", "size was 32, is 16"]
    assert described["preprocessing"] == run.manifest.preprocessing
