"""Shrinks the base model's WordPiece vocabulary to the pieces that English reviews need."""

import collections
import json
from pathlib import Path

from tokenizers import Tokenizer

from .product_words import PRODUCT_WORDS

VOCABULARY_SIZE = 16_000
MIN_TRAIN_USES = 3
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LAST_SINGLE_CHARACTER = 0x2100  # Latin, Greek, Cyrillic … up to general punctuation and currency
LAST_LATIN_CHARACTER = 0x250


def load_definition(path: Path) -> dict:
    """`tokenizer.json` without the base model's padding to 128 and truncation at 128."""
    definition = json.loads(path.read_text())
    return {**definition, "padding": None, "truncation": None}


def prune(definition: dict, train_texts: list[str]) -> tuple[dict, list[int]]:
    """The smaller tokenizer and, by new id, the id that each piece had in the base vocabulary."""
    kept = choose_pieces(definition, train_texts)
    pieces = {index: piece for piece, index in definition["model"]["vocab"].items()}
    vocab = {pieces[old]: new for new, old in enumerate(kept)}
    assert vocab["[PAD]"] == 0
    pruned = json.loads(json.dumps(definition))
    pruned["model"]["vocab"] = vocab
    for token in pruned["added_tokens"]:
        token["id"] = vocab[token["content"]]
    for token in pruned["post_processor"]["special_tokens"].values():
        token["ids"] = [vocab[token["id"]]]
    return pruned, kept


def choose_pieces(definition: dict, train_texts: list[str]) -> list[int]:
    """Base ids to keep, ascending: what must stay, then the most frequent (lowest) ids."""
    vocab = definition["model"]["vocab"]
    kept = {vocab[token] for token in SPECIAL_TOKENS}
    kept |= {index for piece, index in vocab.items() if is_single_character(piece)}
    # A product word that the base vocabulary lacks keeps the pieces that it is made of.
    kept |= pieces_used(definition, PRODUCT_WORDS, min_uses=1)
    kept |= pieces_used(definition, train_texts, MIN_TRAIN_USES)
    for piece, index in sorted(vocab.items(), key=lambda entry: entry[1]):
        if len(kept) == VOCABULARY_SIZE:
            break
        if is_latin_piece(piece):
            kept.add(index)
    return sorted(kept)


def pieces_used(definition: dict, texts: list[str], min_uses: int) -> set[int]:
    """Pieces that occur often enough; all that occur in the training texts would be 19 thousand."""
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    counts = collections.Counter()
    for encoding in tokenizer.encode_batch(texts):
        counts.update(encoding.ids)
    return {index for index, count in counts.items() if count >= min_uses}


def is_single_character(piece: str) -> bool:
    bare = piece.removeprefix("##")
    return len(bare) == 1 and ord(bare) < LAST_SINGLE_CHARACTER


def is_latin_piece(piece: str) -> bool:
    bare = piece.removeprefix("##")
    return not piece.startswith("[unused") and all(ord(c) < LAST_LATIN_CHARACTER for c in bare)
