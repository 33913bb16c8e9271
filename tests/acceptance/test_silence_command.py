"""`vigilbase silence` and `vigilbase maintenance`, as a user calls them."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.conftest import Backend
from tests.support.watched import run

# What stands behind the commands is held to every transport by tests/conformance; how it looks is the same on all.
pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
FOR_2H = ("--service", "shop-*", "--for", "2h", "--comment", "the new release", "--by", "ada")
SUNDAYS = ("--tag", "shop", "--cron", "0 3 * * 0", "--duration", "2h", "--time-zone", "Europe/Berlin")
WHY = ("--comment", "backups", "--by", "ada")


def call(folder: Path, *arguments: str) -> "CompletedProcess[str]":
    return run(*arguments, cwd=folder, environ={})


def printed(folder: Path, *arguments: str) -> list[str]:
    """What a command prints that succeeds, its columns a space apart."""
    result = call(folder, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def found(folder: Path, *arguments: str) -> Any:
    result = call(folder, *arguments, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def require_one_line(result: "CompletedProcess[str]", said: str) -> None:
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"vigilbase: {said}\n")


async def test_a_silence_is_added_listed_and_ended(backend: Backend, tmp_path: Path) -> None:
    assert printed(tmp_path, "silence", "list") == ["Nothing is silenced."]
    [line] = printed(tmp_path, "silence", "add", *FOR_2H)
    match = re.fullmatch(rf"Silence ([0-9a-f]{{8}}): shop-\*, from now until ({MOMENT})\.", line)
    assert match
    id_, end = match.groups()
    header, row = printed(tmp_path, "silence", "list")
    assert header == "id services holds from until by comment"
    assert re.fullmatch(rf"{id_} shop-\* now {MOMENT} {end} ada the new release", row)
    assert printed(tmp_path, "silence", "end", id_[:6]) == [f"Silence {id_} (shop-*) is ended."]
    assert printed(tmp_path, "silence", "end", id_) == [f"Silence {id_} (shop-*) was over already."]
    assert printed(tmp_path, "silence", "list") == ["Nothing is silenced."]
    assert re.fullmatch(
        rf"{id_} shop-\* over {MOMENT} {MOMENT} ada the new release", printed(tmp_path, "silence", "list", "--all")[1]
    )
    assert backend.execute("SELECT starts_at < ends_at, ends_at <= now() FROM vigilbase.suppressions") == [(True, True)]


async def test_a_silence_may_be_to_come_and_be_taken_back(backend: Backend, tmp_path: Path) -> None:
    times = ("--from", "2099-12-01T08:00Z", "--until", "2099-12-01T10:00+01:00")
    added = found(tmp_path, "silence", "add", "--tag", "[bold]shop", *times, "--comment", "moving", "--by", "ada")
    assert {name: added[name] for name in ("service_glob", "tag", "starts_at", "ends_at", "author", "comment")} == {
        "service_glob": None,
        "tag": "[bold]shop",
        "starts_at": "2099-12-01T08:00:00+00:00",
        "ends_at": "2099-12-01T09:00:00+00:00",
        "author": "ada",
        "comment": "moving",
    }
    assert found(tmp_path, "silence", "list") == {"silences": [added]}
    assert re.search(r" tag \[bold\]shop in \d+ d( \d+ h)? ", printed(tmp_path, "silence", "list")[1])
    assert printed(tmp_path, "silence", "end", added["id"]) == [
        f"Silence {added['id'][:8]} (tag [bold]shop) is taken back."
    ]
    assert found(tmp_path, "silence", "list") == {"silences": []}
    [taken_back] = found(tmp_path, "silence", "list", "--all")["silences"]
    assert taken_back["ends_at"] == added["starts_at"]
    assert "taken back" in printed(tmp_path, "silence", "list", "--all")[1]


async def test_a_silence_without_an_end_has_to_be_asked_for(backend: Backend, tmp_path: Path) -> None:
    named = ("silence", "add", "--service", "api", "--comment", "gone", "--by", "ada")
    require_one_line(call(tmp_path, *named), "say until when, by --for DURATION or by --until TIME (or --until ended)")
    assert printed(tmp_path, *named, "--until", "ended")[0].endswith("api, from now until somebody ends it.")
    assert "somebody ends it" in printed(tmp_path, "silence", "list")[1]
    assert backend.execute("SELECT ends_at FROM vigilbase.suppressions") == [(None,)]


async def test_what_is_wrong_is_said_in_one_line(backend: Backend, tmp_path: Path) -> None:
    named = ("--service", "api", "--comment", "x", "--by", "ada", "--from", "2020-12-01T08:00Z", "--for", "1h")
    for command in ("silence", "maintenance"):
        said = "--from must not be in the past; leave it out to begin now"
        require_one_line(call(tmp_path, command, "add", *named), said)
    require_one_line(
        call(tmp_path, "silence", "add", *named[:-1], "soon"),
        "--for must be a duration from 1s to 3660d, such as 30s, 5m or 1h",
    )
    assert backend.execute("SELECT FROM vigilbase.suppressions") == []


async def test_maintenance_may_come_again_until_it_is_ended(backend: Backend, tmp_path: Path) -> None:
    assert printed(tmp_path, "maintenance", "list") == ["No maintenance is planned."]
    [line] = printed(tmp_path, "maintenance", "add", *SUNDAYS, *WHY)
    match = re.fullmatch(
        r"Maintenance ([0-9a-f]{8}): tag shop, 0 3 \* \* 0 for 2 h, Europe/Berlin; it holds (.*)\.", line
    )
    assert match
    assert re.fullmatch(r"now|in .*", match[2])
    row = printed(tmp_path, "maintenance", "list")[1]
    assert re.fullmatch(
        rf"{match[1]} tag shop 0 3 \* \* 0 for 2 h, Europe/Berlin (now|in .*) {MOMENT} somebody ends it ada backups",
        row,
    )
    [listed] = found(tmp_path, "maintenance", "list")["maintenance"]
    assert (listed["cron"], listed["duration_s"], listed["time_zone"], listed["ends_at"]) == (
        "0 3 * * 0",
        7200,
        "Europe/Berlin",
        None,
    )
    assert printed(tmp_path, "maintenance", "end", match[1]) == [f"Maintenance {match[1]} (tag shop) is ended."]
    assert printed(tmp_path, "maintenance", "list") == ["No maintenance is planned."]
    assert " over " in printed(tmp_path, "maintenance", "list", "--all")[1]


async def test_maintenance_may_come_once(backend: Backend, tmp_path: Path) -> None:
    added = found(tmp_path, "maintenance", "add", "--service", "{db}", "--for", "30m", *WHY)
    assert (added["cron"], added["duration_s"], added["time_zone"]) == (None, None, None)
    [(seconds,)] = backend.execute(
        "SELECT extract(epoch FROM ends_at - starts_at)::integer FROM vigilbase.suppressions"
    )
    assert seconds == 1800
    assert re.search(r" \{db\} once, until \S+ now ", printed(tmp_path, "maintenance", "list")[1])


async def test_an_id_that_means_none_or_several_ends_with_one_line(backend: Backend, tmp_path: Path) -> None:
    ids = [f"4f3a{n}000-0000-4000-8000-000000000001" for n in range(2)]
    for command, noun in (("silence", "silence"), ("maintenance", "maintenance window")):
        backend.execute("DELETE FROM vigilbase.suppressions")
        for id_ in ids:
            backend.execute(
                "INSERT INTO vigilbase.suppressions (id, kind, tag, starts_at, ends_at, author, comment) "
                f"VALUES ('{id_}', '{command}', 'shop', now(), now() + interval '1 hour', 'ada', 'why')"
            )
        see = f"`vigilbase {command} list` shows the ids"
        require_one_line(call(tmp_path, command, "end", "abcd"), f"there is no {noun} abcd; {see}")
        require_one_line(
            call(tmp_path, command, "end", "4f3a"),
            f"several begin with 4f3a: {ids[0]}, {ids[1]}: give more of the id; {see}",
        )
        require_one_line(
            call(tmp_path, command, "end", "4f3"),
            f'"4f3": id must be a UUID or its first digits, at least 4 of them; {see}',
        )


async def test_who_says_so_is_who_is_logged_in_unless_another_is_named(backend: Backend, tmp_path: Path) -> None:
    arguments = ("silence", "add", "--tag", "shop", "--for", "1h", "--comment", "x")
    result = run(*arguments, cwd=tmp_path, environ={"LOGNAME": "grace"})
    assert result.returncode == 0
    assert backend.execute("SELECT author FROM vigilbase.suppressions") == [("grace",)]


async def test_a_name_that_no_service_has_is_remarked_upon(backend: Backend, tmp_path: Path) -> None:
    """It is added all the same: the service may be about to come."""
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: shop-api, tcp: 'localhost:1', tags: [shop]}]\n")
    for command in ("silence", "maintenance"):
        nobody = "No service that is known so far is meant by"
        said = {
            (
                "--service",
                "shop-appi",
            ): f'{nobody} "shop-appi"; did you mean shop-api?\n',
            ("--service", "web"): f'{nobody} "web"; it holds for those that come.\n',
            ("--tag", "shp"): f'{nobody} "tag shp"; did you mean shop?\n',
            ("--service", "shop-*"): "",
            ("--tag", "shop"): "",
        }
        for named, hint in said.items():
            done = call(tmp_path, command, "add", *named, "--for", "1h", *WHY)
            assert (done.returncode, done.stderr) == (0, hint)
