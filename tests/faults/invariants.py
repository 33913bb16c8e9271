"""The invariants of a run: what the receivers got, compared with what the database holds."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.faults.play import RunLog
from tests.faults.sandbox import AnsweredRequest, Sandbox
from tests.faults.scenario import REJECTIONS, Scenario

_ALERTS = """
    SELECT a.id::text, a.service_name, a.alert_type, a.status, a.details ->> 'rule', a.acknowledged_at IS NOT NULL,
        extract(epoch FROM a.created_at)::double precision,
        ARRAY(SELECT s.service_glob FROM vigilbase.suppressions AS s WHERE s.ends_at > a.created_at)
    FROM alert_events AS a WHERE a.alert_type <> 'recovery'
"""
_DELIVERED = "SELECT batch_id::text, channel FROM vigilbase.notifications WHERE status = 'delivered'"
_COUNT_UNDELIVERED = """
    SELECT count(*) FROM vigilbase.notifications AS n JOIN alert_events AS a ON a.id = n.alert_id
    WHERE n.kind <> 'reminder' AND (
        n.status = 'pending' OR n.status = 'failed' AND (n.kind = 'resolved' OR a.status = 'active')
    )
"""


@dataclass(frozen=True)
class Alert:
    """An alert in the database. `globs` are those of the silences that ended after it opened."""

    id: str
    service_name: str
    alert_type: str
    status: str
    rule: str | None
    is_acknowledged: bool
    created_at: float
    globs: Sequence[str]

    @property
    def may_be_suppressed(self) -> bool:
        """Whether it may have resolved before its notification was due."""
        return any(fnmatchcase(self.service_name, glob) for glob in self.globs)


@dataclass(frozen=True)
class ReceivedBatch:
    """A batch as it reached the receiver of a channel; `at` is on the monotonic clock."""

    channel: str
    id: str
    kind: str
    timestamp: str
    alerts: Mapping[str, Any]
    at: float
    answered: AnsweredRequest

    @property
    def is_accepted(self) -> bool:
        return self.answered.is_accepted


@dataclass
class Report:
    """The counts of a run, and its violations as sentences."""

    outages: int = 0
    batches: int = 0
    duplicates: int = 0
    violations: list[str] = field(default_factory=list)


def check_invariants(scenario: Scenario, sandbox: Sandbox, run_log: RunLog) -> Report:
    """Compare what was received with what is recorded."""
    alerts = {str(row[0]): Alert(*row) for row in sandbox.server.execute(_ALERTS)}  # type: ignore[arg-type]
    received = [
        _read_batch(name, answered) for name in scenario.channels for answered in sandbox.receivers[name].answered
    ]
    accepted = [batch for batch in received if batch.is_accepted]
    # A rejected batch has notified its receiver of nothing, even by an earlier attempt: it is split or retried.
    rejected = {batch.id for batch in received if batch.answered.reply.status in REJECTIONS}
    heard = [batch for batch in received if batch.id not in rejected or batch.is_accepted]
    report = Report(outages=len(alerts), batches=len({batch.id for batch in accepted}))
    report.violations += [] if run_log.is_drained else ["the outbox was not empty in time"]
    report.violations += [
        *_find_undelivered(sandbox),
        *_find_missing(scenario, alerts, accepted),
        *_find_spurious(alerts, received),
        *_find_unresolved(alerts, heard),
        *_find_second_ids(heard),
        *_find_changed(received),
        *_find_never_accepted(sandbox, accepted),
        *_find_unsuppressed(alerts, run_log, received),
        *_find_needless_repeats(sandbox, run_log, received, report),
    ]
    return report


def _read_batch(channel: str, answered: AnsweredRequest) -> ReceivedBatch:
    request = answered.request
    body = request.json()
    alerts = {alert["id"]: alert for alert in body["data"]["alerts"]}
    kind = body["type"].removeprefix("alert.")
    return ReceivedBatch(channel, request.headers["webhook-id"], kind, body["timestamp"], alerts, request.at, answered)


def _find_undelivered(sandbox: Sandbox) -> Iterator[str]:
    [(count,)] = sandbox.server.execute(_COUNT_UNDELIVERED)
    if count:
        yield f"{count} notifications are still pending or failed"


def _find_missing(scenario: Scenario, alerts: Mapping[str, Alert], accepted: Sequence[ReceivedBatch]) -> Iterator[str]:
    """A channel is notified of every alert that is routed to it, by its trigger or by its resolution alone."""
    notified = {
        (batch.channel, alert)
        for batch in accepted
        if batch.kind in ("triggered", "resolved")
        for alert in batch.alerts
    }
    for alert in alerts.values():
        for channel in _list_certain_channels(scenario, alert):
            if (channel, alert.id) not in notified:
                yield f"{channel} was never notified of {alert}"


def _list_certain_channels(scenario: Scenario, alert: Alert) -> Iterator[str]:
    """The channels that must be notified of an alert."""
    if alert.rule == "channel":
        return  # only other enabled channels are notified of a disabled one
    for route in scenario.routes:
        kind = alert.alert_type.removeprefix("service_")
        # No notification is due for an alert that resolves before the route's delay ends, or while it is suppressed;
        # nor, on a route without recoveries, for one that resolves before its trigger is sent.
        is_immediate = route.after_s == 0 and "recovery" in route.on and not alert.may_be_suppressed
        is_certain = alert.status != "resolved" or is_immediate
        if kind in route.on and is_certain and not (route.unless_acknowledged and alert.is_acknowledged):
            yield from route.channels


def _find_spurious(alerts: Mapping[str, Alert], received: Sequence[ReceivedBatch]) -> Iterator[str]:
    """No notification is about an alert that doesn't exist, or resolves one that is open."""
    for batch in received:
        for alert_id, content in batch.alerts.items():
            alert = alerts.get(alert_id)
            if alert is None or (alert.service_name, alert.alert_type) != (
                content["service_name"],
                content["alert_type"],
            ):
                yield f"{batch.channel} was notified of {content}, which doesn't exist"
            elif batch.kind == "resolved" and (alert.status != "resolved" or content["status"] != "resolved"):
                yield f"{batch.channel} was notified of the resolution of {alert}, which is open"


