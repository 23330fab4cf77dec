"""The whole sandbox: both stand-ins, their control routes and the page with two phones."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.routing import BaseRoute, Mount

from bot.sandbox.control import telegram_control, wechat_control
from bot.sandbox.people import Person
from bot.sandbox.phones import phone_routes
from bot.sandbox.telegram_platform import TelegramPlatform
from bot.sandbox.wechat_platform import WeChatPlatform
from bot.settings import Settings

HOTEL = "知客 Zhike"


@dataclass(frozen=True)
class Secrets:
    """What both platforms and the house must agree on."""

    telegram_token: str
    telegram_secret: str
    wechat_app_id: str
    wechat_app_secret: str
    wechat_token: str
    wechat_aes_key: str
    wechat_account: str

    @classmethod
    def random(cls) -> Secrets:
        return cls(
            telegram_token=f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_urlsafe(26)}",
            telegram_secret=secrets.token_hex(32),
            wechat_app_id=f"wx{secrets.token_hex(8)}",
            wechat_app_secret=secrets.token_hex(16),
            wechat_token=secrets.token_hex(8),
            wechat_aes_key=base64.b64encode(secrets.token_bytes(32)).decode().rstrip("="),
            wechat_account=f"gh_{secrets.token_hex(6)}",
        )

    def __repr__(self) -> str:
        return "Secrets(…)"


class Sandbox:
    """Mount `.routes` under `/sandbox`, run the house with `.settings(…)`, then `start()` and `stop()`."""

    def __init__(
        self,
        base_url: str,
        shared: Secrets,
        *,
        clock: Callable[[], datetime],
        pace: float = 1.0,
        people: Callable[[], Sequence[Person]] = list,
        door: str = "",
        hotel: str = HOTEL,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.door = (door or base_url).rstrip("/")
        self.secrets = shared
        self.people = people
        self.hotel = hotel
        self._loop: asyncio.AbstractEventLoop | None = None
        self.telegram = TelegramPlatform(shared.telegram_token, clock=clock, pace=pace)
        self.wechat = WeChatPlatform(
            shared.wechat_app_id,
            shared.wechat_app_secret,
            shared.wechat_token,
            shared.wechat_aes_key,
            shared.wechat_account,
            f"{self.door}/wechat",
            clock=clock,
            pace=pace,
        )

    @classmethod
    def create(
        cls,
        base_url: str,
        *,
        clock: Callable[[], datetime],
        pace: float = 1.0,
        people: Callable[[], Sequence[Person]] = list,
        hotel: str = HOTEL,
    ) -> Sandbox:
        """A sandbox beside the house at `base_url`, with secrets of its own."""
        return cls(base_url, Secrets.random(), clock=clock, pace=pace, people=people, hotel=hotel)

    def settings(self, settings: Settings) -> Settings:
        """The same settings, with both doors opened towards this sandbox."""
        return dataclasses.replace(
            settings,
            **dataclasses.asdict(self.secrets),
            telegram_api=f"{self.base_url}/sandbox/telegram",
            telegram_mode="webhook",
            wechat_api=f"{self.base_url}/sandbox/wechat",
            public_url=self.door,
        )

    @property
    def routes(self) -> list[BaseRoute]:
        return [
            Mount("/telegram", routes=[*telegram_control(self.telegram), *self.telegram.routes]),
            Mount("/wechat", routes=[*wechat_control(self.wechat), *self.wechat.routes]),
            *phone_routes(self.people, self.hotel, self.meet_people),
        ]

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.meet_people()

    def meet_people(self) -> None:
        """Let both platforms know the members' chats and openids, as if they had written before."""
        for person in self.people():
            if person.telegram:
                self.telegram.meet(int(person.telegram), name=person.name, language=person.telegram_language)
            if person.wechat:
                self.wechat.meet(person.wechat, language=person.wechat_language)

    def hang_up(self) -> None:
        """End the pages' event streams, from any thread or signal handler.

        Call it when the server begins to stop: it waits for open streams before it tells anyone.
        """
        for screens in (self.telegram.screens, self.wechat.screens):
            if self._loop is None:
                screens.hang_up()
            elif not self._loop.is_closed():
                self._loop.call_soon_threadsafe(screens.hang_up)

    async def stop(self) -> None:
        await self.telegram.stop()
        await self.wechat.stop()
