"""XML that is read as a tree and edited as text, so that what is not edited stays byte for byte as it was.

Domain XML carries other people's metadata in their own namespaces. Serialising a tree would rename their prefixes
(ElementTree) or lose newlines in attributes (minidom); cutting and pasting at known offsets cannot.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

_ATTRIBUTE = rb"""\s+([^\s=/>]+)\s*=\s*("[^"]*"|'[^']*')"""
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_START_TAG = re.compile(rb"<[^\s/>]+(?:" + _ATTRIBUTE + rb")*\s*(?P<slash>/?)>")


@dataclass(slots=True)
class Element:
    """An element with its place in the text: offsets into the document's UTF-8 bytes. Tags keep their prefixes."""

    tag: str
    attributes: dict[str, str]
    start: int
    start_tag_end: int = 0  # behind the `>` of the start tag
    content_end: int = 0  # where the end tag begins; equal to start_tag_end for an empty one
    end: int = 0  # behind the whole element
    is_self_closing: bool = False
    children: list["Element"] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The element's own text, without its children's."""
        return "".join(self._text).strip()

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)

    def find(self, path: str) -> "Element | None":
        """The first descendant along a path of tags, such as `os/type`."""
        return next(self.find_all(path), None)

    def find_all(self, path: str) -> Iterator["Element"]:
        head, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == head:
                if rest:
                    yield from child.find_all(rest)
                else:
                    yield child

    def text_of(self, path: str, default: str = "") -> str:
        found = self.find(path)
        return found.text if found is not None else default


@dataclass(slots=True)
class XmlText:
    """One document. Edits are collected and applied together by `edited`; they must not overlap."""

    source: bytes
    root: Element
    _edits: list[tuple[int, int, bytes]] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> "XmlText":
        """Raises ValueError for what is not well-formed."""
        source = text.encode("utf-8")
        builder = _TreeBuilder(source)
        try:
            builder.parser.Parse(source, True)
        except expat.ExpatError as error:
            raise ValueError(f"not well-formed XML: {error}") from error
        if builder.root is None:
            raise ValueError("XML without an element")
        return cls(source=source, root=builder.root)

    def outer(self, element: Element) -> str:
        """The element as it stands in the text."""
        return self.source[element.start : element.end].decode("utf-8")

    def set_attribute(self, element: Element, name: str, value: str) -> None:
        """Replace the value of an attribute, or add it behind the tag's name."""
        quoted = quoteattr(value).encode("utf-8")
        behind_name = element.start + 1 + len(element.tag.encode("utf-8"))
        for match in _ATTRIBUTES.finditer(self.source, behind_name, element.start_tag_end):
            if match[1] == name.encode("utf-8"):
                self._replace(match.start(2), match.end(2), quoted)
                return
        self._replace(behind_name, behind_name, b" " + name.encode("utf-8") + b"=" + quoted)

    def set_text(self, element: Element, text: str) -> None:
        """Replace what an element without children holds."""
        self._replace(element.start_tag_end, element.content_end, escape(text).encode("utf-8"))

    def remove(self, element: Element) -> None:
        """Take the element out, and the white space before it, which belonged to its line."""
        start = element.start
        while start > 0 and self.source[start - 1 : start].isspace():
            start -= 1
        self._replace(start, element.end, b"")

    def append(self, parent: Element, xml: str) -> None:
        """Add a child, given as text, behind the last one."""
        new = xml.encode("utf-8")
        if parent.is_self_closing:
            slash = self.source.rindex(b"/", parent.start, parent.start_tag_end)
            tag = parent.tag.encode("utf-8")
            self._replace(slash, parent.end, b">" + new + b"</" + tag + b">")
        else:
            self._replace(parent.content_end, parent.content_end, new)

    def edited(self) -> str:
        """The text with all edits made."""
        result = self.source
        for start, end, new in sorted(self._edits, key=lambda edit: edit[0], reverse=True):
            result = result[:start] + new + result[end:]
        return result.decode("utf-8")

    def _replace(self, start: int, end: int, new: bytes) -> None:
        self._edits.append((start, end, new))


class _TreeBuilder:
    """Expat's callbacks. It reports prefixes as written, as namespace processing is off."""

    def __init__(self, source: bytes) -> None:
        self.root: Element | None = None
        self._source = source
        self._open: list[Element] = []
        # The text was decoded already: whatever encoding its declaration names no longer holds.
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._on_start
        self.parser.EndElementHandler = self._on_end
        self.parser.CharacterDataHandler = self._on_text

    def _on_start(self, tag: str, attributes: dict[str, str]) -> None:
        start = self.parser.CurrentByteIndex
        match = _START_TAG.match(self._source, start)
        if match is None:
            raise ValueError(f"cannot find the end of <{tag}> at byte {start}")
        element = Element(
            tag, attributes, start, start_tag_end=match.end(), is_self_closing=bool(match["slash"])
        )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _on_end(self, _tag: str) -> None:
        element = self._open.pop()
        if element.is_self_closing:
            element.content_end = element.end = element.start_tag_end
            return
        element.content_end = self.parser.CurrentByteIndex
        element.end = self._source.index(b">", element.content_end) + 1

    def _on_text(self, text: str) -> None:
        if self._open:
            self._open[-1]._text.append(text)
