"""How much code a train.py is, however it is laid out.

Counted in tokens, told in lines of `TOKENS_A_LINE`. Comments, docstrings, blank lines and where a
line is broken count for nothing, and putting several assignments into one saves nothing.
"""

import io
import tokenize

TOKENS_A_LINE = 10
"""Of a statement in the trainer, in the mean."""
_LAYOUT = frozenset(
    (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
     tokenize.ENCODING, tokenize.ENDMARKER)
)  # fmt: skip
_BREAKS = frozenset((tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING))


def code_lines(text: str) -> int | None:
    """Return the size of a Python text in lines of usual length; None where it is no Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    told = [token for token in tokens if token.type not in (tokenize.COMMENT, tokenize.NL)]
    count = 0
    for place, token in enumerate(told):
        if token.type in _LAYOUT:
            continue
        if token.type == tokenize.STRING:
            begins = place == 0 or told[place - 1].type in _BREAKS
            if begins and told[place + 1].type == tokenize.NEWLINE:
                continue  # a docstring, or a remark by another name
        count += 1
    return round(count / TOKENS_A_LINE)
