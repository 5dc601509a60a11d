"""The two training runs and their checkpoints: 6 layers, and 3 layers taught by them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from . import train as trainer
from .data import Row, load_splits
from .network import Classifier, from_base, from_teacher
from .tokenizer import load_definition, prune

STUDENT_LAYERS = [0, 2, 5]
TEACHER_SHARE = 0.5


@dataclass
class Run:
    """A finished training run."""

    model: Classifier
    tokenizer: dict
    dev_logits: np.ndarray
    splits: dict[str, list[Row]]


def teacher_run(base: Path, downloads: Path, folder: Path) -> Run:
    """6 layers on the raters' shares; loads the checkpoint in `folder` if there is one."""
    trainer.make_deterministic(trainer.Schedule.seed)
    splits = load_splits(downloads)
    texts = [row.text for row in splits["train"]]
    definition, kept = prune(load_definition(base / "tokenizer.json"), texts)
    model = from_base(base, kept)
    targets = np.array([row.target for row in splits["train"]])
    return finish(Run(model, definition, None, splits), targets, folder)


def student_run(teacher: Run, folder: Path) -> Run:
    """3 layers on the mean of the raters' shares and the teacher's probabilities."""
    trainer.make_deterministic(trainer.Schedule.seed)
    model = from_teacher(teacher.model, STUDENT_LAYERS)
    run = Run(model, teacher.tokenizer, None, teacher.splits)
    if checkpoint_of(folder).exists():
        return finish(run, None, folder)
    rows = teacher.splits["train"]
    logits = trainer.predict(teacher.model, encode(teacher.tokenizer, rows))
    soft = torch.softmax(torch.tensor(logits), -1).numpy()
    rated = np.array([row.target for row in rows])
    return finish(run, TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * rated, folder)


def finish(run: Run, targets, folder: Path) -> Run:
    """Trains and saves, or loads what was saved before."""
    path = checkpoint_of(folder)
    if path.exists():
        saved = torch.load(path)
        run.model.load_state_dict(saved["state"])
        run.dev_logits = saved["dev_logits"].numpy()
        return run
    dev = run.splits["dev"]
    run.dev_logits = trainer.train(
        run.model,
        encode(run.tokenizer, run.splits["train"]),
        targets,
        encode(run.tokenizer, dev),
        np.array([row.label for row in dev]),
        trainer.Schedule(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    dev_logits = torch.tensor(run.dev_logits)
    torch.save({"state": run.model.state_dict(), "dev_logits": dev_logits}, path)
    return run


def checkpoint_of(folder: Path) -> Path:
    return folder / "checkpoint.pt"


def encode(definition: dict, rows: list[Row]) -> list[list[int]]:
    """Ids of the rows with the pruned tokenizer."""
    return trainer.encode_rows(Tokenizer.from_str(json.dumps(definition)), rows)
