"""Tells other processes about this runner: that it is running, its services, and their targets."""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.configfile import Config
from vigilbase.database.client import Value
from vigilbase.domain import JSON
from vigilbase.errors import AccessRefusedError, DatabaseError, DatabaseUnavailableError, MissingSchemaError
from vigilbase.logging import get_logger

log = get_logger(__name__)

# A runner counts as active for 30 s, so two saves may fail before it seems to have stopped.
SAVE_EVERY_S = 10.0


async def save_services(config: Config) -> None:
    """Save the services of a file, and mark those that it no longer names as removed.

    Tags that the database can't hold are dropped.

    Raises:
        DatabaseError: the database fails.

    """
    services: list[Mapping[str, JSON]] = [
        {
            "service_name": service.name,
            "kind": service.kind,
            "interval_s": service.interval_s,
            "timeout_s": service.timeout_s,
            "tags": list(service.tags),
        }
        for service in config.services
    ]
    try:
        await _save_services(services, config.file)
    # These have nothing to do with the tags, so a second attempt without them would fail, too.
    except (DatabaseUnavailableError, MissingSchemaError, AccessRefusedError):
        raise
    except DatabaseError as error:
        log.warning("services.tags_dropped", reason=str(error))
        await _save_services([{**service, "tags": []} for service in services], config.file)


async def _save_services(services: Sequence[Mapping[str, JSON]], file: str) -> None:
    await get_supabase_service_client().call(
        "vigilbase_save_services",
        {"p_services": json.dumps(services, ensure_ascii=False), "p_source": "file", "p_owner": file},
    )


async def save_runner(runner_id: UUID) -> None:
    """Record that a runner is running; it counts as active for 30 s.

    Raises:
        DatabaseError: the database fails.

    """
    arguments: dict[str, Value] = {"p_runner_id": runner_id, "p_host": socket.gethostname(), "p_pid": os.getpid()}
    await get_supabase_service_client().call("vigilbase_save_runner", arguments)


async def end_runner(runner_id: UUID) -> None:
    """Record that a runner has stopped.

    Raises:
        DatabaseError: the database fails; the runner counts as running for half a minute.

    """
    await get_supabase_service_client().call("vigilbase_end_runner", {"p_runner_id": runner_id})


async def save_targets(targets: Mapping[str, Mapping[str, JSON]]) -> None:
    """Save the facts about the targets of some services, such as addresses and certificates.

    Raises:
        DatabaseError: the database fails.

    """
    try:
        await _save_targets(targets)
    except DatabaseError as error:
        if isinstance(error, DatabaseUnavailableError):
            raise
        # One by one, so that a target that the database can't hold doesn't reject the rest.
        for name, target in targets.items():
            try:
                await _save_targets({name: target})
            except DatabaseUnavailableError:
                raise
            except DatabaseError as rejection:
                log.warning("target.rejected", service_name=name, reason=str(rejection))


async def _save_targets(targets: Mapping[str, Mapping[str, JSON]]) -> None:
    arguments = {"p_targets": json.dumps(targets, ensure_ascii=False)}
    await get_supabase_service_client().call("vigilbase_save_targets", arguments)
