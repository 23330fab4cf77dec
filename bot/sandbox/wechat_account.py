"""What WeChat's servers know about one Official Account: followers, tokens, media, menu."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.screens import Screens
from bot.sandbox.wechat_allowance import Allowance

TOKEN_LIFE = timedelta(seconds=7200)
# A renewed token and the one before it are both good for this long.
OVERLAP = timedelta(minutes=5)
_FORCED_A_DAY = 20
_FORCED_APART = timedelta(seconds=30)


class WeChatError(Exception):
    """A refusal as WeChat words it: HTTP 200 with an errcode."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


@dataclass
class Follower:
    """A guest who follows, or once followed, the account."""

    openid: str
    language: str = "zh_CN"
    subscribed: bool = True
    since: int = 0
    allowance: Allowance = field(default_factory=Allowance)
    last_act: datetime | None = None
    typing_until: datetime | None = None


@dataclass
class _Token:
    value: str
    until: datetime


@dataclass
class Tokens:
    """The access tokens of `stable_token` and of the older `token`, which know nothing of each other."""

    clock: Callable[[], datetime]
    fetched: int = 0

    def __post_init__(self) -> None:
        self._stable: _Token | None = None
        self._plain: _Token | None = None
        self._good: dict[str, datetime] = {}
        self._forced: list[datetime] = []

    def stable(self, force: bool) -> tuple[str, int]:
        """The current token and the seconds it has left; the same one until its last five minutes."""
        now = self.clock()
        self.fetched += 1
        if force:
            self._count_force(now)
            self._end(self._stable, now)
        if force or self._stable is None or now >= self._stable.until - OVERLAP:
            self._stable = self._new(now)
        return self._stable.value, int((self._stable.until - now).total_seconds())

    def plain(self) -> tuple[str, int]:
        """A new token; the one before it lives five minutes more."""
        now = self.clock()
        self.fetched += 1
        self._end(self._plain, now + OVERLAP)
        self._plain = self._new(now)
        return self._plain.value, int(TOKEN_LIFE.total_seconds())

    def check(self, token: str | None) -> None:
        """Raises `WeChatError` unless `token` opens the API now."""
        if not token:
            raise WeChatError(41001, "access_token missing")
        for value, until in self._good.items():
            if hmac.compare_digest(value.encode(), token.encode()):
                if self.clock() < until:
                    return
                raise WeChatError(42001, "access_token expired")
        raise WeChatError(
            40001,
            "invalid credential, access_token is invalid or not latest, "
            "could get access_token by getStableAccessToken",
        )

    def expire(self) -> None:
        """Every token given out so far is too old from now on."""
        now = self.clock()
        self._good = dict.fromkeys(self._good, now)
        self._stable = self._plain = None

    def _new(self, now: datetime) -> _Token:
        # 512 characters: the document asks for that much room.
        token = _Token(f"{len(self._good) + 1}_" + secrets.token_urlsafe(600)[:510], now + TOKEN_LIFE)
        self._good[token.value] = token.until
        return token

    def _end(self, token: _Token | None, when: datetime) -> None:
        if token:
            self._good[token.value] = min(self._good[token.value], when)

    def _count_force(self, now: datetime) -> None:
        self._forced = [at for at in self._forced if now - at < timedelta(days=1)]
        if len(self._forced) >= _FORCED_A_DAY:
            raise WeChatError(45009, "reach max api daily quota limit")
        if self._forced and now - self._forced[-1] < _FORCED_APART:
            raise WeChatError(45011, "api minute-quota reach limit, must slower, retry next minute")
        self._forced.append(now)


@dataclass
class Account:
    """The Official Account as the platform keeps it."""

    app_id: str
    app_secret: str
    account: str
    clock: Callable[[], datetime]
    screens: Screens
    tokens: Tokens
    followers: dict[str, Follower] = field(default_factory=dict)
    media: dict[str, bytes] = field(default_factory=dict)
    menu: list[dict[str, Any]] | None = None

    def now(self) -> int:
        return int(self.clock().timestamp())

    def follower(self, openid: str, language: str = "") -> Follower:
        """The follower at this openid, who follows from now on if unknown so far."""
        follower = self.followers.setdefault(openid, Follower(openid, since=self.now()))
        follower.language = language or follower.language
        return follower

    def known(self, openid: Any) -> Follower:
        """Raises `WeChatError` 40003 for an openid of nobody."""
        if not isinstance(openid, str) or openid not in self.followers:
            raise WeChatError(40003, "invalid openid")
        return self.followers[openid]
