"""Connection URLs: redacted, and as the environment of a program."""

import pytest

from vigilbase import ConfigurationError
from vigilbase.database.urls import make_environment, redact_url


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("postgresql://u:sekret@h:5432/db", "postgresql://u:*****@h:5432/db"),
        ("postgres://u:sek%40ret@[::1]/db", "postgresql://u:*****@[::1]/db"),
        ("postgresql://u@h/db?password=sekret", "postgresql://u:*****@h/db"),
        ("postgresql://u@h/db?pass%77ord=sekret", "postgresql://u:*****@h/db"),
        ("postgresql://u:sekret@h?password=sekret2", "postgresql://u:*****@h/"),
        (
            "postgresql://u@h/db?sslpassword=sekret&sslmode=require",
            "postgresql://u@h/db?sslmode=require&sslpassword=*****",
        ),
        ("postgresql://u@h/db?scram_client_key=sekret", "postgresql://u@h/db?scram_client_key=*****"),
        ("postgresql://u@h/db?options=-c%20my.key%3Dsekret", "postgresql://u@h/db?options=*****"),
        ("postgresql://u:sekret@a:1,b:2/db", "postgresql://u:*****@/db?host=a%2Cb&port=1%2C2"),
        ("postgresql://postgres@/v?host=%2Frun%2Fx&port=5432", "postgresql://postgres@/v?host=%2Frun%2Fx&port=5432"),
    ],
)
def test_redact_url_secret_is_replaced_in_any_position(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted
    assert "sek" not in redact_url(url)


def test_make_environment_url_becomes_pg_variables() -> None:
    assert make_environment("postgresql://u:se%40kret@h:1/db?sslmode=require") == {
        "PGUSER": "u",
        "PGPASSWORD": "se@kret",
        "PGHOST": "h",
        "PGPORT": "1",
        "PGDATABASE": "db",
        "PGSSLMODE": "require",
    }


def test_redact_url_malformed_url_is_rejected_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="malformed") as caught:
        redact_url("postgresql://u:sekret@h/db?sslmode=%zz")
    assert "sekret" not in str(caught.value)
