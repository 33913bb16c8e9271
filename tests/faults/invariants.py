"""What must hold at the end of a run: what the receivers got, held against what the database knows."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.faults.lane import Got, Lane
from tests.faults.play import Played
from tests.faults.scenario import REFUSALS, Scenario

_ALERTS = """
    SELECT a.id::text, a.service_name, a.alert_type, a.status, a.details ->> 'rule', a.acknowledged_at IS NOT NULL,
        extract(epoch FROM a.created_at)::double precision,
        ARRAY(SELECT s.service_glob FROM vigilbase.suppressions AS s WHERE s.ends_at > a.created_at)
    FROM alert_events AS a WHERE a.alert_type <> 'recovery'
"""
_DELIVERED = "SELECT batch_id::text, channel FROM vigilbase.notifications WHERE status = 'delivered'"
_LEFT = """
    SELECT count(*) FROM vigilbase.notifications AS d JOIN alert_events AS a ON a.id = d.alert_id
    WHERE d.kind <> 'reminder' AND (
        d.status = 'pending' OR d.status = 'failed' AND (d.kind = 'resolved' OR a.status = 'active')
    )
"""


@dataclass(frozen=True)
class Alert:
    id: str
    service_name: str
    alert_type: str
    status: str
    rule: str | None
    acknowledged: bool
    created_at: float
    globs: Sequence[str]  # of the silences that ended after it began

    @property
    def silenced(self) -> bool:
        """Whether it may have been over before anybody was to hear of it."""
        return any(fnmatchcase(self.service_name, glob) for glob in self.globs)


@dataclass(frozen=True)
class Said:
    """A message as it came to a channel's receiver."""

    channel: str
    id: str
    kind: str
    timestamp: str
    alerts: Mapping[str, Any]
    at: float
    got: Got


@dataclass
class Report:
    """The counts of a run."""

    outages: int = 0
    messages: int = 0
    duplicates: int = 0
    violations: list[str] = field(default_factory=list)


def examine(scenario: Scenario, lane: Lane, played: Played) -> Report:
    """Hold what came against what was."""
    alerts = {str(row[0]): Alert(*row) for row in lane.server.execute(_ALERTS)}  # type: ignore[arg-type]
    said = [_said(name, got) for name in scenario.channels for got in lane.ears[name].got]
    taken = [one for one in said if one.got.taken]
    # What a receiver refuses told it nothing, nor did an earlier try; all of it comes in parts, or by hand.
    refused = {one.id for one in said if one.got.reply.status in REFUSALS}
    heard = [one for one in said if one.id not in refused or one.got.taken]
    report = Report(outages=len(alerts), messages=len({one.id for one in taken}))
    report.violations += [] if played.drained else ["not all that was owed went out"]
    report.violations += [*_left(lane), *_untold(scenario, alerts, taken), *_made_up(alerts, said)]
    report.violations += [*_unfinished(alerts, heard), *_two_ids(heard), *_unlike(said), *_not_taken(lane, taken)]
    report.violations += _disturbed(alerts, played, said)
    report.violations += _repeated(lane, played, said, report)
    return report


def _said(channel: str, got: Got) -> Said:
    body = got.request.json()
    alerts = {alert["id"]: alert for alert in body["data"]["alerts"]}
    kind = body["type"].removeprefix("alert.")
    return Said(channel, got.request.headers["webhook-id"], kind, body["timestamp"], alerts, got.request.at, got)


def _left(lane: Lane) -> Iterator[str]:
    [(count,)] = lane.server.execute(_LEFT)
    if count:
        yield f"{count} deliveries are left pending or failed"


def _untold(scenario: Scenario, alerts: Mapping[str, Alert], taken: Sequence[Said]) -> Iterator[str]:
    """Every alert that a channel wants is told, by its trigger or by its resolution alone."""
    told = {(one.channel, alert) for one in taken if one.kind in ("triggered", "resolved") for alert in one.alerts}
    for alert in alerts.values():
        for channel in _wanting(scenario, alert):
            if (channel, alert.id) not in told:
                yield f"{channel} was never told of {alert}"


def _wanting(scenario: Scenario, alert: Alert) -> Iterator[str]:
    if alert.rule == "channel":
        return  # others are told of a channel that is off, if they are on
    for route in scenario.routes:
        kind = alert.alert_type.removeprefix("service_")
        # What was over before its time came, or while it was silenced, is not told; nor where no recoveries are, what
        # was over before it went out.
        at_once = route.after_s == 0 and "recovery" in route.on and not alert.silenced
        is_sure = alert.status != "resolved" or at_once
        if kind in route.on and is_sure and not (route.unless_acknowledged and alert.acknowledged):
            yield from route.channels


