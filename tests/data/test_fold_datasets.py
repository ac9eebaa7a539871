from __future__ import annotations


def test_a_speaker_planted_in_a_shard_is_refused(run: Run, tmp_path: Path) -> None:
    planted = corpus.write(tmp_path)
    index = shards.read(planted / "02").index
    index.assign(actor=["01", *["02"] * 7], skipped=None).to_parquet(planted / "02" / "clips.parquet", index=False)
    with pytest.raises(CfnsrError, match=r"/02: holds clips of speaker 01"):
        FoldDatasets.open(corpus.trial("fold_1"), planted, run.manifest)


@pytest.mark.parametrize("actor", ["02", "03"])
def test_a_test_clip_among_the_others_is_refused(run: Run, tmp_path: Path, actor: str) -> None:
    """Its recording, under another speaker and another name: fold 1 validates on 02 and trains on 03."""
    planted = corpus.write(tmp_path)
    index = shards.read(planted / actor).index
    recordings = ["015", *index["source_md5"][1:]]
    index.assign(source_md5=recordings, skipped=None).to_parquet(planted / actor / "clips.parquet", index=False)
    told = {"02": "to validation and to test", "03": "to train and to test"}[actor]
    with pytest.raises(CfnsrError, match=f"fold_1, clip clip-{actor}-0: its recording stands among the clips {told}"):
        FoldDatasets.open(corpus.trial("fold_1"), planted, run.manifest)


def test_a_fold_opens_the_speakers_of_its_sets(run: Run) -> None:
    for name, sets in run.manifest.protocols["held_out"].items():
        fold = run.open(name)
        for role in ("test", "validation", "train"):
            assert tuple(getattr(fold, role).index["actor"].unique()) == getattr(sets, role)
