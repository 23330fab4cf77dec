"""The reader: which intent a sentence most likely means, learnt from the examples."""

from __future__ import annotations

import itertools
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import numpy.typing

from nlu.words import has_words, normalise, split

# Stands for any word the examples do not share: "how many ◦ do I have" is not about points.
RARE = "◦"
START, END = "«", "»"
LONGEST_RUN = 4

Numbers = numpy.typing.NDArray[Any]


@dataclass(frozen=True)
class Sentence:
    """A text in the two forms the reader looks at: plain writing, and its words."""

    plain: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Sentence:
        """The sentence a guest wrote."""
        return cls(normalise(text), tuple(word.text for word in split(text)))


@dataclass(frozen=True)
class Reader:
    """Runs of characters and words, weighed by how telling they are, into one logistic regression.

    The regression is a proper probability model, so its confidence can be held against a threshold. It is
    learnt with scikit-learn and kept as plain numbers: reading a sentence is one small sum, and loading a
    model runs no code.
    """

    intents: tuple[str, ...]
    known: frozenset[str]  # words that more than one example has
    rows: dict[str, int]  # feature to its row in `rarity` and `weights`
    rarity: Numbers  # how few examples have the feature (smoothed idf)
    weights: Numbers  # features × intents
    bias: Numbers

    @classmethod
    def learn(
        cls, sentences: Sequence[Sentence], intents: Sequence[str], *, strength: float = 60.0
    ) -> Reader:
        """Learn from examples; `strength` is the inverse of the regularisation (scikit-learn's C).

        Raises `ValueError` for fewer than three intents.
        """
        if len(set(intents)) < 3:
            raise ValueError("There must be examples of at least three intents to tell apart.")
        seen = Counter(word for sentence in sentences for word in set(sentence.words))
        known = frozenset(word for word, times in seen.items() if times > 1)
        shared = Counter(
            feature for sentence in sentences for counted in _features(sentence, known) for feature in counted
        )
        rows = {feature: row for row, feature in enumerate(sorted(shared))}
        rarity = numpy.array([math.log((1 + len(sentences)) / (1 + shared[feature])) + 1 for feature in rows])
        names, weights, bias = _regress(
            [_vector(one, known, rows, rarity) for one in sentences], intents, strength
        )
        return cls(names, known, rows, rarity, weights, bias)

    def rank(self, sentence: Sentence) -> list[tuple[str, float]]:
        """Intents with their probability, likeliest first; empty when the sentence has nothing to read."""
        if not has_words(sentence.plain):
            return []
        at, values = _vector(sentence, self.known, self.rows, self.rarity)
        scores = values @ self.weights[at] + self.bias
        chances = numpy.exp(scores - scores.max())
        chances /= chances.sum()
        return sorted(zip(self.intents, chances.tolist(), strict=True), key=lambda pair: -pair[1])

    def save(self, path: Path) -> None:
        """Write everything learnt to `path`, a NumPy `.npz` file."""
        numpy.savez_compressed(
            path,
            intents=self.intents,
            known=sorted(self.known),
            # Features in the order of their rows.
            features="\n".join(self.rows),
            rarity=self.rarity,
            weights=self.weights.astype(numpy.float32),
            bias=self.bias,
        )

    @classmethod
    def load(cls, path: Path) -> Reader:
        """The reader saved at `path`. Raises `ValueError` when the file is no such thing."""
        try:
            with path.open("rb") as file, numpy.load(file, allow_pickle=False) as kept:
                rows = {feature: row for row, feature in enumerate(str(kept["features"]).split("\n"))}
                intents, known = tuple(kept["intents"].tolist()), frozenset(kept["known"].tolist())
                return cls(intents, known, rows, kept["rarity"], kept["weights"], kept["bias"])
        except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path.name} is not a reader saved by this version; train the model anew."
            ) from error


def _features(sentence: Sentence, known: frozenset[str]) -> Iterator[Counter[str]]:
    """Two bags: runs of one to four characters; and words with pairs of neighbours, first and last place marked."""
    plain = f" {sentence.plain} "
    yield Counter(
        plain[at : at + length]
        for length in range(1, LONGEST_RUN + 1)
        for at in range(len(plain) - length + 1)
    )
    words = [START, *(word if word in known else RARE for word in sentence.words), END]
    yield Counter(
        [
            # The mark in front keeps a word apart from the same letters as a run of characters.
            *(f"·{word}" for word in words),
            *(f"·{first} {second}" for first, second in itertools.pairwise(words)),
        ]
    )


def _vector(
    sentence: Sentence, known: frozenset[str], rows: dict[str, int], rarity: Numbers
) -> tuple[Numbers, Numbers]:
    """Rows of the features the sentence has, and their values: tf-idf, each bag of length 1."""
    at: list[int] = []
    values: list[Numbers] = []
    for counted in _features(sentence, known):
        found = [
            (rows[feature], 1 + math.log(times)) for feature, times in counted.items() if feature in rows
        ]
        if found:
            mine, counts = zip(*found, strict=True)
            weighed = numpy.array(counts) * rarity[list(mine)]
            at.extend(mine)
            values.append(weighed / numpy.linalg.norm(weighed))
    return numpy.array(at, dtype=int), numpy.concatenate(values) if values else numpy.zeros(0)


def _regress(
    vectors: Sequence[tuple[Numbers, Numbers]], intents: Sequence[str], strength: float
) -> tuple[tuple[str, ...], Numbers, Numbers]:
    # Only training needs these: a process that merely reads starts faster without.
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    ends = numpy.cumsum([0, *(len(at) for at, _ in vectors)])
    features = csr_matrix(
        (numpy.concatenate([v for _, v in vectors]), numpy.concatenate([at for at, _ in vectors]), ends)
    )
    regression = LogisticRegression(C=strength, class_weight=_weights(intents), max_iter=1000, random_state=7)
    regression.fit(features, numpy.array(intents))
    return tuple(str(name) for name in regression.classes_), regression.coef_.T.copy(), regression.intercept_


def _weights(intents: Sequence[str]) -> dict[str, float]:
    """Half-way between counting every example alike and every intent alike.

    out_of_scope has ten times the examples of others: unweighted it takes what is unclear, fully balanced it
    loses what is merely near to another intent.
    """
    counts = Counter(intents)
    mean = len(intents) / len(counts)
    return {intent: float((mean / count) ** 0.5) for intent, count in counts.items()}
