"""Figures of a built model on labelled rows, by domain, and its answers to single sentences.

`python -m recipes.sentiment.evaluate ../models/sentiment/1` prints what the model card shows.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..common.metrics import accuracy, calibration_error, confusion, macro_f1, softmax
from ..common.sessions import open_session, run_batches, sorted_batches
from .data import DOMAINS, LABELS, NEUTRAL, Row, load_splits
from .export import MAX_TOKENS

# Written by hand, in neither train, dev nor test. They show behaviour; they measure nothing: the
# film sentence is why the recipe has sentences of its own.
SENTENCES = [
    ("The delivery was late and the box was crushed.", "negative"),
    ("Customer support never answered my emails.", "negative"),
    ("I would not recommend this to anyone.", "negative"),
    ("The app crashes every time I open it.", "negative"),
    ("The screen is bright but the speakers are terrible.", "negative"),
    ("Worst purchase I have made this year.", "negative"),
    ("I want a refund, the charger stopped working after a week.", "negative"),
    ("Absolutely love this jacket, it fits perfectly.", "positive"),
    ("The support team fixed my problem within minutes, thank you!", "positive"),
    ("Not bad at all, I was pleasantly surprised.", "positive"),
    ("The battery lasts two days, which is great.", "positive"),
    ("The new version is faster and easier to use.", "positive"),
    ("What a wonderful evening with friends :)", "positive"),
    ("The film is 120 minutes long and was directed by Jane Smith.", "neutral"),
    ("The package contains two cables and a manual.", "neutral"),
    ("The meeting is scheduled for Tuesday at 3 pm.", "neutral"),
    ("Water boils at 100 degrees Celsius at sea level.", "neutral"),
    ("My order number is 48213.", "neutral"),
    ("Please reset my password.", "neutral"),
    ("The train leaves from platform 4.", "neutral"),
]


@dataclass(frozen=True)
class Figures:
    """How well rows were classified; `confusion` is [true, guessed]."""

    rows: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    confusion: list[list[int]]


def encode_texts(folder: Path, texts: list[str]) -> list[list[int]]:
    """Ids with the model's own tokenizer, cut as a worker cuts them: the closing [SEP] stays."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def probabilities_of(graph: Path, encoded: list[list[int]]) -> np.ndarray:
    """[rows, labels]."""
    return softmax(run_batches(open_session(graph), encoded, sorted_batches(encoded)))


def figures_of(rows: list[Row], probabilities: np.ndarray) -> Figures:
    labels, guesses = np.array([row.label for row in rows]), probabilities.argmax(1)
    return Figures(
        rows=len(rows),
        accuracy=accuracy(labels, guesses),
        macro_f1=macro_f1(labels, guesses),
        calibration_error=calibration_error(labels, probabilities),
        confusion=confusion(labels, guesses).tolist(),
    )


def figures_by_domain(rows: list[Row], probabilities: np.ndarray) -> dict[str, Figures]:
    """One entry per domain, then `all`."""
    figures = {}
    for domain in DOMAINS:
        inside = [index for index, row in enumerate(rows) if row.domain == domain]
        figures[domain] = figures_of([rows[i] for i in inside], probabilities[inside])
    return {**figures, "all": figures_of(rows, probabilities)}


def polar_accuracy(rows: list[Row], probabilities: np.ndarray) -> float:
    """Negative or positive, on the rows that are not neutral and with neutral left out."""
    polar = [index for index, row in enumerate(rows) if row.label != NEUTRAL]
    guesses = np.delete(probabilities[polar], NEUTRAL, axis=1).argmax(1) * 2
    return accuracy(np.array([rows[index].label for index in polar]), guesses)


def wrong_sentences(folder: Path, filename: str) -> list[str]:
    """The sentences above that the model reads otherwise."""
    encoded = encode_texts(folder, [text for text, _ in SENTENCES])
    guesses = probabilities_of(folder / filename, encoded).argmax(1)
    return [
        text for (text, label), guess in zip(SENTENCES, guesses) if LABELS[guess] != label
    ]


def table(figures: dict[str, Figures]) -> str:
    """Markdown: one line per domain."""
    lines = [
        "| domain | rows | accuracy | macro-F1 | calibration error | true negative | neutral "
        "| positive |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for domain, of in figures.items():
        counts = " | ".join(" / ".join(map(str, row)) for row in of.confusion)
        scores = f"{of.accuracy:.3f} | {of.macro_f1:.3f} | {of.calibration_error:.3f}"
        lines.append(f"| {domain} | {of.rows:,} | {scores} | {counts} |")
    return "\n".join(lines)


def report(folder: Path, rows: list[Row]) -> None:
    """Prints every variant's figures, its distance from the default one, and the sentences."""
    manifest = json.loads((folder / "model.json").read_text())
    encoded = encode_texts(folder, [row.text for row in rows])
    default = None
    for name, variant in manifest["variants"].items():
        probabilities = probabilities_of(folder / variant["path"], encoded)
        default = probabilities if default is None else default
        agreement = (probabilities.argmax(1) == default.argmax(1)).mean()
        print(f"\n{folder} {name}\n{table(figures_by_domain(rows, probabilities))}")
        print(f"polar rows only: {polar_accuracy(rows, probabilities):.3f}")
        print(
            f"against {manifest['default_variant']}: same label {agreement:.3f}, difference in "
            f"probability max {np.abs(probabilities - default).max():.4f} "
            f"mean {np.abs(probabilities - default).mean():.4f}"
        )
        wrong = wrong_sentences(folder, variant["path"])
        print(f"sentences: {len(SENTENCES) - len(wrong)} of {len(SENTENCES)}, wrong: {wrong}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, default=Path("/tmp/headrace-recipes"))
    parser.add_argument("--split", choices=["dev", "test"], default="test")
    options = parser.parse_args()
    report(options.folder, load_splits(options.work / "downloads")[options.split])


if __name__ == "__main__":
    main()