def _made_up(alerts: Mapping[str, Alert], said: Sequence[Said]) -> Iterator[str]:
    """Nothing is told that never was, nor as over what isn't."""
    for one in said:
        for number, content in one.alerts.items():
            alert = alerts.get(number)
            if alert is None or (alert.service_name, alert.alert_type) != (
                content["service_name"],
                content["alert_type"],
            ):
                yield f"{one.channel} was told of {content}, which never was"
            elif one.kind == "resolved" and (alert.status != "resolved" or content["status"] != "resolved"):
                yield f"{one.channel} was told of the end of {alert}, which is open"


def _unfinished(alerts: Mapping[str, Alert], said: Sequence[Said]) -> Iterator[str]:
    """Every trigger that may have arrived is followed by a resolution, and nothing comes after it."""
    told: dict[tuple[str, str], list[Said]] = defaultdict(list)
    for one in sorted(said, key=lambda one: one.at):
        for alert in one.alerts:
            told[one.channel, alert].append(one)
    for (channel, number), story in told.items():
        known = alerts.get(number)
        if known is None or known.status != "resolved":
            continue
        ends = [one.at for one in story if one.kind == "resolved" and one.got.taken]
        if not ends:
            yield f"{channel} was told of {known}, and not of its end"
        elif late := [one for one in story if one.kind != "resolved" and one.at > ends[0]]:
            story_told = [
                (one.kind, round(one.at - story[0].at, 3), one.id[:4], one.got.request.given_up, one.got.reply)
                for one in story
            ]
            yield f"{channel} was told of {known} ({late[0].kind}) after its end: {story_told}"


def _disturbed(alerts: Mapping[str, Alert], played: Played, said: Sequence[Said]) -> Iterator[str]:
    """Of what began in a silence nothing is told as long as that holds."""
    since_1970 = time.time() - time.monotonic()
    for one in said:
        for alert in (alerts[number] for number in one.alerts if number in alerts):
            for hushed in played.hushed:
                held = hushed.since < alert.created_at and one.at + since_1970 < hushed.until
                if held and fnmatchcase(alert.service_name, hushed.glob):
                    yield f"{one.channel} was told of {alert} ({one.kind}) in spite of {hushed}"


def _two_ids(said: Sequence[Said]) -> Iterator[str]:
    """What is told of an alert once is told under one id. A reminder is meant to come again."""
    ids: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for one in said:
        for alert in one.alerts if one.kind != "reminder" else ():
            ids[one.channel, alert, one.kind].add(one.id)
    yield from (f"{key} came under {len(found)} ids" for key, found in ids.items() if len(found) > 1)


def _unlike(said: Sequence[Said]) -> Iterator[str]:
    """What comes again under an id is the same, but for alerts that are over by then."""
    first: dict[str, Said] = {}
    for one in sorted(said, key=lambda one: one.at):
        known = first.setdefault(one.id, one)
        if (one.channel, one.kind, one.timestamp) != (known.channel, known.kind, known.timestamp) or (
            not one.alerts.keys() <= known.alerts.keys()
        ):
            yield f"message {one.id} came as {one.kind} of {sorted(one.alerts)}, and before that of something else"


def _not_taken(lane: Lane, taken: Sequence[Said]) -> Iterator[str]:
    """What counts as delivered was taken by its receiver."""
    known = {(one.id, one.channel) for one in taken}
    for row in lane.server.execute(_DELIVERED):
        if row not in known:
            yield f"{row} counts as delivered and was not taken"


def _repeated(lane: Lane, played: Played, said: Sequence[Said], report: Report) -> Iterator[str]:
    """What was taken comes again only where the sender could not know that, or died before he could write it down."""
    failed = set(lane.journal.read_text().split())
    last: dict[str, Said] = {}
    for one in sorted(said, key=lambda one: one.at):
        before = last.get(one.id)
        if before and before.got.taken:
            report.duplicates += 1
            was_unsure = one.id in failed
            is_cut = any(before.at < at for at in played.deaths) or any(before.at < end for _, end in lane.restarts)
            if not was_unsure and not is_cut:
                yield f"message {one.id} came again after {one.at - before.at:.3f} s without need"
        last[one.id] = one
