"""`vigilbase silence` and `vigilbase maintenance`."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.conftest import Backend
from tests.support.command import run

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
FOR_2H = ("--service", "shop-*", "--for", "2h", "--comment", "the new release", "--by", "ada")
SUNDAYS = ("--tag", "shop", "--cron", "0 3 * * 0", "--duration", "2h", "--time-zone", "Europe/Berlin")
COMMENT = ("--comment", "backups", "--by", "ada")


def run_command(folder: Path, *arguments: str) -> "CompletedProcess[str]":
    return run(*arguments, cwd=folder, environ={})


def run_and_get_lines(folder: Path, *arguments: str) -> list[str]:
    """The lines that a command prints, with single spaces; it must succeed."""
    result = run_command(folder, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def run_and_parse_json(folder: Path, *arguments: str) -> Any:
    result = run_command(folder, *arguments, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def require_one_line_error(result: "CompletedProcess[str]", *phrases: str) -> None:
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("vigilbase: ")
    for phrase in phrases:
        assert phrase in result.stderr


async def test_silence_is_added_listed_and_ended(backend: Backend, tmp_path: Path) -> None:
    assert run_and_get_lines(tmp_path, "silence", "list") == ["No active or upcoming silences."]
    [line] = run_and_get_lines(tmp_path, "silence", "add", *FOR_2H)
    match = re.fullmatch(rf"Silence ([0-9a-f]{{8}}): shop-\*, active now, until ({MOMENT})\.", line)
    assert match
    id_, end = match.groups()
    header, row = run_and_get_lines(tmp_path, "silence", "list")
    assert header == "id services active from until by comment"
    assert re.fullmatch(rf"{id_} shop-\* now {MOMENT} {end} ada the new release", row)
    assert run_and_get_lines(tmp_path, "silence", "end", id_[:6]) == [f"Silence {id_} (shop-*) is ended."]
    assert run_and_get_lines(tmp_path, "silence", "end", id_) == [f"Silence {id_} (shop-*) had ended already."]
    assert run_and_get_lines(tmp_path, "silence", "list") == ["No active or upcoming silences."]
    assert re.fullmatch(
        rf"{id_} shop-\* ended {MOMENT} {MOMENT} ada the new release",
        run_and_get_lines(tmp_path, "silence", "list", "--all")[1],
    )
    assert backend.execute("SELECT starts_at < ends_at, ends_at <= now() FROM vigilbase.suppressions") == [(True, True)]


async def test_silence_future_silence_is_ended_before_start(backend: Backend, tmp_path: Path) -> None:
    times = ("--from", "2099-12-01T08:00Z", "--until", "2099-12-01T10:00+01:00")
    added = run_and_parse_json(
        tmp_path, "silence", "add", "--tag", "[bold]shop", *times, "--comment", "moving", "--by", "ada"
    )
    assert {name: added[name] for name in ("service_glob", "tag", "starts_at", "ends_at", "author", "comment")} == {
        "service_glob": None,
        "tag": "[bold]shop",
        "starts_at": "2099-12-01T08:00:00Z",
        "ends_at": "2099-12-01T09:00:00Z",
        "author": "ada",
        "comment": "moving",
    }
    assert run_and_parse_json(tmp_path, "silence", "list") == {"silences": [added], "skipped_rows": 0}
    assert re.search(r" tag \[bold\]shop in \d+d( \d+h)? ", run_and_get_lines(tmp_path, "silence", "list")[1])
    assert run_and_get_lines(tmp_path, "silence", "end", added["id"]) == [
        f"Silence {added['id'][:8]} (tag [bold]shop) is cancelled."
    ]
    assert run_and_parse_json(tmp_path, "silence", "list") == {"silences": [], "skipped_rows": 0}
    [cancelled] = run_and_parse_json(tmp_path, "silence", "list", "--all")["silences"]
    assert cancelled["ends_at"] == added["starts_at"]
    assert " cancelled " in run_and_get_lines(tmp_path, "silence", "list", "--all")[1]


async def test_silence_add_without_end_requires_until_ended(backend: Backend, tmp_path: Path) -> None:
    add = ("silence", "add", "--service", "api", "--comment", "gone", "--by", "ada")
    require_one_line_error(run_command(tmp_path, *add), "--for DURATION", "--until TIME", "--until ended")
    assert run_and_get_lines(tmp_path, *add, "--until", "ended")[0].endswith("api, active now, until ended.")
    assert re.search(rf" now {MOMENT} ended ada gone$", run_and_get_lines(tmp_path, "silence", "list")[1])
    assert backend.execute("SELECT ends_at FROM vigilbase.suppressions") == [(None,)]


async def test_silence_and_maintenance_add_invalid_time_is_one_line_error(backend: Backend, tmp_path: Path) -> None:
    options = ("--service", "api", "--comment", "x", "--by", "ada", "--from", "2020-12-01T08:00Z", "--for", "1h")
    for command in ("silence", "maintenance"):
        require_one_line_error(run_command(tmp_path, command, "add", *options), "--from must not be in the past")
    require_one_line_error(
        run_command(tmp_path, "silence", "add", *options[:-1], "soon"), "--for must be a duration from 1s to 3660d"
    )
    assert backend.execute("SELECT FROM vigilbase.suppressions") == []


async def test_maintenance_recurring_window_is_listed_until_ended(backend: Backend, tmp_path: Path) -> None:
    assert run_and_get_lines(tmp_path, "maintenance", "list") == ["No active or upcoming maintenance windows."]
    [line] = run_and_get_lines(tmp_path, "maintenance", "add", *SUNDAYS, *COMMENT)
    match = re.fullmatch(
        r"Maintenance window ([0-9a-f]{8}): tag shop, 0 3 \* \* 0 for 2h, Europe/Berlin, (.*), until ended\.", line
    )
    assert match
    assert re.fullmatch(r"active now|starts in .*", match[2])
    row = run_and_get_lines(tmp_path, "maintenance", "list")[1]
    assert re.fullmatch(
        rf"{match[1]} tag shop (now|in .*) 0 3 \* \* 0 for 2h, Europe/Berlin {MOMENT} ended ada backups",
        row,
    )
    [listed] = run_and_parse_json(tmp_path, "maintenance", "list")["maintenance"]
    assert (listed["cron"], listed["duration_s"], listed["time_zone"], listed["ends_at"]) == (
        "0 3 * * 0",
        7200,
        "Europe/Berlin",
        None,
    )
    assert run_and_get_lines(tmp_path, "maintenance", "end", match[1]) == [
        f"Maintenance window {match[1]} (tag shop) is ended."
    ]
    assert run_and_get_lines(tmp_path, "maintenance", "list") == ["No active or upcoming maintenance windows."]
    assert " tag shop ended " in run_and_get_lines(tmp_path, "maintenance", "list", "--all")[1]


async def test_maintenance_add_one_off_window_ends_after_duration(backend: Backend, tmp_path: Path) -> None:
    added = run_and_parse_json(tmp_path, "maintenance", "add", "--service", "{db}", "--for", "30m", *COMMENT)
    assert (added["cron"], added["duration_s"], added["time_zone"]) == (None, None, None)
    [(seconds,)] = backend.execute(
        "SELECT extract(epoch FROM ends_at - starts_at)::integer FROM vigilbase.suppressions"
    )
    assert seconds == 1800
    row = run_and_get_lines(tmp_path, "maintenance", "list")[1]
    assert re.search(rf" \{{db\}} now {MOMENT} {MOMENT} ada backups$", row)


async def test_silence_and_maintenance_end_unknown_or_ambiguous_id_is_one_line_error(
    backend: Backend, tmp_path: Path
) -> None:
    ids = [f"4f3a{n}000-0000-4000-8000-000000000001" for n in range(2)]
    for command, noun in (("silence", "silence"), ("maintenance", "maintenance window")):
        backend.execute("DELETE FROM vigilbase.suppressions")
        for id_ in ids:
            backend.execute(
                "INSERT INTO vigilbase.suppressions (id, kind, tag, starts_at, ends_at, author, comment) "
                f"VALUES ('{id_}', '{command}', 'shop', now(), now() + interval '1 hour', 'ada', 'why')"
            )
        hint = f"; `vigilbase {command} list --all` lists the ids\n"
        require_one_line_error(run_command(tmp_path, command, "end", "abcd"), f"there is no {noun} abcd", hint)
        several = f"several {noun}s begin with 4f3a: {ids[0]}, {ids[1]}"
        require_one_line_error(run_command(tmp_path, command, "end", "4f3a"), several, hint)
        require_one_line_error(run_command(tmp_path, command, "end", "4f3"), '"4f3": id must be', "4 digits", hint)


async def test_silence_add_without_author_uses_login_name(backend: Backend, tmp_path: Path) -> None:
    arguments = ("silence", "add", "--tag", "shop", "--for", "1h", "--comment", "x")
    result = run(*arguments, cwd=tmp_path, environ={"LOGNAME": "grace"})
    assert result.returncode == 0
    assert backend.execute("SELECT author FROM vigilbase.suppressions") == [("grace",)]


async def test_silence_and_maintenance_add_unknown_service_or_tag_prints_hint(backend: Backend, tmp_path: Path) -> None:
    """It is created nevertheless, because the service may be added later."""
    (tmp_path / "vigilbase.yaml").write_text("services: [{name: shop-api, tcp: 'localhost:1', tags: [shop]}]\n")
    for command in ("silence", "maintenance"):
        noun = "silence" if command == "silence" else "window"
        hints = {
            ("--service", "shop-appi"): 'No service matches "shop-appi" yet; did you mean shop-api?\n',
            ("--service", "web"): f'No service matches "web" yet; the {noun} will apply to services added later.\n',
            ("--tag", "shp"): 'No service matches "tag shp" yet; did you mean shop?\n',
            ("--service", "shop-*"): "",
            ("--tag", "shop"): "",
        }
        for options, hint in hints.items():
            result = run_command(tmp_path, command, "add", *options, "--for", "1h", *COMMENT)
            assert (result.returncode, result.stderr) == (0, hint)
