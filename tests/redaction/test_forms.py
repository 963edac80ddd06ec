"""Whatever the secret is, none of the texts it may appear as is shown."""

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from etl_assets.redaction import MASK, SHORTEST_SECRET, Redactor
from etl_assets.redaction.places import is_url

NASTY = "\\\"' %/+&<>=?#@:;\n\t{}é€😀\x00aB9"
secrets = st.one_of(
    st.text(st.sampled_from(NASTY), min_size=SHORTEST_SECRET, max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST_SECRET, max_size=40),
    st.lists(
        st.text(st.sampled_from("abcdefgh+/="), min_size=1, max_size=24), min_size=2, max_size=6
    ).map("\n".join),
    st.text(st.sampled_from(NASTY), min_size=SHORTEST_SECRET).map(
        lambda text: quote(text, safe="")
    ),
)
LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n"
PEM = f"-----BEGIN PRIVATE KEY-----\n{LINE * 30}Ab3=\n-----END PRIVATE KEY-----\n"


def shown(secret: str) -> Iterator[str]:
    """Yield the texts that a secret appears as in logs, errors, headers and documents."""
    raw = secret.encode()
    yield from (secret, secret.strip(), unquote(secret))
    yield from (repr(secret), ascii(secret), repr(raw), repr({"a": [secret]}), repr(f"'{secret}\""))
    yield from (repr(RuntimeError(repr(secret))), repr([repr({"password": secret})]))
    for in_ascii in (True, False):
        once = json.dumps({"a": secret}, ensure_ascii=in_ascii)
        yield from (
            once,
            json.dumps(once, ensure_ascii=in_ascii),
            json.dumps(repr(secret), ensure_ascii=in_ascii),
        )
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield from (quoted, lower_hex(quoted))
    yield from (html.escape(secret), html.escape(secret, quote=False))
    for before in (b"", b"u", b"us", b"user:", b"us:"):
        for after in (b"", b"@", b"\nmore"):
            yield base64.b64encode(before + raw + after).decode()
            yield base64.urlsafe_b64encode(before + raw + after).decode()
    yield base64.encodebytes(raw).decode()
    for line in secret.splitlines():
        if len(line.strip()) >= 8:
            yield from (line, repr(line), json.dumps(line), quote(line))


def lower_hex(quoted: str) -> str:
    return "%".join(
        part if not at else part[:2].lower() + part[2:] for at, part in enumerate(quoted.split("%"))
    )


def pieces(text: str, length: int) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


@given(secrets)
@example(PEM)
@example("p4ss\\wo\"rd'quoted")
@example("100%25 sure%2Fly")
@example("ümläut-passwört")
def test_no_form_of_a_secret_is_shown(secret: str) -> None:
    assume(not is_url(secret) and len(secret.strip()) >= SHORTEST_SECRET)
    redactor = Redactor()
    redactor.remember(secret)
    for text in shown(secret):
        if len(text.strip("\"'")) < SHORTEST_SECRET:
            continue
        found = redactor.redact(f"before[{text}]after")
        assert found.startswith("before[")
        assert found.endswith("]after")
        assert MASK in found
        assert found.count(text) == 0
        # What is left beside the masks is what stood around the secret, or its edges in base64: not
        # a piece of it.
        left = "".join(found.removeprefix("before[").removesuffix("]after").split(MASK))
        alike = pieces(left, 8) & pieces(secret, 8)
        assert not alike, (text, found)


@given(st.lists(secrets, min_size=1, max_size=4), st.integers(0, 200), st.integers(0, 200))
def test_a_text_is_masked_before_it_is_cut(all_secrets: list[str], begin: int, length: int) -> None:
    assume(not any(map(is_url, all_secrets)))
    redactor = Redactor()
    for secret in all_secrets:
        redactor.remember(secret)
    text = "x" * 20 + "\n".join(all_secrets) + "x" * 20
    cut = redactor.redact(text, begin=begin, end=begin + length)
    for piece in pieces(cut, SHORTEST_SECRET):
        whole = MASK in piece or "x" in piece or "\n" in piece or "*" in piece
        assert whole or not any(
            len(secret) >= SHORTEST_SECRET and piece in secret for secret in all_secrets
        )


def test_secrets_that_overlap_are_masked_together() -> None:
    redactor = Redactor()
    redactor.remember("abcdefgh")
    redactor.remember("efghijkl")
    redactor.remember("abcdefghijk")
    assert redactor.redact("<abcdefghijkl>") == f"<{MASK}>"
    assert redactor.redact("<abcdefgh efghijkl>") == f"<{MASK} {MASK}>"


def test_what_is_shorter_than_six_characters_is_not_masked() -> None:
    redactor = Redactor()
    redactor.remember("on123")
    assert redactor.redact("on123 is on123") == "on123 is on123"


@pytest.mark.parametrize("value", [None, 12, b"bytes-of-it", ["a list"]])
def test_what_is_no_text_is_nothing_to_remember(value: object) -> None:
    redactor = Redactor()
    redactor.remember(value)
    assert redactor.longest == 0


def test_a_config_is_remembered_by_its_names() -> None:
    redactor = Redactor()
    redactor.remember_config(
        {
            "user": "nobody-special",
            "deep": [{"api_key": "one-secret-key", "credentials_path": "where/it/is.json"}],
            "credentials": {"login": ["second-secret"]},
            "endpoint": "https://me:third-secret@host/x",
        }
    )
    text = "nobody-special one-secret-key where/it/is.json second-secret third-secret host"
    assert redactor.redact(text) == f"nobody-special {MASK} where/it/is.json {MASK} {MASK} host"
