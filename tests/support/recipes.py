"""The recipes of docs/extending.md: each function makes the edits that a section of the page asks for."""

from __future__ import annotations

import re
from collections.abc import Callable

from ruamel.yaml import YAML

from tests.support import toys
from tests.support.repository import Repository

BASE, PARAMS = "presets/base.yaml", "params.yaml"
FUSION, ENCODERS = "cfnsr/models/fusion", "cfnsr/models/encoders/video"
TRAINING = """
    training:
      epochs: 2
      batch_size: 16
      learning_rate: 0.001
      weight_decay: 0.0
"""


def write(repository: Repository, name: str, text: str) -> None:
    path = repository.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.lstrip("\n"))


def add_to_params(repository: Repository, before: str, after: str) -> None:
    """Edit presets/base.yaml and params.yaml alike: replace what a pattern matches once."""
    for name in (BASE, PARAMS):
        path = repository.folder / name
        text, count = re.subn(before, after, path.read_text(), flags=re.MULTILINE)
        assert count == 1, f"{before!r} matches {count} times in {path}"
        path.write_text(text)


def add_system(repository: Repository, name: str, source: str, option: str) -> None:
    write(repository, f"{FUSION}/{name}.py", source)
    add_to_params(repository, "^systems:\n", f"systems:\n  {name}:\n    options:\n      {option}{TRAINING}")
    listed = YAML(typ="safe").load(repository.folder / PARAMS)["run"]["train"]
    repository.list_rows(train=[*listed, name])
    options = '{"' + option.replace(": ", '": ') + "}"
    repository.edit(
        '    "averaging": {},\n', f'    "averaging": {{}},\n    "{name}": {options},\n', "tests/support/zoo.py"
    )


def system(repository: Repository) -> None:
    add_system(repository, "louder", toys.LOUDER_SYSTEM, "gain: 1.5")


def encoder(repository: Repository) -> None:
    write(repository, f"{ENCODERS}/toy.py", toys.VIDEO_ENCODER)
    path = repository.folder / PARAMS
    section = re.compile(r"(?ms)^  video:\n    name: resnext3d.*?(?=^  audio:)")
    text, count = section.subn("  video:\n    name: toy\n    options:\n      width: 8\n", path.read_text())
    assert count == 1
    path.write_text(text)


def feature(repository: Repository) -> None:
    entry = '    "mfcc": ArraySpec'
    repository.edit(entry, f'    "energy": ArraySpec(np.float32, ("step",)),\n{entry}', "cfnsr/data/shards.py")
    repository.edit(
        '"mfcc": mfcc.numpy()}',
        '"mfcc": mfcc.numpy(), "energy": log_mel.mean(dim=0).numpy()}',
        "cfnsr/preprocessing/audio.py",
    )


def frozen_encoder(repository: Repository) -> None:
    write(repository, "cfnsr/features/extractors/loudness.py", toys.FROZEN_ENCODER)
    section = (
        "  loudness:\n    extractor: loudness\n    sequence:\n      layer: 0\n      steps: 0\n"
        "    options:\n      steps: 10 # of a clip\n"
    )
    add_to_params(repository, "^features:\n", f"features:\n{section}")


def corpus(repository: Repository) -> None:
    write(repository, "cfnsr/corpora/toy/__init__.py", toys.CORPUS)
    write(repository, "cfnsr/corpora/toy/prepare/__init__.py", toys.CORPUS_PREPARE)
    config = "cfnsr/config/data.py"
    repository.edit('class Corpora(Section):\n    """One section a corpus."""\n', CORPORA, config)
    repository.edit('"ravdess", "folder"]', '"ravdess", "folder", "toy"]', "cfnsr/config/__init__.py")
    section = "  toy:\n    clips_each: 2 # clips of each emotion\n    videos: '' # path of the folder\n"
    add_to_params(repository, "^corpora:\n", f"corpora:\n{section}")


CORPORA = '''class Toy(Section):
    """The toy corpus."""

    clips_each: int
    videos: str


class Corpora(Section):
    """One section a corpus."""

    toy: Toy
'''


