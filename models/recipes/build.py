"""From pip packages to the finished model folders: `python -m recipes.build --help`."""

import argparse
import os
from pathlib import Path

# Set before torch, ONNX Runtime and tokenizers load: one thread each, so that runs repeat exactly.
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

MODELS = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["minilm", "sentiment"])
    parser.add_argument("--work", type=Path, default=Path("/tmp/headrace-recipes"))
    parser.add_argument("--out", type=Path, default=MODELS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        builder_of(name)(options.work, options.out)


def builder_of(name: str):
    """Imported late: the environment above must be set first."""
    from .minilm import build as minilm
    from .sentiment import build as sentiment

    builders = {
        "minilm": minilm.build,
        "sentiment": sentiment.build,
        "sentiment-small": sentiment.build_small,
    }
    return builders[name]


if __name__ == "__main__":
    main()
