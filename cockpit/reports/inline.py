"""From an SVG file to an element of a page."""

import re

from cockpit.reports.palette import by_role

_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_OPENING = re.compile(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", re.DOTALL)
_USED = re.compile(r"(<use [^>]*?) style=\"([^\"]*)\"")
_DIGITS = re.compile(r"(\d+\.\d\d)\d+")
_FONT = re.compile(r"font: ([0-9.]+px)[^;\"]*|font-family: [^;\"]*;?")
_TAG = re.compile(r"<[^>]*>")
_GAP = re.compile(r">\s+<")


def inline(text: str, name: str) -> str:
    """Return an SVG file as an element of the class `name`: no addresses, colours by role.

    Only what stands in tags is changed: a title may say anything.
    """
    text = _TAG.sub(_plainer, _METADATA.sub("", _HEAD.sub("", text)))
    text, styles = _shared(text, f"plot-{name}")
    opening = rf'<svg class="plot {name}" role="img" aria-label="progress" \1>{styles}'
    return _GAP.sub(">\n<", _OPENING.sub(opening, text, count=1)).strip()


def _plainer(found: re.Match[str]) -> str:
    """Return a tag with short numbers, the page's font and the page's colours."""
    tag = _DIGITS.sub(r"\1", found[0].replace("xlink:href", "href"))
    return by_role(_FONT.sub(lambda font: f"font-size: {font[1]}" if font[1] else "", tag))


def _shared(text: str, prefix: str) -> tuple[str, str]:
    """Name the styles of marks, of which there may be thousands; return the style sheet too."""
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        name = names.setdefault(found[2], f"{prefix}{len(names)}")
        return f'{found[1]} class="{name}"'

    text = _USED.sub(named, text)
    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    return text, f"<style>{rules}</style>"
