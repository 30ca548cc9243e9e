"""Text that is safe to show: `printable` is the one function that names and messages pass on their way to a terminal.

It escapes what a terminal would obey, and leaves out the secrets of the locations that this process was given. This
module must not know what a text says, nor where it is shown.
"""

# Escaped: control characters, line separators, marks that change the direction of text, and bytes of a file name that
# are not UTF-8. Python calls none of them printable, so `isprintable` finds the texts that have any, which is faster
# than to translate all texts.
ESCAPES = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F),
        *range(0x2066, 0x206A), *range(0xDC80, 0xDD00),
    )
}  # fmt: skip

LEFT_OUT = "…"
# A shorter text is in too many other words: leaving it out would spoil a message.
PASSWORD_LENGTH_MIN = 6
NAME_LENGTH_MIN = 16
# Options of a location that name no secret, and whose values help to understand a message.
PLAIN_OPTIONS = {"allow_bucket_creation", "allow_bucket_deletion", "endpoint_override", "region", "scheme"}

_secrets: dict[str, None] = {}


def printable(text: str) -> str:
    """The text without secrets, and with escapes for all that a terminal would obey."""
    if _secrets:
        text = without_secrets(text)
    return text if text.isprintable() else text.translate(ESCAPES)


def shown_id(number_or_text: int | bytes) -> str:
    """A client or a transaction, safe to show; with escapes for bytes that are not UTF-8."""
    if isinstance(number_or_text, int):
        return str(number_or_text)
    return printable(number_or_text.decode(errors="backslashreplace"))


def shown_account(client: int | bytes, currency: bytes | None) -> str:
    """The client of an account in a message, with the code of its currency, where it has one."""
    return f"client {shown_id(client)}{'' if currency is None else f' in {shown_id(currency)}'}"


def without_secrets(text: str) -> str:
    """The text without the secrets that are known."""
    for secret in _secrets:
        text = text.replace(secret, LEFT_OUT)
    return text


def keep_secret(credentials: str, options: str = "") -> None:
    """From now on, leave these out of every text: a location's user and password, and the values of its options.

    A library may repeat them encoded or decoded, so both are left out.
    """
    name, colon, password = credentials.partition(":")
    found = {credentials} if colon else set()
    found |= {part for part, least in ((name, NAME_LENGTH_MIN), (password, PASSWORD_LENGTH_MIN)) if len(part) >= least}
    for option in options.split("&"):
        key, _, value = option.partition("=")
        if key not in PLAIN_OPTIONS and len(value) >= PASSWORD_LENGTH_MIN:
            found.add(value)
    if found:
        from urllib.parse import quote, unquote

        found |= {unquote(secret, errors="surrogateescape") for secret in found}
        found |= {quote(secret, safe, errors="surrogateescape") for secret in found for safe in ("", "/")}
        known = sorted({*_secrets, *found}, key=len, reverse=True)  # a part of a secret must not break the whole one
        _secrets.clear()
        _secrets.update(dict.fromkeys(known))
