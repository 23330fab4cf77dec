"""Bodies that are sealed and signed as they should be, and yet are no message the house could use."""

from __future__ import annotations

HEAD = "<ToUserName><![CDATA[{account}]]></ToUserName><FromUserName><![CDATA[oGuest]]></FromUserName>"
TIME = "<CreateTime>1773453566</CreateTime>"
TEXT = "<MsgType><![CDATA[text]]></MsgType>"
ID = "<MsgId>23000000000000001</MsgId>"

# `{account}` stands for the account's own id.
BROKEN: dict[str, str] = {
    "empty": "",
    "no XML": "hello",
    "cut off": f"<xml>{HEAD}{TIME}{TEXT}<Content><![CDATA[hel",
    "an empty element": "<xml/>",
    "root is not xml": f"<message>{HEAD}{TIME}{TEXT}{ID}</message>",
    "two roots": "<xml></xml><xml></xml>",
    "MsgType missing": f"<xml>{HEAD}{TIME}{ID}<Content>hi</Content></xml>",
    "MsgType empty": f"<xml>{HEAD}{TIME}{ID}<MsgType></MsgType></xml>",
    "MsgType twice": f"<xml>{HEAD}{TIME}{TEXT}{TEXT}{ID}</xml>",
    "MsgType an element": f"<xml>{HEAD}{TIME}<MsgType><a>text</a></MsgType>{ID}</xml>",
    "MsgId missing": f"<xml>{HEAD}{TIME}{TEXT}<Content>hi</Content></xml>",
    "MsgId a word": f"<xml>{HEAD}{TIME}{TEXT}<Content>hi</Content><MsgId>one</MsgId></xml>",
    "MsgId of 300 digits": f"<xml>{HEAD}{TIME}{TEXT}<Content>hi</Content><MsgId>{'9' * 300}</MsgId></xml>",
    "MsgId twice": f"<xml>{HEAD}{TIME}{TEXT}<Content>hi</Content>{ID}{ID}</xml>",
    "Content twice": f"<xml>{HEAD}{TIME}{TEXT}<Content>a</Content><Content>b</Content>{ID}</xml>",
    "Content an element": f"<xml>{HEAD}{TIME}{TEXT}<Content><a>hi</a></Content>{ID}</xml>",
    "Recognition an element": f"<xml>{HEAD}{TIME}<MsgType>voice</MsgType>"
    f"<Recognition><a>hi</a></Recognition>{ID}</xml>",
    "nobody sent it": f"<xml><ToUserName>{{account}}</ToUserName>{TIME}{TEXT}<Content>hi</Content>{ID}</xml>",
    "two senders": f"<xml>{HEAD}<FromUserName>oOther</FromUserName>{TIME}{TEXT}{ID}</xml>",
    "openid with markup": "<xml><ToUserName>{account}</ToUserName><FromUserName><![CDATA[o<b>]]></FromUserName>"
    f"{TIME}{TEXT}<Content>hi</Content>{ID}</xml>",
    "another account's": "<xml><ToUserName>gh_000000000000</ToUserName><FromUserName>oGuest</FromUserName>"
    f"{TIME}{TEXT}<Content>hi</Content>{ID}</xml>",
    "addressed to nobody": f"<xml><FromUserName>oGuest</FromUserName>{TIME}{TEXT}<Content>hi</Content>{ID}</xml>",
    "event without a name": f"<xml>{HEAD}{TIME}<MsgType>event</MsgType></xml>",
    "event with an endless name": f"<xml>{HEAD}{TIME}<MsgType>event</MsgType><Event>{'x' * 300}</Event></xml>",
    "event without a time": f"<xml>{HEAD}<MsgType>event</MsgType><Event>CLICK</Event></xml>",
    "event with a word for a time": f"<xml>{HEAD}<CreateTime>now</CreateTime><MsgType>event</MsgType>"
    "<Event>CLICK</Event></xml>",
    "reference to a control character": f"<xml>{HEAD}{TIME}{TEXT}<Content>&#8;</Content>{ID}</xml>",
    "an unknown entity": f"<xml>{HEAD}{TIME}{TEXT}<Content>&hotel;</Content>{ID}</xml>",
    "a document type": f"<!DOCTYPE xml><xml>{HEAD}{TIME}{TEXT}<Content>hi</Content>{ID}</xml>",
    "an entity of the guest's own": f'<!DOCTYPE xml [<!ENTITY a "hi">]><xml>{HEAD}{TIME}{TEXT}'
    f"<Content>&a;</Content>{ID}</xml>",
    "a file of ours": f'<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml>{HEAD}{TIME}{TEXT}'
    f"<Content>&a;</Content>{ID}</xml>",
    "billion laughs": '<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "'
    + "&a;" * 50
    + '"><!ENTITY c "'
    + "&b;" * 50
    + f'">]><xml>{HEAD}{TIME}{TEXT}<Content>&c;</Content>{ID}</xml>',
    "10,000 deep": "<xml>" + "<a>" * 10_000 + "</a>" * 10_000 + "</xml>",
}
