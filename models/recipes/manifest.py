"""`model.json`: what a worker checks before it serves a model."""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from .common.onnx_export import INPUTS
from .common.sessions import open_session, run_alone
from .common.sources import sha256_of

GOLDEN_TEXTS = [
    "I love this product, it works perfectly!",
    "The delivery was late, the box was crushed and nobody answered my emails.",
    "My order number is 48213.",
    "Not bad at all: the café's Wi-Fi was slow, but we'd go back ☕.",
]


@dataclass(frozen=True)
class Variant:
    """One ONNX file; `tolerance` is the largest difference of any output number at warm-up."""

    name: str
    precision: str
    tolerance: float

    @property
    def filename(self) -> str:
        return f"model.{self.name}.onnx"


def write_manifest(folder: Path, description: dict, output: str, variants: list[Variant]) -> None:
    """Writes `model.json` beside the files it names. The first variant is the default.

    `description` holds name, version, task and the task's own fields.
    """
    manifest = {
        **description,
        "inputs": INPUTS,
        "output": output,
        "files": [describe(folder / name) for name in ("tokenizer.json", "config.json")],
        "default_variant": variants[0].name,
        "variants": {
            variant.name: {
                **describe(folder / variant.filename),
                "precision": variant.precision,
                "tolerance": variant.tolerance,
            }
            for variant in variants
        },
        "golden": golden_rows(folder, variants),
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (folder / "model.json").write_text(shorten_number_lists(text) + "\n")


def describe(path: Path) -> dict:
    return {"path": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}


def golden_rows(folder: Path, variants: list[Variant]) -> list[dict]:
    """The raw output for each golden text alone, by variant, rounded to 6 digits."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(GOLDEN_TEXTS)]
    outputs = {
        variant.name: run_alone(open_session(folder / variant.filename), encoded)
        for variant in variants
    }
    return [
        {
            "text": text,
            "text_pair": None,
            "ids": encoded[row],
            "outputs": {
                name: [round(float(number), 6) for number in values[row]]
                for name, values in outputs.items()
            },
        }
        for row, text in enumerate(GOLDEN_TEXTS)
    ]


def shorten_number_lists(text: str) -> str:
    """Puts lists of numbers on lines of up to 100 columns instead of one number a line."""
    lines, numbers, indent = [], [], ""
    for line in text.split("\n"):
        bare = line.strip()
        if bare.rstrip(",").lstrip("-").replace(".", "").replace("e-", "").isdigit():
            numbers.append(bare)
            indent = line[: len(line) - len(line.lstrip())]
            continue
        lines += wrap(numbers, indent)
        numbers = []
        lines.append(line)
    return "\n".join(lines)


def wrap(numbers: list[str], indent: str) -> list[str]:
    """`numbers` joined by blanks into lines of at most 100 columns."""
    lines = []
    for number in numbers:
        if lines and len(lines[-1]) + 1 + len(number) <= 100:
            lines[-1] += f" {number}"
        else:
            lines.append(indent + number)
    return lines
