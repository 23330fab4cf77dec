"""The phrasebook as Rasa's reply generator."""

from __future__ import annotations

from typing import Any

from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.shared.core.domain import Domain
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig

from nlu.language import SOURCE, spoken
from nlu.phrasebook import Phrasebook

# What Rasa adds of its own to the values an action gives.
_NOT_VALUES = frozenset(
    {
        "attachment",
        "buttons",
        "custom",
        "domain_responses",
        "elements",
        "image",
        "quick_replies",
        "template",
        "text",
    }
)


class PhrasebookGenerator(NaturalLanguageGenerator):
    """Says `utter_…` phrases. Language and turn come with the guest's message, as its metadata.

    Without metadata, as in `rasa shell`, the language is guessed from the guest's words.
    """

    def __init__(
        self,
        endpoint_config: EndpointConfig | None = None,
        domain: Domain | None = None,
        phrasebook: Phrasebook | None = None,
    ) -> None:
        # The two first arguments are what Rasa gives when it builds this class from endpoints.yml.
        self._phrasebook = phrasebook or Phrasebook.load()

    async def generate(
        self, utter_action: str, tracker: DialogueStateTracker, output_channel: str, **kwargs: Any
    ) -> dict[str, Any]:
        """`{"text": …, "buttons": [{"title": …, "payload": …}]}`. Raises what `Phrasebook.say` raises."""
        message = tracker.latest_message
        facts = (message.metadata or {}) if message else {}
        locale = facts.get("locale") or spoken((message.text or "") if message else "", SOURCE)
        turn = facts.get("turn") or (message.message_id if message else "") or ""
        values = {name: value for name, value in kwargs.items() if name not in _NOT_VALUES}
        said = self._phrasebook.say(utter_action, locale, values, turn=str(turn))
        return {
            "text": said.text,
            "buttons": [{"title": title, "payload": payload} for title, payload in said.choices],
        }
