"""setWebhook and its kin: where the bot wants its updates, and what went wrong on the way."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox.telegram_account import Account
from bot.sandbox.telegram_request import Arguments, bad_request
from bot.sandbox.telegram_updates import Webhook

_PORTS = {80, 88, 443, 8443}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def set_webhook(account: Account, given: Arguments) -> str:
    url = given.text("url").strip()
    keep_allowed_updates(account, given)
    if not url:
        return delete_webhook(account, given)
    _check_url(url)
    secret = given.text("secret_token")
    if len(secret) > 256:
        raise bad_request("secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise bad_request("secret token contains unallowed characters")
    if given.flag("drop_pending_updates"):
        account.updates.drop_pending()
    connections = min(max(given.number("max_connections", 40), 1), 100)
    webhook = Webhook(url, secret, connections)
    if webhook == account.updates.webhook:
        return "Webhook is already set"
    account.updates.set_webhook(webhook)
    return "Webhook was set"


def delete_webhook(account: Account, given: Arguments) -> str:
    if given.flag("drop_pending_updates"):
        account.updates.drop_pending()
    if account.updates.webhook is None:
        return "Webhook is already deleted"
    account.updates.set_webhook(None)
    return "Webhook was deleted"


def get_webhook_info(account: Account, given: Arguments) -> dict[str, Any]:
    updates = account.updates
    info: dict[str, Any] = {
        "url": updates.webhook.url if updates.webhook else "",
        "has_custom_certificate": False,
        "pending_update_count": updates.pending,
    }
    if updates.webhook:
        info["max_connections"] = updates.webhook.max_connections
    if updates.trouble.message:
        info |= {"last_error_date": updates.trouble.at, "last_error_message": updates.trouble.message}
    if updates.allowed:
        info["allowed_updates"] = list(updates.allowed)
    return info


def keep_allowed_updates(account: Account, given: Arguments) -> None:
    """An absent list keeps the earlier one, an empty list means the default."""
    wanted = given.json("allowed_updates", "allowed_updates")
    if wanted is None:
        return
    if not isinstance(wanted, list):
        raise bad_request("can't parse allowed_updates: expected an Array of String")
    account.updates.allowed = tuple(str(kind) for kind in wanted)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad_request("bad webhook: Wrong HTTP URL") from None
    if not parts.hostname:
        raise bad_request("bad webhook: Wrong HTTP URL")
    # The one stated exception to the real rules: on loopback plain http and any port will do.
    if parts.hostname in _LOOPBACK:
        return
    if parts.scheme != "https":
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if (port or 443) not in _PORTS:
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
