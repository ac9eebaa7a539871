"""Check the rows that `run` lists, against the sections that they name and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cfnsr.config.model import Ablations, Features, Run, System
from cfnsr.config.sections import no_repeats

_MODALITIES = ("video", "audio")


def check(
    run: Run,
    modalities: Sequence[str],
    systems: Mapping[str, System],
    ablations: Ablations,
    features: Mapping[str, Features],
) -> None:
    """Check the rows.

    Args:
        run: the rows.
        modalities: of the corpus.
        systems: the sections of the systems.
        ablations: those of the ablations.
        features: those of the frozen encoders.

    Raises:
        ValueError: a row has no section, is there twice, or lacks a row that it starts from.
    """
    _check_modalities(run, modalities)
    _check_lists(run)
    _check_sections(run, systems, ablations, features)
    _check_variants(systems, ablations)
    _check_unimodal_rows(run)
    _check_sequences(run, features)
    _check_fusions(run, {*systems, *ablations.variants, *_MODALITIES}, features)


def _check_modalities(run: Run, modalities: Sequence[str]) -> None:
    """With one modality alone, no row reads the other one."""
    no_repeats("modalities", list(modalities))
    if len(modalities) > 1:
        return
    (only,) = modalities
    for key, names in (("pretrain", run.pretrain), ("evaluate", run.evaluate)):
        others = [name for name in names if name != only]
        if others:
            raise ValueError(f"run.{key}: {', '.join(others)} cannot run, as modalities has {only} alone")
    for key, names in (("combine", run.combine), ("train", run.train), ("ablate", run.ablate)):
        if names:
            raise ValueError(
                f"run.{key}: {', '.join(names)} starts from both modalities, and modalities has {only} alone; "
                "make the list empty"
            )


def _check_lists(run: Run) -> None:
    no_repeats("run", run.names("held_out"))
    no_repeats("run.seeds", [str(seed) for seed in run.seeds])
    no_repeats("run.protocols", list(run.protocols))
    if not run.rows:
        raise ValueError("run: names nothing to run")
    if run.evaluate and "held_out" not in run.protocols:
        raise ValueError("run.evaluate: imported networks are evaluated under held_out; add it to run.protocols")


def _check_sections(
    run: Run, systems: Mapping[str, System], ablations: Ablations, features: Mapping[str, Features]
) -> None:
    """Each row has a section, and stands in the list of the stage that can make it."""
    for key, names, known in (
        ("run.combine", run.combine, systems),
        ("run.train", run.train, systems),
        ("run.ablate", run.ablate, ablations.variants),
        ("run.evaluate", run.evaluate, {*systems, *_MODALITIES}),
        ("run.probe", run.probe, features),
        ("run.sequence", run.sequence, features),
        ("run.train_frozen", [row.system for row in run.train_frozen], systems),
        ("ablations.system", [ablations.system], systems),
    ):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"{key}: {', '.join(unknown)} has no section; the sections are {', '.join(sorted(known))}")
    on_frozen = [row.system for row in run.train_frozen]
    for key, names, trains in (
        ("run.combine", run.combine, False),
        ("run.train", run.train, True),
        ("run.train_frozen", on_frozen, True),
    ):
        wrong = [name for name in names if (systems[name].training is not None) != trains]
        if wrong:
            other, kept = ("run.combine", "no training") if trains else ("run.train", "a training")
            other = "run.fuse" if key == "run.train_frozen" else other
            raise ValueError(f"{key}: {', '.join(wrong)} belongs in {other}: its section has {kept}")


def _check_variants(systems: Mapping[str, System], ablations: Ablations) -> None:
    clash = sorted({*ablations.variants} & {*systems, *_MODALITIES})
    if clash:
        raise ValueError(f"ablations.variants: {', '.join(clash)} is the name of a system or modality")
    for name, options in ablations.variants.items():
        if options.items() <= systems[ablations.system].options.items():
            raise ValueError(f"ablations.variants.{name}: no option differs from {ablations.system}'s")


def _check_unimodal_rows(run: Run) -> None:
    """The rows of both modalities are there where a system starts from them."""
    learning = [*run.train, *run.ablate]
    imported = [modality for modality in _MODALITIES if modality in run.evaluate]
    if learning and imported:
        raise ValueError(
            f"run: {', '.join(learning)} would train on imported {' and '.join(imported)}, whose weights were "
            "trained on the fold's validation speakers; only systems that train nothing may use them"
        )
    for modality in _MODALITIES:
        for protocol in run.protocols if run.combine or learning else []:
            if modality not in run.names(protocol):
                raise ValueError(
                    f"run: the systems start from {modality}; add it to pretrain"
                    + (" or evaluate" if protocol == "held_out" else ", as test_selected has no imported rows")
                )


def _check_sequences(run: Run, features: Mapping[str, Features]) -> None:
    """Each row on sequences has features with a sequence, and the rows that it starts from."""
    absent = [name for name in run.sequence if name not in run.probe]
    if absent:
        raise ValueError(
            f"run.sequence: {', '.join(absent)} has no features; add it to run.probe, whose stage makes them"
        )
    for name in run.sequence:
        if not features[name].sequence.steps:
            raise ValueError(f"run.sequence: {name} stores no sequence; set features.{name}.sequence.steps")
    for row in run.train_frozen:
        absent = [name for name in (row.video, row.audio) if name not in run.sequence]
        if absent:
            raise ValueError(f"run.train_frozen: {row.name} starts from {', '.join(absent)}; add it to run.sequence")


def _check_fusions(run: Run, taken: set[str], features: Mapping[str, Features]) -> None:
    """Each entry of `run.fuse` combines two rows that exist under every protocol."""
    clash = sorted(taken & {*features, *run.sequences, *(row.name for row in run.train_frozen), *run.fused})
    if clash:
        problem = f"{', '.join(clash)} is the name of a system, ablation or modality"
        raise ValueError(f"features, run.train_frozen, run.fuse: {problem}")
    rows = [name for name in run.names("held_out") if name not in {*run.evaluate, *run.fused}]
    for fusion in run.fuse:
        unknown = [name for name in (fusion.first, fusion.second) if name not in rows]
        if unknown or fusion.first == fusion.second:
            problem = f"{', '.join(unknown)} is no row before it" if unknown else "combines a row with itself"
            raise ValueError(f"run.fuse: {fusion.name}: {problem}; the rows are {', '.join(rows)}")
        rows.append(fusion.name)