def _find_unresolved(alerts: Mapping[str, Alert], heard: Sequence[ReceivedBatch]) -> Iterator[str]:
    """A trigger that may have arrived is followed by a resolution, and the resolution by nothing."""
    batches: dict[tuple[str, str], list[ReceivedBatch]] = defaultdict(list)
    for batch in sorted(heard, key=lambda batch: batch.at):
        for alert_id in batch.alerts:
            batches[batch.channel, alert_id].append(batch)
    for (channel, alert_id), story in batches.items():
        alert = alerts.get(alert_id)
        if alert is None or alert.status != "resolved":
            continue
        resolutions = [batch.at for batch in story if batch.kind == "resolved" and batch.is_accepted]
        if not resolutions:
            yield f"{channel} was notified of {alert}, but not of its resolution"
        elif late := [batch for batch in story if batch.kind != "resolved" and batch.at > resolutions[0]]:
            lines = [
                (
                    batch.kind,
                    round(batch.at - story[0].at, 3),
                    batch.id[:4],
                    batch.answered.request.is_abandoned,
                    batch.answered.reply,
                )
                for batch in story
            ]
            yield f"{channel} was notified of {alert} ({late[0].kind}) after its resolution: {lines}"


def _find_unsuppressed(
    alerts: Mapping[str, Alert], run_log: RunLog, received: Sequence[ReceivedBatch]
) -> Iterator[str]:
    """No notification is sent about an alert that opened during a silence while the silence is active."""
    since_1970 = time.time() - time.monotonic()
    for batch in received:
        for alert in (alerts[alert_id] for alert_id in batch.alerts if alert_id in alerts):
            for silence in run_log.silences:
                was_active = silence.since < alert.created_at and batch.at + since_1970 < silence.until
                if was_active and fnmatchcase(alert.service_name, silence.glob):
                    yield f"{batch.channel} was notified of {alert} ({batch.kind}) in spite of {silence}"


def _find_second_ids(heard: Sequence[ReceivedBatch]) -> Iterator[str]:
    """Every notification has one id. Reminders repeat on purpose."""
    ids: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for batch in heard:
        for alert_id in batch.alerts if batch.kind != "reminder" else ():
            ids[batch.channel, alert_id, batch.kind].add(batch.id)
    yield from (f"{key} was sent under {len(batch_ids)} ids" for key, batch_ids in ids.items() if len(batch_ids) > 1)


def _find_changed(received: Sequence[ReceivedBatch]) -> Iterator[str]:
    """A batch that is sent again is the same, except for alerts that have resolved meanwhile."""
    first: dict[str, ReceivedBatch] = {}
    for batch in sorted(received, key=lambda batch: batch.at):
        before = first.setdefault(batch.id, batch)
        if (batch.channel, batch.kind, batch.timestamp) != (before.channel, before.kind, before.timestamp) or (
            not batch.alerts.keys() <= before.alerts.keys()
        ):
            yield f"batch {batch.id} was sent as {batch.kind} of {sorted(batch.alerts)}, and before with other content"


def _find_never_accepted(sandbox: Sandbox, accepted: Sequence[ReceivedBatch]) -> Iterator[str]:
    """A notification is recorded as delivered only if its receiver accepted it."""
    known = {(batch.id, batch.channel) for batch in accepted}
    for row in sandbox.server.execute(_DELIVERED):
        if row not in known:
            yield f"{row} is recorded as delivered but was never accepted"


def _find_needless_repeats(
    sandbox: Sandbox, run_log: RunLog, received: Sequence[ReceivedBatch], report: Report
) -> Iterator[str]:
    """An accepted batch is repeated only if its sender couldn't know, or died before it could record the result."""
    uncertain = set(sandbox.journal.read_text().split())
    last: dict[str, ReceivedBatch] = {}
    for batch in sorted(received, key=lambda batch: batch.at):
        before = last.get(batch.id)
        if before and before.is_accepted:
            report.duplicates += 1
            is_interrupted = any(before.at < at for at in run_log.deaths) or any(
                before.at < end for _, end in sandbox.restarts
            )
            if batch.id not in uncertain and not is_interrupted:
                yield f"batch {batch.id} was repeated after {batch.at - before.at:.3f} s without need"
        last[batch.id] = batch
