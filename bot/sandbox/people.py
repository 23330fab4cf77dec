"""The guests whose phones the page can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_WECHAT = {"zh": "zh_CN", "zh_CN": "zh_CN", "zh_TW": "zh_TW", "en": "en"}
_TELEGRAM = {"zh": "zh-hans", "zh_CN": "zh-hans", "zh_TW": "zh-hant", "en": "en"}


@dataclass(frozen=True)
class Person:
    """A member as the demo knows one; `telegram` is a chat id, `wechat` an openid, "" where there is none."""

    member_id: int
    number: str
    name: str
    tier: str
    locale: str
    points: int
    telegram: str
    wechat: str

    @property
    def wechat_language(self) -> str:
        return _WECHAT.get(self.locale, "en")

    @property
    def telegram_language(self) -> str:
        return _TELEGRAM.get(self.locale, self.locale)

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "telegram_language": self.telegram_language,
            "wechat_language": self.wechat_language,
        }


def read_person(given: Mapping[str, Any]) -> Person:
    """A person from JSON, for a sandbox that runs by itself. Raises `KeyError` or `ValueError`."""
    return Person(
        member_id=int(given["member_id"]),
        number=str(given["number"]),
        name=str(given["name"]),
        tier=str(given["tier"]),
        locale=str(given["locale"]),
        points=int(given["points"]),
        telegram=str(given["telegram"]),
        wechat=str(given["wechat"]),
    )
