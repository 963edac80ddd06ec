"""Secrets told by their place alone: nobody has said what they are."""

import time
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.redaction import MASK, Redactor
from etl_assets.redaction.names import is_secret_parameter, says_secret
from etl_assets.redaction.places import is_cut, masked_address, secrets_of_address

C = "hunter2"
ODBC = f"DRIVER={{ODBC Driver 18}};SERVER=h;UID=u;PWD={{{C};x}}}}y}};Encrypt=yes"

ADDRESSES = {
    f"postgresql://u:{C}@h:5432/d": f"postgresql://u:{MASK}@h:5432/d",
    f"postgresql://me@corp:{C}@h/d": f"postgresql://me@corp:{MASK}@h/d",
    f"postgresql://h/d?user=u&password={C}&sslmode=require": f"postgresql://h/d?user=u&password={MASK}&sslmode=require",
    f"mysql+pymysql://h/d?passwd={C}": f"mysql+pymysql://h/d?passwd={MASK}",
    f"postgresql://h1:1,h2:2/d?sslpassword={C}": f"postgresql://h1:1,h2:2/d?sslpassword={MASK}",
    f"snowflake://u@a/d?authenticator=oauth&token={C}": f"snowflake://u@a/d?authenticator={MASK}&token={MASK}",
    f"https://h/x?sig={C}&api_key={C}&key={C}&access_token={C}&a=1": (
        f"https://h/x?sig={MASK}&api_key={MASK}&key={MASK}&access_token={MASK}&a=1"
    ),
    f"mssql+pyodbc:///?odbc_connect={quote_plus(ODBC)}": f"mssql+pyodbc:///?odbc_connect={MASK}",
    ODBC: f"DRIVER={{ODBC Driver 18}};SERVER=h;UID=u;PWD={MASK};Encrypt=yes",
    f"host=h user=u password={C} dbname=d": f"host=h user=u password={MASK} dbname=d",
    f"host=h password='{C} \\' x' dbname=d": f"host=h password={MASK} dbname=d",
    f"jdbc:sqlserver://h:1433;user=u;password={C};a=b": f"jdbc:sqlserver://h:1433;user=u;password={MASK};a=b",
    f"jdbc:postgresql://h/d?password={C}": f"jdbc:postgresql://h/d?password={MASK}",
    f"md:d?motherduck_token={C}": f"md:d?motherduck_token={MASK}",
}
PLAIN = [
    "sqlite:///folder/me@home.db",
    "postgresql:///d?host=%2Ftmp",
    "postgresql://[::1]:5432/d",
    "postgresql://h/d?user=me@corp&application_name=x",
    "bigquery://project/dataset",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_secrets_of_an_address_are_masked(address: str) -> None:
    assert masked_address(address) == ADDRESSES[address]
    shown = Redactor().redact(f"it failed: {address} is no good")
    assert C not in shown
    assert shown.startswith("it failed: ")
    assert shown.endswith(" is no good")
    redactor = Redactor()
    redactor.remember(address)
    secret = next(
        one for one in (f"{C};x}}y", f"{C} ' x", C) if one in {*secrets_of_address(address)}
    )
    assert redactor.redact(f"tried {secret}") == f"tried {MASK}"


@pytest.mark.parametrize("address", PLAIN)
def test_an_address_without_a_secret_is_shown(address: str) -> None:
    assert masked_address(address) == address
    assert list(filter(None, secrets_of_address(address))) == []
    assert Redactor().redact(f"at {address}") == f"at {address}"


CUT = [
    "postgresql://u:{}@{}@h/d",
    "postgresql://u:{}/{}@h/d",
    "postgresql://u:{}#{}@h/d",
    "postgresql://u:{}?{}@h/d",
    "postgresql://u:1234?{}@{}@h/d",
    "mysql://u:{}/x@{}@h:3306/d",
    "postgresql://u:{}{}/d",  # without its @: the password would be the port
]


@pytest.mark.parametrize("form", CUT)
def test_of_an_address_that_its_password_cuts_only_the_scheme_is_shown(form: str) -> None:
    address = form.format("canary-one", "canary-two")
    assert is_cut(address)
    assert masked_address(address) == f"{address.partition('://')[0]}://{MASK}"
    redactor = Redactor()
    redactor.remember(address)
    # What a driver makes of it: the rest of the password as the host, the port, or the path.
    if "@" in address:
        assert "canary" not in redactor.redact(
            f'no host "canary-two@h"; no port "canary-one"; {address}; canary-two'
        )


@pytest.mark.parametrize("text", ["u:canary@h/d", "u:can=ary@h/d", "canary"])
def test_of_what_is_no_address_nothing_is_shown(text: str) -> None:
    assert masked_address(text) == MASK


@given(
    st.text(
        st.characters(
            exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="\"'<>"
        ),
        min_size=6,
    )
)
def test_a_password_that_is_not_percent_encoded_is_not_shown_in_part(password: str) -> None:
    address = f"postgresql://me:{password}@host.example/base"
    redactor = Redactor()
    redactor.remember(address)
    for shown in (
        masked_address(address),
        redactor.redact(f"cannot parse {address}"),
        Redactor().redact(address),
    ):
        for piece in {password[at : at + 6] for at in range(len(password) - 5)}:
            assert piece not in shown.replace("//me:", "").replace("host.example/base", "").replace(
                MASK, ""
            )


def test_a_token_in_place_of_a_user_is_masked() -> None:
    shown = Redactor().redact(
        "git+https://ghp_0123456789abcdefghij@github.com/a/b and https://user@h"
    )
    assert shown == f"git+https://{MASK}@github.com/a/b and https://user@h"


def test_each_address_of_a_text_keeps_its_host() -> None:
    shown = Redactor().redact(
        "from pg://a:one@h1/d,pg://b:two@h2/d to 'x://c:three@h3/d', mail me@here.org"
    )
    assert (
        shown
        == f"from pg://a:{MASK}@h1/d,pg://b:{MASK}@h2/d to 'x://c:{MASK}@h3/d', mail me@here.org"
    )


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWD",
        "pwd",
        "apiKey",
        "access_token",
        "client_secret",
        "dsn",
        "privateKey",
    ],
)
def test_names_that_say_secret(name: str) -> None:
    assert says_secret(name)


