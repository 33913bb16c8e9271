"""A connection URL as it may be shown, and as a program's environment."""

import pytest

from vigilbase import ConfigurationError
from vigilbase.database.urls import environment_of, masked


@pytest.mark.parametrize(
    ("url", "shown"),
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
        ("postgresql://u:sekret@a:1,b:2/db", "postgresql://u:*****@/db?host=a%2Cb&port=1%2C2"),
        ("postgresql://postgres@/v?host=%2Frun%2Fx&port=5432", "postgresql://postgres@/v?host=%2Frun%2Fx&port=5432"),
    ],
)
def test_secrets_are_stars_wherever_they_stand(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert "sek" not in masked(url)


def test_a_program_gets_the_url_by_its_environment() -> None:
    assert environment_of("postgresql://u:se%40kret@h:1/db?sslmode=require") == {
        "PGUSER": "u",
        "PGPASSWORD": "se@kret",
        "PGHOST": "h",
        "PGPORT": "1",
        "PGDATABASE": "db",
        "PGSSLMODE": "require",
    }


def test_a_malformed_url_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="malformed") as caught:
        masked("postgresql://u:sekret@h/db?nonsense=1")
    assert "sekret" not in str(caught.value)
