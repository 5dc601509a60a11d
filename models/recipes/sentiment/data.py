"""The ICWSM-2014 ground truth (Hutto and Gilbert) as rows with a soft target, split three ways.

A row's target is the share of its 15-99 human raters who said negative, neutral and positive.
"""

import ast
import collections
import hashlib
import html
import re
import tarfile
from dataclasses import dataclass

from ..common.sources import open_vader_archive
from .own_sentences import own_sentences

LABELS = ["negative", "neutral", "positive"]
NEUTRAL = LABELS.index("neutral")
DOMAINS = {
    "movie": "movieReviewSnippets",
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "nyt": "nytEditorialSnippets",
}
# These domains' ids start with the document: a document stays whole on one side of the split.
DOMAINS_WITH_DOCUMENTS = {"nyt", "amazon"}


@dataclass(frozen=True)
class Row:
    """One sentence; `target` is [negative, neutral, positive] and sums to 1."""

    domain: str
    text: str
    target: tuple[float, float, float]
    label: int


def load_splits(downloads) -> dict[str, list[Row]]:
    """`train`, `dev` and `test`; our own sentences are in `train` only."""
    splits = {"train": [], "dev": [], "test": []}
    seen = set()
    with open_vader_archive(downloads) as archive:
        for domain in DOMAINS:
            for rating_id, text, ratings in read_domain(archive, domain):
                if not text or text.lower() in seen:
                    continue
                seen.add(text.lower())
                splits[split_of(domain, rating_id, text)].append(to_row(domain, text, ratings))
    for text, target in own_sentences():
        if text.lower() not in seen:
            label = target.index(max(target))
            splits["train"].append(Row("own", text, target, label))
    return splits


def read_domain(archive: tarfile.TarFile, domain: str):
    """Yields (id, cleaned text, raw ratings from -4 to 4) for every text of the domain."""
    stem = DOMAINS[domain]
    # The published means of 183 tweets disagree with their raw ratings: only the raw ones count.
    ratings = read_table(archive, f"{stem}_anonDataRatings")
    raters = {row[0]: ast.literal_eval(row[3]) for row in ratings}
    for rating_id, _mean, text in read_table(archive, f"{stem}_GroundTruth"):
        yield rating_id, clean(text), raters[rating_id]


def read_table(archive: tarfile.TarFile, stem: str) -> list[list[str]]:
    """A tab-separated table of the archive; some start with a byte order mark."""
    member = next(m for m in archive.getmembers() if m.name.endswith(f"/{stem}.txt"))
    lines = archive.extractfile(member).read().decode("utf-8-sig").splitlines()
    return [line.split("\t") for line in lines if line.strip()]


def clean(text: str) -> str:
    """Undoes the source's double HTML escapes and odd quotes, and squeezes whitespace."""
    text = html.unescape(html.unescape(text)).replace("''", '"').replace("\u0092", "'")
    return re.sub(r"\s+", " ", text).strip()


def to_row(domain: str, text: str, ratings: list[int]) -> Row:
    """Soft target from the raters; the label is their plurality."""
    counts = [
        sum(rating < 0 for rating in ratings),
        sum(rating == 0 for rating in ratings),
        sum(rating > 0 for rating in ratings),
    ]
    target = tuple(count / len(ratings) for count in counts)
    return Row(domain, text, target, plurality(counts, sum(ratings)))


def plurality(counts: list[int], rating_sum: int) -> int:
    """The class most raters chose; ties go to neutral if tied with it, else to the mean's sign."""
    best = [index for index, count in enumerate(counts) if count == max(counts)]
    if len(best) == 1:
        return best[0]
    if NEUTRAL in best:
        return NEUTRAL
    return LABELS.index("positive" if rating_sum > 0 else "negative")


def split_of(domain: str, rating_id: str, text: str) -> str:
    """80/10/10 by a hash of the document, or of the text where there are no documents."""
    whole = rating_id.split("_")[0] if domain in DOMAINS_WITH_DOCUMENTS else text.lower()
    bucket = int(hashlib.sha256(f"{domain}:{whole}".encode()).hexdigest(), 16) % 10
    return {0: "test", 1: "dev"}.get(bucket, "train")


def count_labels(rows: list[Row]) -> dict[str, list[int]]:
    """Rows per domain as [negative, neutral, positive]."""
    counts = collections.defaultdict(lambda: [0, 0, 0])
    for row in rows:
        counts[row.domain][row.label] += 1
    return dict(counts)
