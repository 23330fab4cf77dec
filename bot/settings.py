"""The settings, read once from the environment; a half-configured house does not start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from sqlalchemy.engine import make_url

from data import sealed
from data.db import DEFAULT_URL, BadDatabaseUrl, new_engine

ADDRESSES = frozenset({"telegram_api", "wechat_api", "public_url"})


class BadSettings(ValueError):
    """A setting is missing or wrong; the text names the variable and the remedy."""


def _setting(default: str, doc: str) -> str:
    """A field read from the variable of its own name in capitals, prefixed ZHIKE_."""
    value: str = field(default=default, metadata={"doc": doc})
    return value


@dataclass(frozen=True)
class Settings:
    """Every setting, one field for each `ZHIKE_…` variable. Secrets stay out of its repr."""

    database_url: str = _setting(
        DEFAULT_URL, "SQLite (`sqlite:///file`) or PostgreSQL (`postgresql://user@host/name`)"
    )
    keys: str = _setting(
        "",
        "keys that encrypt personal data, newest first, joined by commas; made by themselves beside an SQLite database",
    )
    model_dir: str = _setting("var/models", "folder of trained models")
    log_format: str = _setting("", "`json` or `console`; by default console on a terminal, JSON elsewhere")
    telegram_token: str = _setting(
        "", "the bot's token from @BotFather; without it the Telegram door stays shut"
    )
    telegram_api: str = _setting("https://api.telegram.org", "base address of the Bot API")
    telegram_mode: str = _setting("webhook", "`webhook` or `polling`")
    telegram_secret: str = _setting(
        "", "secret that Telegram sends with each webhook call: 1 to 256 of A-Z a-z 0-9 _ -"
    )
    telegram_staff_chat: str = _setting("", "chat id that hears when a guest's message could not be answered")
    wechat_app_id: str = _setting("", "AppID of the Official Account; without it the WeChat door stays shut")
    wechat_app_secret: str = _setting("", "AppSecret of the Official Account")
    wechat_token: str = _setting("", "the token entered in the account's server configuration")
    wechat_aes_key: str = _setting(
        "", "EncodingAESKey, 43 characters; messages are accepted in safe mode only"
    )
    wechat_account: str = _setting("", "original id of the account, `gh_…`")
    wechat_api: str = _setting("https://api.weixin.qq.com", "base address of the WeChat API")
    public_url: str = _setting(
        "", "https address under which the platforms reach this server; needed for the Telegram webhook"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check. Raises `BadSettings`."""
        given = {
            f.name: environment[variable(f.name)].strip()
            for f in fields(cls)
            if environment.get(variable(f.name), "").strip()
        }
        for name in ADDRESSES & given.keys():
            given[name] = given[name].rstrip("/")  # paths are put behind them
        settings = cls(**given)
        settings.check()
        return settings

    def check(self) -> None:
        """Raise `BadSettings` on the first setting that is wrong or only half there."""
        try:
            new_engine(self.database_url).dispose()
            sealed.KeyRing.read(self.sealing_keys())
        except (BadDatabaseUrl, sealed.BadKeys) as error:
            raise BadSettings(str(error)) from None
        except OSError as error:
            raise BadSettings(
                f"The folder of the database cannot be used ({error.strerror}): "
                "set ZHIKE_DATABASE_URL to a file in a folder that Zhike may write to."
            ) from None
        if self.log_format not in ("", "json", "console"):
            raise BadSettings("ZHIKE_LOG_FORMAT must be json or console; leave it out to have it chosen.")
        for name in sorted(ADDRESSES):
            if getattr(self, name) and not re.fullmatch(
                r"https?://[^\s/?#@]+(/[^\s?#]*)?", getattr(self, name)
            ):
                raise BadSettings(
                    f"{variable(name)} is not a web address; write it like https://hotel.example."
                )
        self._check_telegram()
        self._check_wechat()

    def _check_telegram(self) -> None:
        if self.telegram_mode not in ("webhook", "polling"):
            raise BadSettings("ZHIKE_TELEGRAM_MODE must be webhook or polling.")
        if not self.telegram_token:
            self._check_alone("telegram_token", "telegram_secret", "telegram_staff_chat")
            return
        if not re.fullmatch(r"\d+:[\w-]+", self.telegram_token):
            raise BadSettings(
                "ZHIKE_TELEGRAM_TOKEN does not look like a bot token; copy it whole from @BotFather."
            )
        if self.telegram_mode == "webhook" and not re.fullmatch(
            r"[A-Za-z0-9_-]{1,256}", self.telegram_secret
        ):
            raise BadSettings(
                "ZHIKE_TELEGRAM_SECRET is missing or has characters Telegram refuses; "
                "set it to what `openssl rand -hex 32` prints, or set ZHIKE_TELEGRAM_MODE=polling."
            )
        if self.telegram_staff_chat and not re.fullmatch(r"-?[0-9]{1,18}", self.telegram_staff_chat):
            raise BadSettings(
                "ZHIKE_TELEGRAM_STAFF_CHAT must be the number of a chat; a group's begins with a minus sign."
            )

    def _check_alone(self, door: str, *names: str) -> None:
        """Refuse settings of a door whose first setting is missing: a misspelt name would leave it shut."""
        for name in names:
            if getattr(self, name):
                raise BadSettings(
                    f"{variable(name)} is set, but {variable(door)} is missing; set that too, or neither."
                )

    def _check_wechat(self) -> None:
        if not self.wechat_app_id:
            others = ("wechat_app_secret", "wechat_token", "wechat_aes_key", "wechat_account")
            self._check_alone("wechat_app_id", *others)
            return
        for name in ("wechat_app_secret", "wechat_token", "wechat_account"):
            if not getattr(self, name):
                raise BadSettings(
                    f"{variable(name)} is missing; ZHIKE_WECHAT_APP_ID is set, so WeChat needs it too."
                )
        if not re.fullmatch(r"[A-Za-z0-9+/]{43}", self.wechat_aes_key):
            raise BadSettings(
                "ZHIKE_WECHAT_AES_KEY must be the 43 characters of EncodingAESKey; "
                "set message encryption to safe mode (安全模式) in the account's server configuration."
            )
        if not re.fullmatch(r"gh_\w+", self.wechat_account):
            raise BadSettings(
                "ZHIKE_WECHAT_ACCOUNT must be the account's original id (原始ID), which begins with gh_; "
                "messages are addressed to it."
            )

    def sealing_keys(self) -> str:
        """`keys`, or for an embedded database the key file beside it (made on first use). Raises `BadKeys`."""
        if self.keys:
            return self.keys
        url = make_url(self.database_url)
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            return sealed.keys_beside(Path(url.database))
        raise sealed.BadKeys(f"ZHIKE_KEYS is not set. {sealed.REMEDY}")

    def __repr__(self) -> str:
        return "Settings(…)"


def variable(name: str) -> str:
    """The environment variable of a field: `database_url` is `ZHIKE_DATABASE_URL`."""
    return f"ZHIKE_{name.upper()}"
