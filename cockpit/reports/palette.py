"""The colours of a report: one name a role, a light and a dark value.

A drawing is made in the light ones. In a page each stands for its role, so that the page's style
sheet decides (`prefers-color-scheme`). No two roles may have the same light value.
"""

LIGHT = {
    "paper": "#fcfbf8",
    "ink": "#20252b",
    "muted": "#6a717b",
    "grid": "#e5e2da",
    "line": "#2d5f8b",
    "band": "#dbe6f0",
    "kept": "#1d7a55",
    "best": "#0e5c3d",
    "discarded": "#8d949d",
    "borderline": "#a8690f",
    "crashed": "#b23a2b",
    "invalid": "#86549c",
    "stopped": "#737b86",
}
DARK = {
    "paper": "#14171b",
    "ink": "#dfe2e6",
    "muted": "#98a0aa",
    "grid": "#2a2f36",
    "line": "#7fb2de",
    "band": "#22344a",
    "kept": "#4cc38a",
    "best": "#7fe0b2",
    "discarded": "#7f8791",
    "borderline": "#e0a84a",
    "crashed": "#ee8270",
    "invalid": "#c597dd",
    "stopped": "#99a1ab",
}


def style_sheet() -> str:
    """Return the roles as CSS variables, light and dark; print is always light."""
    light, dark = (
        "".join(f"--{role}:{value};" for role, value in values.items()) for values in (LIGHT, DARK)
    )
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )


def by_role(text: str) -> str:
    """Return a drawing's text with each colour replaced by its role."""
    for role, value in LIGHT.items():
        text = text.replace(value, f"var(--{role})")
    return text
