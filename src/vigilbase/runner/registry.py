"""What other processes know of a runner and its services: that it is at work, which there are, and their targets."""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Value
from vigilbase.errors import AccessRefusedError, DatabaseError, DatabaseUnavailableError, MissingSchemaError
from vigilbase.logging import get_logger
from vigilbase.spec import Spec
from vigilbase.vocabulary import JSON

log = get_logger(__name__)

SAVE_EVERY_S = 10.0


async def save_services(spec: Spec) -> None:
    """Save the services of a file, and mark those that it no longer names as removed.

    Tags that the database can't hold are left out.

    Raises:
        DatabaseError: the database fails.

    """
    services: list[Mapping[str, JSON]] = [
        {
            "service_name": service.name,
            "kind": service.kind,
            "interval_s": service.every,
            "timeout_s": service.timeout,
            "tags": list(service.tags),
        }
        for service in spec.services
    ]
    try:
        await _save_services(services, spec.file)
    except (DatabaseUnavailableError, MissingSchemaError, AccessRefusedError):
        raise
    except DatabaseError as error:
        log.warning("services.tags_dropped", reason=str(error))
        await _save_services([{**service, "tags": []} for service in services], spec.file)


async def _save_services(services: Sequence[Mapping[str, JSON]], file: str) -> None:
    await get_supabase_service_client().call(
        "vigilbase_save_services",
        {"p_services": json.dumps(services, ensure_ascii=False), "p_source": "file", "p_owner": file},
    )


async def save_runner(runner_id: UUID) -> None:
    """Say that a runner is at work.

    Raises:
        DatabaseError: the database fails.

    """
    arguments: dict[str, Value] = {"p_runner_id": runner_id, "p_host": socket.gethostname(), "p_pid": os.getpid()}
    await get_supabase_service_client().call("vigilbase_save_runner", arguments)


async def end_runner(runner_id: UUID) -> None:
    """Say that a runner has stopped.

    Raises:
        DatabaseError: the database fails; it counts as at work for half a minute more.

    """
    await get_supabase_service_client().call("vigilbase_end_runner", {"p_runner_id": runner_id})


async def save_targets(targets: Mapping[str, Mapping[str, JSON]]) -> None:
    """Save what is known of the targets of some services, such as their addresses and certificates.

    Raises:
        DatabaseError: the database fails.

    """
    try:
        await _save_targets(targets)
    except DatabaseError as error:
        if isinstance(error, DatabaseUnavailableError):
            raise
        # One that the database can't hold costs no other.
        for name, target in targets.items():
            try:
                await _save_targets({name: target})
            except DatabaseUnavailableError:
                raise
            except DatabaseError as refusal:
                log.warning("target.refused", service_name=name, reason=str(refusal))


async def _save_targets(targets: Mapping[str, Mapping[str, JSON]]) -> None:
    arguments = {"p_targets": json.dumps(targets, ensure_ascii=False)}
    await get_supabase_service_client().call("vigilbase_save_targets", arguments)
