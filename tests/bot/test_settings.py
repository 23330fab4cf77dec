"""The settings: a half-configured house does not start, says which variable is wrong, and keeps its secrets."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path

import pytest

from bot.settings import BadSettings, Settings, variable
from data.db import DEFAULT_URL
from tests.conftest import KEYS

TELEGRAM = {
    "ZHIKE_TELEGRAM_TOKEN": "8123456789:AAE-TelegramTokenCanary_0123456789abcd",
    "ZHIKE_TELEGRAM_SECRET": "TelegramSecretCanary-_09",
}
WECHAT = {
    "ZHIKE_WECHAT_APP_ID": "wx0123456789abcdef",
    "ZHIKE_WECHAT_APP_SECRET": "AppSecretCanary",
    "ZHIKE_WECHAT_TOKEN": "WeChatTokenCanary",
    "ZHIKE_WECHAT_AES_KEY": base64.b64encode(bytes(range(32))).decode().rstrip("="),
    "ZHIKE_WECHAT_ACCOUNT": "gh_0123456789ab",
}
BOTH = {**TELEGRAM, **WECHAT}


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The least an environment needs, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return {"ZHIKE_DATABASE_URL": f"sqlite:///{tmp_path / 'zhike.db'}", "ZHIKE_KEYS": KEYS}


def test_whole_configuration(ground: dict[str, str]) -> None:
    settings = Settings.from_environment(
        {**ground, **BOTH, "PATH": "/bin", "ZHIKE_PUBLIC_URL": "https://a.example"}
    )
    for name, value in {**ground, **BOTH}.items():
        assert getattr(settings, name.removeprefix("ZHIKE_").lower()) == value


def test_nothing_set_is_an_embedded_database_and_no_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    assert settings.database_url == DEFAULT_URL
    assert (settings.telegram_token, settings.wechat_app_id) == ("", "")
    assert settings.telegram_api == "https://api.telegram.org"
    assert settings.wechat_api == "https://api.weixin.qq.com"


def test_blank_is_not_set_and_blanks_around_are_not_meant(ground: dict[str, str]) -> None:
    settings = Settings.from_environment(
        {**ground, **TELEGRAM, "ZHIKE_TELEGRAM_MODE": "  polling\n", "ZHIKE_WECHAT_APP_ID": "  "}
    )
    assert (settings.telegram_mode, settings.wechat_app_id) == ("polling", "")


@pytest.mark.parametrize("name", ["telegram_api", "wechat_api", "public_url"])
def test_slash_behind_an_address_is_no_mistake(ground: dict[str, str], name: str) -> None:
    settings = Settings.from_environment({**ground, variable(name): "http://127.0.0.1:8000/stand-in/"})
    assert getattr(settings, name) == "http://127.0.0.1:8000/stand-in"


def test_polling_needs_no_secret(ground: dict[str, str]) -> None:
    environment = {**ground, **TELEGRAM, "ZHIKE_TELEGRAM_MODE": "polling", "ZHIKE_TELEGRAM_SECRET": ""}
    assert Settings.from_environment(environment).telegram_mode == "polling"


# What is set on top of a whole configuration ("" takes it away), the variable at fault, words of the remedy.
WRONG: list[tuple[dict[str, str], str, str]] = [
    ({"ZHIKE_DATABASE_URL": "zhike.db"}, "ZHIKE_DATABASE_URL", "sqlite:///"),
    ({"ZHIKE_DATABASE_URL": "mysql://root@localhost/zhike"}, "ZHIKE_DATABASE_URL", "PostgreSQL"),
    ({"ZHIKE_DATABASE_URL": "sqlite:////dev/null/zhike.db"}, "ZHIKE_DATABASE_URL", "folder"),
    ({"ZHIKE_KEYS": "short"}, "ZHIKE_KEYS", "openssl rand -base64 32"),
    ({"ZHIKE_KEYS": f"{KEYS},"}, "ZHIKE_KEYS", "openssl rand -base64 32"),
    (
        {"ZHIKE_DATABASE_URL": "postgresql://zhike@127.0.0.1/zhike", "ZHIKE_KEYS": ""},
        "ZHIKE_KEYS",
        "openssl rand -base64 32",
    ),
    ({"ZHIKE_DATABASE_URL": "sqlite://", "ZHIKE_KEYS": ""}, "ZHIKE_KEYS", "openssl rand -base64 32"),
    ({"ZHIKE_LOG_FORMAT": "xml"}, "ZHIKE_LOG_FORMAT", "json or console"),
    ({"ZHIKE_PUBLIC_URL": "hotel.example"}, "ZHIKE_PUBLIC_URL", "https://"),
    ({"ZHIKE_PUBLIC_URL": "https://"}, "ZHIKE_PUBLIC_URL", "https://"),
    ({"ZHIKE_TELEGRAM_API": "ftp://hotel.example"}, "ZHIKE_TELEGRAM_API", "https://"),
    ({"ZHIKE_WECHAT_API": "https://hotel.example/?a=b"}, "ZHIKE_WECHAT_API", "https://"),
    ({"ZHIKE_TELEGRAM_MODE": "push"}, "ZHIKE_TELEGRAM_MODE", "webhook or polling"),
    ({"ZHIKE_TELEGRAM_TOKEN": "AAE-abc"}, "ZHIKE_TELEGRAM_TOKEN", "@BotFather"),
    ({"ZHIKE_TELEGRAM_TOKEN": "123:abc/getMe"}, "ZHIKE_TELEGRAM_TOKEN", "@BotFather"),
    ({"ZHIKE_TELEGRAM_TOKEN": ""}, "ZHIKE_TELEGRAM_TOKEN", "set that too"),
    ({"ZHIKE_TELEGRAM_SECRET": ""}, "ZHIKE_TELEGRAM_SECRET", "openssl rand -hex 32"),
    ({"ZHIKE_TELEGRAM_SECRET": "with space"}, "ZHIKE_TELEGRAM_SECRET", "openssl rand -hex 32"),
    ({"ZHIKE_TELEGRAM_SECRET": "é"}, "ZHIKE_TELEGRAM_SECRET", "ZHIKE_TELEGRAM_MODE=polling"),
    ({"ZHIKE_TELEGRAM_SECRET": "x" * 257}, "ZHIKE_TELEGRAM_SECRET", "openssl rand -hex 32"),
    ({"ZHIKE_TELEGRAM_STAFF_CHAT": "@night_shift"}, "ZHIKE_TELEGRAM_STAFF_CHAT", "number"),
    (
        {"ZHIKE_TELEGRAM_TOKEN": "", "ZHIKE_TELEGRAM_SECRET": "", "ZHIKE_TELEGRAM_STAFF_CHAT": "-1001"},
        "ZHIKE_TELEGRAM_TOKEN",
        "set that too",
    ),
    ({"ZHIKE_WECHAT_APP_ID": ""}, "ZHIKE_WECHAT_APP_ID", "set that too"),
    ({"ZHIKE_WECHAT_APP_SECRET": ""}, "ZHIKE_WECHAT_APP_SECRET", "is missing"),
    ({"ZHIKE_WECHAT_TOKEN": ""}, "ZHIKE_WECHAT_TOKEN", "is missing"),
    ({"ZHIKE_WECHAT_ACCOUNT": ""}, "ZHIKE_WECHAT_ACCOUNT", "is missing"),
    ({"ZHIKE_WECHAT_ACCOUNT": "wx0123456789abcdef"}, "ZHIKE_WECHAT_ACCOUNT", "gh_"),
    ({"ZHIKE_WECHAT_AES_KEY": ""}, "ZHIKE_WECHAT_AES_KEY", "43 characters"),
    ({"ZHIKE_WECHAT_AES_KEY": "A" * 42}, "ZHIKE_WECHAT_AES_KEY", "43 characters"),
    ({"ZHIKE_WECHAT_AES_KEY": "A" * 42 + "="}, "ZHIKE_WECHAT_AES_KEY", "43 characters"),
    ({"ZHIKE_WECHAT_AES_KEY": "-" * 43}, "ZHIKE_WECHAT_AES_KEY", "安全模式"),
]


@pytest.mark.parametrize(("changes", "named", "remedy"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_setting_is_named_with_its_remedy(
    ground: dict[str, str], changes: dict[str, str], named: str, remedy: str
) -> None:
    with pytest.raises(BadSettings) as refused:
        Settings.from_environment({**ground, **BOTH, **changes})
    said = str(refused.value)
    assert named in said
    assert remedy in said
    assert "\n" not in said
    for secret in (*BOTH.values(), KEYS):
        assert secret not in said, "it is printed and logged"


def test_every_setting_has_its_variable_and_a_sentence() -> None:
    for field in dataclasses.fields(Settings):
        assert re.fullmatch("ZHIKE_[A-Z_]+", variable(field.name))
        assert field.metadata["doc"]


def test_secrets_are_not_in_the_repr(ground: dict[str, str]) -> None:
    settings = Settings.from_environment({**ground, **BOTH})
    shown = f"{settings!r} {settings} {[settings]}"
    for secret in (*BOTH.values(), KEYS):
        assert secret not in shown


def test_settings_do_not_change(ground: dict[str, str]) -> None:
    settings = Settings.from_environment(ground)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.log_format = "json"  # type: ignore[misc]


def test_keys_of_an_embedded_database_are_made_once_and_kept(ground: dict[str, str]) -> None:
    del ground["ZHIKE_KEYS"]
    first = Settings.from_environment(ground).sealing_keys()
    assert len(base64.b64decode(first)) == 32
    assert Settings.from_environment(ground).sealing_keys() == first
