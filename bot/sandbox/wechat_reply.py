"""What an account's server may answer to a push, read as strictly as WeChat reads it."""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox.screens import Piece
from bot.sandbox.wechat_crypto import BadCipher, Envelope, same, signature
from bot.sandbox.wechat_text import LONGEST_TEXT, Shown, shown, shown_news
from bot.sandbox.wechat_xml import BadXml, Element, read

_LABELS = {"image": "[图片]", "voice": "[语音]", "video": "[视频]", "music": "[音乐]"}
_REPLY_TYPES = {"text", "news", *_LABELS}


class Junk(ValueError):
    """An answer that is neither an acknowledgement nor a good reply."""


@dataclass(frozen=True)
class PassiveReply:
    """A reply found in the answer to a push."""

    kind: str
    fields: dict[str, Element]

    def shown(self) -> Shown:
        """What the phone makes of it."""
        if self.kind == "text":
            return shown(self.fields["Content"].text)
        if self.kind == "news" and "Articles" in self.fields:
            items = [item.texts() for item in self.fields["Articles"].children]
            names = {"title": "Title", "description": "Description", "url": "Url"}
            return shown_news([{key: i.get(name, "") for key, name in names.items()} for i in items])
        label = _LABELS.get(self.kind, "[图文]")
        return Shown(label, (Piece(label),))


@dataclass(frozen=True)
class ReplyReader:
    """Reads the answers of one account."""

    token: str
    envelope: Envelope
    account: str

    def read(self, body: bytes, openid: str) -> PassiveReply | None:
        """None for an acknowledgement. Raises `Junk`."""
        if body in (b"", b"success"):
            return None
        try:
            outer = read(body).texts()
            encrypted = outer["Encrypt"]
            expected = signature(self.token, outer["TimeStamp"], outer["Nonce"], encrypted)
            if not same(expected, outer["MsgSignature"]):
                raise Junk("MsgSignature is wrong")
            inner = read(self.envelope.open(encrypted)).fields()
        except (BadXml, BadCipher) as error:
            raise Junk(str(error)) from None
        except KeyError as error:
            raise Junk(f"a reply in safe mode needs {error.args[0]}") from None
        return self._checked(inner, openid)

    def _checked(self, inner: dict[str, Element], openid: str) -> PassiveReply:
        texts = {name: element.text for name, element in inner.items()}
        if (texts.get("ToUserName"), texts.get("FromUserName")) != (openid, self.account):
            raise Junk("ToUserName and FromUserName are not swapped")
        if not texts.get("CreateTime", "").isdigit():
            raise Junk("CreateTime is no number")
        kind = texts.get("MsgType", "")
        if kind not in _REPLY_TYPES:
            raise Junk(f"unknown MsgType {kind}")
        if kind == "text":
            content = texts.get("Content", "")
            if not content.strip():
                raise Junk("Content is empty")
            if len(content.encode()) > LONGEST_TEXT:
                raise Junk("Content is longer than 2048 bytes")
        return PassiveReply(kind, inner)
