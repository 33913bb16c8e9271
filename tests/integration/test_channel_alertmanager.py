"""The channel `alertmanager` against a local receiver that acts as its API."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from tests.support.batches import make_alert, make_batch
from tests.support.receiver import Receiver, Reply, receiving
from tests.support.schemas import assert_matches
from vigilbase.channels.alertmanager import AlertmanagerConfig, send_alertmanager
from vigilbase.channels.errors import PermanentDeliveryError


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        receiver.answer = Reply(body=b"")
        yield receiver


@pytest.mark.parametrize("path", ["", "/", "/api/v2/alerts"])
async def test_send_alertmanager_posts_alerts_to_api(receiver: Receiver, path: str) -> None:
    config = AlertmanagerConfig.model_validate({"url": receiver.url + path, "headers": {"x-scope-orgid": "ops"}})
    assert await send_alertmanager(config, make_batch(make_alert("a"), make_alert("b"))) == "200 OK"
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/api/v2/alerts")
    assert request.headers["x-scope-orgid"] == "ops"
    assert_matches(request.json(), "alertmanager-alerts")
    assert [alert["labels"]["service"] for alert in request.json()] == ["a", "b"]
    assert request.json()[0]["endsAt"] == "2026-12-01T12:00:00Z"


async def test_send_alertmanager_url_with_path_keeps_path(receiver: Receiver) -> None:
    config = AlertmanagerConfig.model_validate({"url": f"{receiver.url}/am/", "expires_after": "1d"})
    await send_alertmanager(config, make_batch())
    assert receiver.requests[0].path == "/am/api/v2/alerts"
    assert receiver.requests[0].json()[0]["endsAt"] == "2026-11-25T12:00:00Z"


async def test_send_alertmanager_bad_request_is_no_channel_fault(receiver: Receiver) -> None:
    receiver.answer = Reply(400, body=b'"invalid label set"')
    with pytest.raises(PermanentDeliveryError, match='400 Bad Request: "invalid label set"') as caught:
        await send_alertmanager(AlertmanagerConfig.model_validate({"url": receiver.url}), make_batch())
    assert not caught.value.is_channel_fault


def test_alertmanager_config_expiry_out_of_range_is_rejected() -> None:
    with pytest.raises(ValidationError, match="must be a duration from 5m to 365d"):
        AlertmanagerConfig.model_validate({"url": "http://alertmanager:9093", "expires_after": "1s"})
