"""The sandbox: strict stand-ins for WeChat and Telegram, and a page with two phones."""

from __future__ import annotations

from bot.sandbox.house import Sandbox, Secrets
from bot.sandbox.people import Person
from bot.sandbox.telegram_platform import TelegramPlatform
from bot.sandbox.wechat_platform import WeChatPlatform

__all__ = ["Person", "Sandbox", "Secrets", "TelegramPlatform", "WeChatPlatform"]
