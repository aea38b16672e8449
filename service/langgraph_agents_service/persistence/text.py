"""Text that PostgreSQL and JSON can hold."""


def clean(text: str) -> str:
    """`text` with U+FFFD for NUL, and `?` for half of a surrogate pair, as LangGraph's server keeps it."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
