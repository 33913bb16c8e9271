"""`vigilbase notifications list|retry|discard`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from vigilbase.cli.options import AsJson, By, ConfigFile, Limit, find_author, parse_limit
from vigilbase.cli.output import console, print_json, print_line
from vigilbase.cli.session import open_database, run_command, run_query
from vigilbase.clock import utc_now
from vigilbase.domain import NOTIFICATION_STATUSES, NotificationStatus
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.files import DEFAULT_CONFIG
from vigilbase.models import ChannelModel, ChannelState, Notification, NotificationModel
from vigilbase.models.notification import RetryOutcome
from vigilbase.queries.group_windows import load_group_windows
from vigilbase.views.channel_state import describe_disabled_channel
from vigilbase.views.notifications import make_notification_json, make_notifications_table
from vigilbase.views.skipped_rows import count_skipped, describe_skipped
from vigilbase.views.terminal import escape

app = typer.Typer(help="List notifications; retry or discard them.", no_args_is_help=True)

IDS_HINT = "`vigilbase notifications list --all` lists the ids"
MAX_ID_DIGITS = 18  # any number of so many digits is a Postgres bigint
UNFINISHED: tuple[NotificationStatus, ...] = ("pending", "failed")

All = Annotated[bool, typer.Option("--all", help="Include delivered and cancelled notifications.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The notification's id in `notifications list`.")]


@app.command("list")
def list_(
    config: ConfigFile = DEFAULT_CONFIG, *, every: All = False, limit: Limit = "50", as_json: AsJson = False
) -> None:
    """List the pending and failed notifications, newest first, and why they have not been delivered.

    Example: vigilbase notifications list --all
    """
    number, windows = parse_limit(limit), load_group_windows(config)
    statuses = NOTIFICATION_STATUSES if every else UNFINISHED
    (notifications, channels), skipped = run_query(_list(statuses, number, windows))
    if as_json:
        listed = [make_notification_json(notification) for notification in notifications]
        print_json({"notifications": listed, "skipped_rows": count_skipped(skipped)})
        return
    if notifications:
        now = utc_now()
        console.print(make_notifications_table(notifications, windows, now, console.width))
        for state in channels:
            if state.is_disabled:
                print_line(describe_disabled_channel(state, now))
    elif not skipped:
        print_line("No notifications." if every else "No pending or failed notifications.")
    if skipped:
        print_line(describe_skipped(skipped), style="yellow")


@app.command()
def retry(number: Id, *, by: By = None, as_json: AsJson = False) -> None:
    """Send a failed notification again, under the same batch id.

    Example: vigilbase notifications retry 42
    """
    answer = run_command(_retry(_parse_id(number), find_author(by)))
    if answer is None:
        raise VigilbaseError(_describe_unknown(number))
    notification, outcome = answer
    if outcome != "requeued":
        raise VigilbaseError(f"notification {number} ({notification.kind}) {_explain_no_retry(notification, outcome)}")
    _print_result(notification, "is sent again", as_json=as_json)


@app.command()
def discard(number: Id, *, by: By = None, as_json: AsJson = False) -> None:
    """Discard a pending or failed notification: it is not sent.

    Example: vigilbase notifications discard 42
    """
    answer = run_command(_discard(_parse_id(number), find_author(by)))
    if answer is None:
        raise VigilbaseError(_describe_unknown(number))
    notification, is_discarded = answer
    if not is_discarded:
        is_sending = notification.status == "pending"
        reason = "being sent: try again in a minute" if is_sending else f"already {notification.status}"
        raise VigilbaseError(f"notification {number} is {reason}")
    _print_result(notification, "is discarded", as_json=as_json)


def _print_result(notification: Notification, outcome: str, *, as_json: bool) -> None:
    if as_json:
        print_json(make_notification_json(notification))
        return
    subject = f"{notification.kind} notification about {escape(notification.service_name)} to {notification.channel}"
    print_line(f"The {subject} {outcome}.")


def _parse_id(text: str) -> int:
    # isdecimal() alone is also true for the digits of other scripts.
    if not (text.isascii() and text.isdecimal()) or len(text) > MAX_ID_DIGITS:
        raise InvalidInputError("ID", f"must be the number of a notification, such as 42; {IDS_HINT}")
    return int(text)


def _describe_unknown(number: str) -> str:
    return f"there is no notification {number}; {IDS_HINT}"


def _explain_no_retry(notification: Notification, outcome: RetryOutcome) -> str:
    match outcome:
        case "resolved":
            return "is not needed any more: its alert is resolved"
        case "acknowledged":
            return "is not needed any more: its alert is acknowledged"
    return f"is {notification.status}; only a failed notification can be sent again"


async def _list(
    statuses: Sequence[NotificationStatus], limit: int, windows: Mapping[str, float] | None
) -> tuple[list[Notification], list[ChannelState]]:
    async with open_database():
        notifications = await NotificationModel.find(statuses=statuses, limit=limit, windows=windows)
        return notifications, await ChannelModel.find_all()


async def _retry(number: int, author: str | None) -> tuple[Notification, RetryOutcome] | None:
    async with open_database():
        return await NotificationModel.retry(number, author=author)


async def _discard(number: int, author: str | None) -> tuple[Notification, bool] | None:
    async with open_database():
        return await NotificationModel.discard(number, author=author)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="notifications")
