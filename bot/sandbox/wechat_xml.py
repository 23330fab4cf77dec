"""WeChat's XML: what a push looks like, and a strict reader for what comes back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

_MOST = 128 * 1024
_DECLARATION = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


class BadXml(ValueError):
    """Not the XML that was asked for."""


@dataclass
class Element:
    """One element: its own text, and its children in order."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def fields(self) -> dict[str, Element]:
        """Children by name. Raises `BadXml` when a name comes twice: which of them would count?"""
        found: dict[str, Element] = {}
        for child in self.children:
            if child.name in found:
                raise BadXml(f"<{child.name}> comes twice")
            found[child.name] = child
        return found

    def texts(self) -> dict[str, str]:
        return {name: child.text for name, child in self.fields().items()}


def read(body: bytes) -> Element:
    """The root, which must be `<xml>`. Raises `BadXml`."""
    if len(body) > _MOST or _DECLARATION.search(body):
        raise BadXml("too long, or with a declaration")
    root = Element("")
    path = [root]

    def start(name: str, _attributes: dict[str, str]) -> None:
        child = Element(name)
        path[-1].children.append(child)
        path.append(child)
        if len(path) > 10:
            raise BadXml("too deep")

    def end(_name: str) -> None:
        path.pop()

    def data(text: str) -> None:
        path[-1].text += text

    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise BadXml(str(error)) from None
    if root.children[0].name != "xml":
        raise BadXml("the root is not <xml>")
    return root.children[0]


def write(values: dict[str, str | int]) -> bytes:
    """Flat XML as WeChat pushes it: text in CDATA, numbers bare, control characters passed on raw."""
    inner = "".join(
        f"<{name}>{value}</{name}>" if isinstance(value, int) else f"<{name}>{_cdata(value)}</{name}>"
        for name, value in values.items()
    )
    return f"<xml>{inner}</xml>".encode()


def _cdata(text: str) -> str:
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"
