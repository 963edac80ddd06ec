"""A secret is text to whoever uses it, and a mask to whoever looks at it."""

import copy
import json
import logging
import pickle

import pytest
from pydantic import BaseModel

from etl_assets.exceptions import InputError
from etl_assets.secrets import SecretString
from etl_assets.secrets.redaction import MASK, redact

VALUE = "hunter2-is-no-secret"


def test_it_is_its_text_for_drivers_urls_and_json() -> None:
    secret = SecretString(VALUE)
    assert secret == VALUE
    assert str(secret) == VALUE
    assert f"postgresql://me:{secret}@host/db" == f"postgresql://me:{VALUE}@host/db"
    assert json.loads(json.dumps({"password": secret})) == {"password": VALUE}
    assert copy.deepcopy({"a": [secret]})["a"][0] == VALUE


def test_what_people_see_is_a_mask() -> None:
    secret = SecretString(VALUE)
    assert VALUE not in repr(secret)
    assert VALUE not in repr({"config": [secret]})
    assert VALUE not in f"{secret!r}"


def test_a_pickle_does_not_hold_it() -> None:
    data = pickle.dumps({"a": SecretString(VALUE)})
    assert VALUE.encode() not in data
    assert pickle.loads(data)["a"] == MASK  # noqa: S301 - made two lines above


def test_pydantic_takes_any_text_and_dumps_the_mask() -> None:
    class Config(BaseModel):
        password: SecretString

    config = Config.model_validate({"password": VALUE})
    assert isinstance(config.password, SecretString)
    assert config.password == VALUE
    assert config.model_dump() == {"password": MASK}
    assert VALUE not in config.model_dump_json()
    assert VALUE not in repr(config)
    schema = Config.model_json_schema()["properties"]["password"]
    assert schema["format"] == "password"
    assert schema["writeOnly"] is True


def test_the_redactor_knows_it_from_the_moment_it_is_made() -> None:
    value = "made/just now+1"
    assert redact(value) == value
    SecretString(value)
    for form in (value, "made%2Fjust%20now%2B1", "bWFkZS9qdXN0IG5vdysx"):
        assert redact(f"<{form}>") == f"<{MASK}>"


def test_the_secret_parts_of_a_json_document_are_masked_one_by_one() -> None:
    SecretString(
        json.dumps(
            {"type": "service_account", "deep": [{"private_key": "-----BEGIN KEY-----\nabcdef"}]}
        )
    )
    assert redact("it is service_account") == "it is service_account"
    assert "abcdef" not in redact("bad key: -----BEGIN KEY-----\nabcdef")
    assert "abcdef" not in redact(json.dumps("-----BEGIN KEY-----\nabcdef"))


def test_logging_it_by_percent_r_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("x").warning("config %r", {"password": SecretString(VALUE)})
    assert VALUE not in caplog.text


def test_json_in_it() -> None:
    assert SecretString('{"a": [1]}').parse_json() == {"a": [1]}
    assert SecretString('{"a": [1]}').is_json()
    assert not SecretString("not json at all").is_json()
    with pytest.raises(InputError, match="no JSON") as caught:
        SecretString("not json at all").parse_json()
    assert "not json at all" not in str(caught.value)


def test_whether_it_is_empty_is_said_by_is_empty_alone() -> None:
    assert SecretString("").is_empty()
    assert not SecretString(VALUE).is_empty()
    assert bool(SecretString("")) is True