@pytest.mark.parametrize(
    "name", ["user", "host", "keyspace", "primary_key", "credentials_path", "token_type", "url"]
)
def test_names_that_do_not(name: str) -> None:
    assert not says_secret(name)


def test_parameters_have_more_names_than_options() -> None:
    assert all(
        map(
            is_secret_parameter,
            ["key", "sig", "auth", "X-Amz-Signature", "x-api-key", "sslpassword"],
        )
    )
    assert not any(map(is_secret_parameter, ["keyspace", "monkey", "design", "sslmode", "user"]))


def test_a_text_of_names_and_values_stays_readable() -> None:
    text = (
        "primary_key=id, rows=12, replication_key=updated_at, key = 5, tokens: 3, sslmode=require"
    )
    assert Redactor().redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password=",
        "password={",
        "pwd={a}}",
        "password='",
        "=",
        "%3D",
        "secret= ",
        "?a.key=",
        "odbc_connect=",
    ],
)
def test_a_long_text_of_names_costs_no_more_than_it_is_long(text: str) -> None:
    """A connector, or a server's answer, may say anything: a value that has others in it is looked at once."""
    long = text * (100_000 // len(text))
    began = time.monotonic()
    Redactor().redact(long)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    "text",
    [
        f"password=pwd={{a {C}}}",
        f"password=token='a {C}'",
        f"pwd=secret%3D{{a {C}}} b",
        f"pwd=x?odbc_connect=a%3B{C}",
    ],
)
def test_a_value_within_a_value_may_go_on_behind_it(text: str) -> None:
    assert C not in Redactor().redact(text)
