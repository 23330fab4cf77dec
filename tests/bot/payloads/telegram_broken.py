"""Webhook bodies with the right secret that are no updates the house could read."""

from __future__ import annotations

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"update_id=1",
    "cut off": b'{"update_id": 9, "message": {"text": "hel',
    "a list": b'[{"update_id": 1}]',
    "a number": b"7",
    "null": b"null",
    "no update": b'{"hello": "world"}',
    "nested 100,000 deep": b'{"update_id": 9, "message": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "invalid UTF-8": b'{"update_id": 9, "message": "\xff\xfe\xfa"}',
    "UTF-8 with zero bytes": b"\x00\x00\x00",
    "message is a string": b'{"update_id": 9, "message": "hi"}',
    "message is a list": b'{"update_id": 9, "message": [1, 2]}',
    "message without chat and date": b'{"update_id": 9, "message": {"message_id": 1}}',
    "chat without type": b'{"update_id": 9, "message": {"message_id": 1, "date": 1, "chat": {"id": 5}}}',
    "date is a word": b'{"update_id": 9, "message": {"message_id": 1, "date": "now", '
    b'"chat": {"id": 5, "type": "private"}, "text": "hi"}}',
    "text is a number": b'{"update_id": 9, "message": {"message_id": 1, "date": 1, '
    b'"chat": {"id": 5, "type": "private"}, "text": 5}}',
    "chat id is a word": b'{"update_id": 9, "message": {"message_id": 1, "date": 1, '
    b'"chat": {"id": "five", "type": "private"}, "text": "hi"}}',
    "message id is a list": b'{"update_id": 9, "message": {"message_id": [1], "date": 1, '
    b'"chat": {"id": 5, "type": "private"}, "text": "hi"}}',
    "tap without sender": b'{"update_id": 9, "callback_query": {"id": "1", "chat_instance": "2"}}',
    "membership without status": b'{"update_id": 9, "my_chat_member": {"chat": {"id": 5, "type": "private"}}}',
    "update id is a word": b'{"update_id": "nine", "message": null}',
    "update id is a list": b'{"update_id": [1, 2, 3]}',
    "update id is true": b'{"update_id": true}',
    "update id of 300 digits": b'{"update_id": ' + b"9" * 300 + b"}",
    "date beyond every calendar": b'{"update_id": 9, "message": {"message_id": 1, "date": 1'
    + b"0" * 30
    + b', "chat": {"id": 5, "type": "private"}, "text": "hi"}}',
    "date of the year 30,000,000": b'{"update_id": 9, "message": {"message_id": 1, "date": 1000000000000000, '
    b'"chat": {"id": 5, "type": "private"}, "text": "hi"}}',
    "edited text is a list": b'{"update_id": 9, "edited_message": {"message_id": 1, "date": 1, '
    b'"chat": {"id": 5, "type": "private"}, "text": ["hi"]}}',
    "language is an object": b'{"update_id": 9, "message": {"message_id": 1, "date": 1, "text": "hi", '
    b'"from": {"id": 5, "is_bot": false, "first_name": "A", "language_code": {"a": 1}}, '
    b'"chat": {"id": 5, "type": "private"}}}',
}
