"""What a page of AppTest says, in the words of a test."""

from __future__ import annotations

import re


def number(text: str) -> float:
    """The first number in a metric's text: "1,234" or "11.8 dB"."""
    return float(re.search(r"-?\d[\d,]*\.?\d*", text).group().replace(",", ""))


def metric(app, label: str) -> float:
    """The value of the metric called ``label``."""
    found = {element.label: element.value for element in app.metric}
    assert label in found, f"no metric {label!r} among {sorted(found)}"
    return number(found[label])


def words(app) -> str:
    """Every sentence that the page shows in a box or as a caption."""
    groups = (app.error, app.warning, app.info, app.caption, app.markdown)
    return "\n".join(str(element.value) for group in groups for element in group)


def errors(app) -> str:
    """What the page says in red, as a reader sees it: letter by letter, where Markdown has escapes."""
    return unescaped("\n".join(element.value for element in app.error))


def unescaped(markdown: str) -> str:
    """A text that :func:`dashboard.names.plain` has escaped."""
    return re.sub(r"\\(.)", r"\1", markdown.replace("\u2060", ""))


def sound(app) -> None:
    """No exception on the page, not even one that Streamlit has put into a box."""
    assert not app.exception, [element.message for element in app.exception]


def picture_rows(app) -> list[tuple[str, list[str]]]:
    """(label, pictures as data URIs) for every row of the comparison on the page."""
    body = next(element.value for element in app.html if "sv-row" in element.value)
    rows = []
    for row in body.split('class="sv-row"')[1:]:
        label = re.search(r'class="sv-label"><span>(.*?)</span>', row)
        rows.append((label.group(1) if label else "", re.findall(r'src="(data:image/png[^"]+)"', row)))
    return [row for row in rows if row[1]]
