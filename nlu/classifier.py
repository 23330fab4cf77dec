"""The intent classifier of Rasa's pipeline: our reader between Rasa's training data and its model storage."""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.constants import TOKENS_NAMES
from rasa.shared.nlu.constants import INTENT, INTENT_RANKING_KEY, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu.reader import Reader, Sentence
from nlu.tokenizer import PlainTokenizer, language_fingerprint
from nlu.words import normalise

FILE = "reader.npz"
RANKING_LENGTH = 10


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class ReaderClassifier(IntentClassifier, GraphComponent):
    """Sets `intent` and `intent_ranking`; a text without words gets no intent and confidence 0."""

    def __init__(
        self, storage: ModelStorage, resource: Resource, strength: float, reader: Reader | None
    ) -> None:
        self._storage = storage
        self._resource = resource
        self._strength = strength
        self._reader = reader

    @classmethod
    def required_components(cls) -> list[type]:
        """The words come from our tokenizer."""
        return [PlainTokenizer]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`strength`: inverse of the regularisation; larger trusts the examples more."""
        return {"strength": 60.0}

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """Rasa reuses what it once trained unless this changes."""
        return language_fingerprint()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ReaderClassifier:
        """An untrained classifier."""
        return cls(model_storage, resource, config["strength"], None)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> ReaderClassifier:
        """The classifier as trained. Raises `ValueError` when the model holds none."""
        with model_storage.read_from(resource) as folder:
            return cls(model_storage, resource, config["strength"], Reader.load(folder / FILE))

    def train(self, training_data: TrainingData) -> Resource:
        """Learn from the examples and put the result into the model."""
        examples = [one for one in training_data.intent_examples if one.get(TEXT)]
        self._reader = Reader.learn(
            [_sentence(one) for one in examples],
            [one.get(INTENT) for one in examples],
            strength=self._strength,
        )
        with self._storage.write_to(self._resource) as folder:
            self._reader.save(folder / FILE)
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Nothing after this component learns from its guesses."""
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Read each message."""
        for message in messages:
            ranked = self._reader.rank(_sentence(message)) if self._reader else []
            ranking = [{"name": name, "confidence": chance} for name, chance in ranked[:RANKING_LENGTH]]
            first = dict(ranking[0]) if ranking else {"name": None, "confidence": 0.0}
            message.set(INTENT, first, add_to_output=True)
            message.set(INTENT_RANKING_KEY, ranking, add_to_output=True)
        return messages


def _sentence(message: Message) -> Sentence:
    words = tuple(token.text for token in message.get(TOKENS_NAMES[TEXT]) or ())
    return Sentence(normalise(message.get(TEXT) or ""), words)
