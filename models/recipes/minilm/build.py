"""Builds `models/minilm/1` and checks it against the original model."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from tokenizers import Tokenizer

from ..common.invariance import LIMIT, batch_dependence
from ..common.sessions import open_session, run_batches, sorted_batches
from ..common.sources import fetch_base_model
from ..common.weight_only import save, store_embeddings_as_int8, store_weights_as_int8
from ..manifest import Variant, write_manifest
from ..sentiment.data import load_splits
from .export import MAX_TOKENS, OUTPUT, export_fp32, load_bert

W8 = Variant("w8", "int8 weights, fp32 arithmetic", tolerance=0.001)
CHECKED_SENTENCES = 200
LOWEST_COSINE = 0.999
DESCRIPTION = {
    "name": "minilm",
    "version": "1",
    "task": "embeddings",
    "description": "English sentence embeddings of 384 numbers: all-MiniLM-L6-v2.",
    "licence": "Apache-2.0",
    "max_tokens": MAX_TOKENS,
    "pairs": False,
    "dimensions": 384,
    "pooling": "graph",
    "normalize": True,
}


def build(work: Path, models: Path) -> None:
    """Writes ONNX file, tokenizer, config and manifest; raises if a check fails."""
    base = fetch_base_model(work / "downloads")
    target = models / "minilm" / "1"
    target.mkdir(parents=True, exist_ok=True)
    fp32 = work / "minilm.fp32.onnx"
    export_fp32(base, fp32)
    graph = store_weights_as_int8(store_embeddings_as_int8(onnx.load(fp32)))
    save(graph, target / W8.filename)
    copy_texts(base, target)
    check(base, target, work)
    write_manifest(target, DESCRIPTION, OUTPUT, [W8])


def copy_texts(base: Path, target: Path) -> None:
    """`config.json` as it is, `tokenizer.json` without the base's padding and truncation."""
    (target / "config.json").write_text((base / "config.json").read_text())
    definition = json.loads((base / "tokenizer.json").read_text())
    definition |= {"padding": None, "truncation": None}
    (target / "tokenizer.json").write_text(json.dumps(definition, ensure_ascii=False))


def check(base: Path, target: Path, work: Path) -> None:
    """Cosine to the original on held-out sentences, and independence of the batch."""
    rows = load_splits(work / "downloads")["test"]
    texts = [row.text for row in rows[:: len(rows) // CHECKED_SENTENCES]][:CHECKED_SENTENCES]
    tokenizer = Tokenizer.from_file(str(target / "tokenizer.json"))
    encoded = [encoding.ids[:MAX_TOKENS] for encoding in tokenizer.encode_batch(texts)]
    session = open_session(target / W8.filename)
    ours = run_batches(session, encoded, sorted_batches(encoded))
    cosines = (ours * original_embeddings(base, encoded)).sum(1)
    dependence = batch_dependence(session, encoded)
    print(f"minilm w8: cosine to the original min {cosines.min():.5f} mean {cosines.mean():.5f}")
    print(f"minilm w8: batch dependence {dependence:.1e}")
    if cosines.min() < LOWEST_COSINE or dependence >= LIMIT:
        raise RuntimeError("minilm w8 is too far from the original, or depends on its batch")


@torch.no_grad()
def original_embeddings(base: Path, encoded: list[list[int]]) -> np.ndarray:
    """The transformers model, mean-pooled and normalised, one row at a time."""
    bert = load_bert(base)
    hidden = (bert(input_ids=torch.tensor([ids])).last_hidden_state for ids in encoded)
    means = torch.stack([tokens[0].mean(0) for tokens in hidden])
    return torch.nn.functional.normalize(means, dim=-1).numpy()