def landmark_source(repository: Repository) -> None:
    write(repository, "cfnsr/preprocessing/landmarks/centre.py", toys.LANDMARK_SOURCE)
    config = "cfnsr/config/data.py"
    repository.edit('"face_align", "face_mesh"]', '"face_align", "face_mesh", "centre"]', config)
    repository.edit("class Landmarks(Section):\n", f"{CENTRE}class Landmarks(Section):\n", config)
    repository.edit("    openface: OpenFace\n", "    openface: OpenFace\n    centre: Centre\n", config)
    add_to_params(repository, "(^  source: .*\n)", r"\1  centre: {radius_px: 60} # a circle\n")


CENTRE = '''class Centre(Section):
    """A circle in place of a face."""

    radius_px: int


'''


def decoder(repository: Repository) -> None:
    write(repository, "cfnsr/preprocessing/video/all_frames.py", toys.DECODER)
    repository.edit('"pyav", "decord"]', '"pyav", "decord", "all_frames"]', "cfnsr/config/data.py")
    add_to_params(repository, "(^    decoder: .*)", r"\1; all_frames: all are decoded")


def metric(repository: Repository) -> None:
    in_metrics, in_rows, in_table = (f"cfnsr/report/{name}.py" for name in ("metrics", "rows", "table"))
    repository.edit("    f1: float\n", "    f1: float\n    log_loss: float\n", in_metrics)
    computed = "log_loss=float(-_log_probabilities(predictions, labels)[np.arange(len(classes)), classes].mean())"
    repository.edit("    return Scores(\n", f"    return Scores(\n        {computed},\n", in_metrics)
    repository.edit("    top2: float\n", "    top2: float\n    log_loss: float\n", in_rows)
    column = 'Column("Log loss", "mean log loss", lambda row: row.log_loss, lambda row: f"{row.log_loss:.2f}")'
    repository.edit('    _share("ECE", ', f'    {column},\n    _share("ECE", ', in_table)


def augmentation(repository: Repository) -> None:
    applied = (
        '    if options["invert"]:\n        inverted = draws.bernoulli(options["invert"], len(frames), 1, 1, 1, 1)\n'
    )
    applied += "        frames = torch.where(inverted, 255 - frames, frames)\n"
    end = "    return frames\n\n\ndef _draw_moves("
    repository.edit(end, f"{applied}{end}", "cfnsr/training/augment/video.py")
    repository.edit("    flip: Share\n", "    flip: Share\n    invert: Share\n", "cfnsr/config/model.py")
    comment = "probability that a clip's colours are inverted"
    add_to_params(repository, "(^      flip: .*\n)", rf"\1      invert: 0.0 # {comment}\n")
    repository.edit('    "flip": 0.0,\n', '    "flip": 0.0,\n    "invert": 0.0,\n', "tests/support/training.py")


def stage(repository: Repository) -> None:
    write(repository, "stages/durations.py", toys.STAGE)
    write(repository, "tests/support/stubs/durations.py", toys.STAGE_STUB)
    repository.edit("\nartifacts:\n", f"{toys.STAGE_ENTRY}\nartifacts:\n", "dvc.yaml")
    repository.edit("      ablations, actors, ", "      durations, ablations, actors, ", "dvc.yaml")
    repository.edit("class Params(Section):\n", f"{DURATIONS}class Params(Section):\n", "cfnsr/config/__init__.py")
    repository.edit(
        "    evaluate: Evaluate\n", "    evaluate: Evaluate\n    durations: Durations\n", "cfnsr/config/__init__.py"
    )
    section = "\n# The length of each speaker's clips.\ndurations:\n  decimals: 2 # of the seconds\n"
    add_to_params(repository, r"\Z", section)


DURATIONS = '''class Durations(Section):
    """The length of the clips."""

    decimals: int


'''

# By heading of the page: the recipe, and the names that it puts into the page's paths.
RECIPES: dict[str, tuple[Callable[[Repository], None], dict[str, str]]] = {
    "A system": (system, {"name": "louder"}),
    "An encoder": (encoder, {"modality": "video", "name": "toy"}),
    "An audio feature": (feature, {}),
    "A frozen encoder": (frozen_encoder, {"name": "loudness"}),
    "A corpus": (corpus, {"name": "toy"}),
    "A landmark source": (landmark_source, {"name": "centre"}),
    "A video decoder": (decoder, {"name": "all_frames"}),
    "A metric": (metric, {}),
    "An augmentation": (augmentation, {"modality": "video"}),
    "A stage": (stage, {"name": "durations"}),
}


def tag(heading: str) -> str:
    return heading.lower().replace(" ", "-")
