"""The tokenizer of Rasa's pipeline: plain words for Chinese, English, and both at once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.nlu.tokenizers.tokenizer import Token, Tokenizer
from rasa.shared.nlu.training_data.message import Message

from nlu import words

_SOURCES = ("words.py", "words.txt", "reader.py")


def language_fingerprint() -> str:
    """Changes whenever the way we read changes: Rasa itself looks only at the component's own class."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in _SOURCES)).hexdigest()


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_TOKENIZER, is_trainable=False)
class PlainTokenizer(Tokenizer):
    """Tokens whose text is plain writing and whose `start` and `end` are places in the message as written.

    So `message_text[token.start:token.end]` is what the guest typed, however it was spelt, and entities cut
    from it keep the guest's own spelling.
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """The settings every Rasa tokenizer has."""
        return {
            "intent_tokenization_flag": False,
            "intent_split_symbol": "_",
            "token_pattern": None,
            "prefix_separator_symbol": None,
        }

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str:
        """Rasa reuses what it once prepared unless this changes."""
        return language_fingerprint()

    def tokenize(self, message: Message, attribute: str) -> list[Token]:
        """The tokens of one text of the message; none for a text without words."""
        return [Token(word.text, word.start, word.end) for word in words.split(message.get(attribute))]
