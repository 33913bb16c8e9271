"""The channel `alertmanager`: its API, played by a local receiver."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from tests.support.messages import a_message, an_alert
from tests.support.receiver import Receiver, Reply, receiving
from tests.support.schemas import assert_matches
from vigilbase.alerts.channels.alertmanager import AlertmanagerConfig, send_alertmanager
from vigilbase.alerts.channels.sending import PermanentDeliveryError


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        receiver.answer = Reply(body=b"")
        yield receiver


@pytest.mark.parametrize("path", ["", "/", "/api/v2/alerts"])
async def test_alerts_go_to_the_api(receiver: Receiver, path: str) -> None:
    config = AlertmanagerConfig.model_validate({"url": receiver.url + path, "headers": {"x-scope-orgid": "ops"}})
    assert await send_alertmanager(config, a_message(an_alert("a"), an_alert("b"))) == "200 OK"
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/api/v2/alerts")
    assert request.headers["x-scope-orgid"] == "ops"
    assert_matches(request.json(), "alertmanager-alerts")
    assert [alert["labels"]["service"] for alert in request.json()] == ["a", "b"]
    assert request.json()[0]["endsAt"] == "2026-12-01T12:00:00Z"


async def test_alertmanager_may_be_served_under_a_path(receiver: Receiver) -> None:
    config = AlertmanagerConfig.model_validate({"url": f"{receiver.url}/am/", "expires_after": "1d"})
    await send_alertmanager(config, a_message())
    assert receiver.requests[0].path == "/am/api/v2/alerts"
    assert receiver.requests[0].json()[0]["endsAt"] == "2026-11-25T12:00:00Z"


async def test_what_it_refuses_is_refused_for_this_message(receiver: Receiver) -> None:
    receiver.answer = Reply(400, body=b'"invalid label set"')
    with pytest.raises(PermanentDeliveryError, match='400 Bad Request: "invalid label set"') as caught:
        await send_alertmanager(AlertmanagerConfig.model_validate({"url": receiver.url}), a_message())
    assert not caught.value.of_the_channel


def test_an_expiry_is_a_duration() -> None:
    with pytest.raises(ValidationError, match="must be a duration from 5m to 365d"):
        AlertmanagerConfig.model_validate({"url": "http://alertmanager:9093", "expires_after": "1s"})
