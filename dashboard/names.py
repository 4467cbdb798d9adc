"""Text from a file, a form or a link on its way to a reader: names are a stranger's until they are written here. Pure.

A run, a column of a table or the error in a status file may be called anything: 10,000 letters, a script, a picture on
another host, characters that turn the line around. Every place that shows one says what it writes in:

    one_line        plain text: a selectbox, an input, a canvas, an attribute
    plain           Markdown: all other labels of Streamlit (buttons, pills, metrics), captions and boxes
    plotly_text     the little HTML and the templates of Plotly
    html_text       our own HTML
    cell            a table that may be saved as CSV
"""

from __future__ import annotations

import html
import re
import unicodedata

from sagvae_core import file_text

# Characters beside a node, along an axis or in a legend, of a name elsewhere, of an error with all that it expected.
BESIDE, ALONG, NAME, SENTENCE = 18, 32, 80, 1000
_MARKS = 3  # accents on one letter; more climb over the lines above
# What has a meaning in Markdown, in Streamlit's directives (":red[...]") or in KaTeX.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>:$~&^])")
_LIST = re.compile(r"^(\d*)(?=[.-])")
# Looked for in the text once it is unescaped: addresses, mail, icons, emoji, arrows. A word joiner, which has no width,
# stands in between.
_FOUND_LATER = re.compile(r"(?<=:)(?=\S)|(?<=@)(?=\S)|(?<=www)(?=\.)|(?:(?<=\s[-<>~])|(?<=^[-<>~]))(?=[-=>]+(?:\s|$))",
                          re.IGNORECASE)
_JOINER = "\u2060"


def one_line(text: object, limit: int = NAME) -> str:
    """The text as one line of visible characters, at most ``limit`` of them, the last "…" where some are left out.

    Line breaks and tabs are spaces, other control characters their picture ("␀"), what cannot be encoded "�".
    Characters without a width or that change the direction of writing are dropped, and so are heaps of accents.
    """
    text = str(text)
    cut = len(text) > 8 * limit  # nobody reads more, and nobody waits for it
    letters, marks = [], 0
    for letter in text[:8 * limit]:
        kind = unicodedata.category(letter)
        marks = marks + 1 if kind.startswith("M") else 0
        if kind in ("Zs", "Zl", "Zp") or letter in "\t\n\v\f\r\x85":
            letters.append(" ")
        elif kind == "Cc":
            letters.append(chr(0x2400 + ord(letter)) if letter < " " else "␡" if letter == "\x7f" else "�")
        elif kind in ("Cs", "Co"):
            letters.append("�")
        elif kind not in ("Cf", "Cn") and marks <= _MARKS:
            letters.append(letter)
    line = " ".join("".join(letters).split())
    return line if len(line) <= limit and not cut else line[:limit - 1].rstrip() + "…"


def plain(text: object, limit: int = NAME) -> str:
    """A text as Markdown shall write it: letter by letter, without a link, a picture, an icon or a formula."""
    return _LIST.sub(r"\1\\", _MARKDOWN.sub(r"\\\1", _FOUND_LATER.sub(_JOINER, one_line(text, limit))))


def plotly_text(text: object, limit: int = NAME) -> str:
    """A text as Plotly shall write it, in a hover template too: it reads a little HTML, links included."""
    return html.escape(one_line(text, limit), quote=False).replace("%{", "&#37;{")


def html_text(text: object, limit: int = NAME) -> str:
    """A text between the tags of a page or in a quoted attribute."""
    return html.escape(one_line(text, limit))


def cell(text: object, limit: int = NAME) -> str:
    """A text that a spreadsheet reads as text: a run may be called "=1+1"."""
    return file_text.cell(one_line(text, limit))
