from __future__ import annotations


def test_without_the_voice_the_test_speakers_voices_change_nothing(run: Run, tmp_path: Path) -> None:
    """The stand-in is the training speakers': scrambling the test speaker's sound moves no such prediction."""
    other = Run(tmp_path)
    shard = shards.read(other.shards / "01")
    np.save(other.shards / "01" / "mfcc.npy", shard.mfcc[::-1].copy())
    (tmp_path / "models").symlink_to(run.folder / "models")
    cell = other.fused("cfnsr", CFNSR, "fold_1")
    cell = replace(cell, places=other.places("changed", "fold_1"))
    training.run(cell, training=TRAINING, shared=SHARED, place=CPU)
    ours, theirs = predictions(run, "cfnsr", "fold_1"), predictions(other, "changed", "fold_1")
    for choice, same in (("without_audio", True), ("without_video", False)):
        assert ours.query(f"choice == '{choice}'").equals(theirs.query(f"choice == '{choice}'")) == same
