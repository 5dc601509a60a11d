"""Fine-tunes a classifier on soft targets; keeps the epoch with the best macro-F1 on dev."""

import copy
import math
import random
import time
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from ..common.metrics import accuracy, macro_f1
from .data import Row
from .network import Classifier

MAX_TRAIN_TOKENS = 96
BATCHES_PER_BUCKET = 50


@dataclass(frozen=True)
class Schedule:
    """What the figures in the model cards were trained with."""

    epochs: int = 3
    learning_rate: float = 1e-4
    batch_rows: int = 32
    warmup: float = 0.06
    weight_decay: float = 0.01
    seed: int = 7


def make_deterministic(seed: int) -> None:
    """One thread and deterministic kernels: the same machine trains the same weights again."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def encode_rows(tokenizer: Tokenizer, rows: list[Row]) -> list[list[int]]:
    """Ids of every row, cut to MAX_TRAIN_TOKENS with the closing [SEP] kept."""
    encoded = (encoding.ids for encoding in tokenizer.encode_batch([row.text for row in rows]))
    return [
        ids if len(ids) <= MAX_TRAIN_TOKENS else [*ids[: MAX_TRAIN_TOKENS - 1], ids[-1]]
        for ids in encoded
    ]


def pad(encoded: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask, [rows, longest]."""
    longest = max(map(len, encoded))
    ids = torch.zeros(len(encoded), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(encoded):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids, mask


@torch.no_grad()
def predict(model: Classifier, encoded: list[list[int]], batch_rows: int = 64) -> np.ndarray:
    """Logits in input order, [rows, labels]; runs rows of like length together."""
    model.eval()
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    logits = np.zeros((len(encoded), model.classifier.out_features), np.float32)
    for start in range(0, len(order), batch_rows):
        batch = order[start : start + batch_rows]
        logits[batch] = model(*pad([encoded[index] for index in batch])).numpy()
    return logits


def bucket(lengths: list[int], batch_rows: int, rng: random.Random) -> list[list[int]]:
    """Shuffled batches whose rows are of like length: sorted only inside chunks of 50 batches."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches = []
    chunk_rows = batch_rows * BATCHES_PER_BUCKET
    for start in range(0, len(order), chunk_rows):
        chunk = sorted(order[start : start + chunk_rows], key=lengths.__getitem__)
        batches += [chunk[at : at + batch_rows] for at in range(0, len(chunk), batch_rows)]
    rng.shuffle(batches)
    return batches


def make_optimizer(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW; no decay on biases and layer norms."""
    undecayed = ("bias", "LayerNorm.weight")
    named = [entry for entry in model.named_parameters() if entry[1].requires_grad]
    return torch.optim.AdamW(
        [
            {
                "params": [value for name, value in named if not name.endswith(undecayed)],
                "weight_decay": schedule.weight_decay,
            },
            {
                "params": [value for name, value in named if name.endswith(undecayed)],
                "weight_decay": 0.0,
            },
        ],
        lr=schedule.learning_rate,
        fused=True,
    )


def warm_then_linear(total_steps: int, warmup: float):
    """Learning-rate factor by step: up over the warm-up, then down to 0."""
    warm = int(warmup * total_steps)
    return lambda step: step / warm if step < warm else (total_steps - step) / (total_steps - warm)


def train(model, train_ids, targets, dev_ids, dev_labels, schedule: Schedule) -> np.ndarray:
    """Trains `model` in place and leaves the best epoch's weights in it; returns its dev logits.

    `targets` [rows, labels] are probabilities; the loss is the cross-entropy against them.
    """
    targets = torch.tensor(targets, dtype=torch.float32)
    steps = math.ceil(len(train_ids) / schedule.batch_rows) * schedule.epochs
    optimizer = make_optimizer(model, schedule)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warm_then_linear(steps, schedule.warmup)
    )
    rng = random.Random(schedule.seed)
    lengths = [len(ids) for ids in train_ids]
    best_score, best_state, best_logits = -1.0, None, None
    for epoch in range(schedule.epochs):
        began = time.monotonic()
        model.train()
        for number, batch in enumerate(bucket(lengths, schedule.batch_rows, rng)):
            loss = step(model, optimizer, pad([train_ids[i] for i in batch]), targets[batch])
            scheduler.step()
            if number % 100 == 0:
                print(f"epoch {epoch} batch {number} loss {loss:.4f}", flush=True)
        logits = predict(model, dev_ids)
        score = macro_f1(dev_labels, logits.argmax(1))
        print(
            f"epoch {epoch}: dev accuracy {accuracy(dev_labels, logits.argmax(1)):.4f} "
            f"macro-F1 {score:.4f}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        if score > best_score:
            best_score, best_logits = score, logits
            best_state = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    return best_logits


def step(model, optimizer, batch: tuple[Tensor, Tensor], targets: Tensor) -> float:
    """One update; returns the batch's loss."""
    loss = -(targets * functional.log_softmax(model(*batch), -1)).sum(-1).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()
