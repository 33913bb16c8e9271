"""The probe `dns` with a DNS server on loopback, over UDP and TCP."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from pydantic import ValidationError

from tests.support.loopback import SHORT, TIMED_OUT, get_details, get_phases, probe_target, require_timed_out
from vigilbase.domain import ProbeResult
from vigilbase.probes import PROBES

ZONE = {
    ("example.com.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("example.com.", "AAAA"): ["2001:db8::1"],
    ("example.com.", "MX"): ["10 mail.example.com."],
    ("example.com.", "NS"): ["ns.example.com."],
    ("example.com.", "TXT"): ['"v=spf1 " "-all"', '"semi;colon"'],
    ("example.com.", "SOA"): ["ns.example.com. admin.example.com. 1 2 3 4 5"],
    ("example.com.", "CAA"): ['0 issue "ca.example.net"'],
    ("_sip._tcp.example.com.", "SRV"): ["1 2 5060 sip.example.com."],
    ("www.example.com.", "CNAME"): ["example.com."],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["example.com."],
    ("many.example.com.", "A"): [f"192.0.2.{number}" for number in range(1, 31)],
}


def _answer_from_zone(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    name, record = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
    if (str(name), record) not in ZONE and (str(name), "CNAME") in ZONE:
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", *ZONE[str(name), "CNAME"]))
        name = dns.name.from_text(ZONE[str(name), "CNAME"][0])
    if values := ZONE.get((str(name), record)):
        response.answer.append(dns.rrset.from_text(name, 300, "IN", record, *values))
    elif not any(str(name) == known for known, _ in ZONE):
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response


def _answer_with_code(code: dns.rcode.Rcode) -> Callable[[dns.message.Message], dns.message.Message]:
    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(code)
        return response

    return answer


@dataclass
class DnsServer(asyncio.DatagramProtocol):
    """Answers datagrams with `answer` (None: no answer) and connections from the zone; records `transports`."""

    answer: Callable[[dns.message.Message], dns.message.Message | bytes | None]
    port: int = 0
    transports: list[str] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self.transports.append("udp")
        answer = self.answer(dns.message.from_wire(data))
        if answer is not None and self._transport:
            self._transport.sendto(answer if isinstance(answer, bytes) else answer.to_wire(), addr)

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.transports.append("tcp")
        length = struct.unpack("!H", await reader.readexactly(2))[0]
        wire = _answer_from_zone(dns.message.from_wire(await reader.readexactly(length))).to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _run_dns_server(
    answer: Callable[[dns.message.Message], dns.message.Message | bytes | None] = _answer_from_zone,
    host: str = "127.0.0.1",
) -> AsyncIterator[DnsServer]:
    server = DnsServer(answer)
    connections = await asyncio.start_server(server.handle_connection, host, 0)
    server.port = connections.sockets[0].getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=(host, server.port)
    )
    try:
        yield server
    finally:
        datagrams.close()
        connections.close()


async def _probe(server: DnsServer, name: str, timeout: float = 5, **values: object) -> ProbeResult:
    return await probe_target("dns", name, timeout, **{"resolver": f"127.0.0.1:{server.port}", **values})


@pytest.mark.parametrize(
    ("name", "record", "answers"),
    [
        ("example.com", "A", ["192.0.2.1", "192.0.2.2"]),
        ("example.com.", "aaaa", ["2001:db8::1"]),
        ("example.com", "MX", ["10 mail.example.com"]),
        ("example.com", "NS", ["ns.example.com"]),
        ("example.com", "TXT", ["semi;colon", "v=spf1 -all"]),
        ("example.com", "SOA", ["ns.example.com. admin.example.com. 1 2 3 4 5"]),
        ("example.com", "CAA", ['0 issue "ca.example.net"']),
        ("_sip._tcp.example.com", "SRV", ["1 2 5060 sip.example.com"]),
        ("www.example.com", "CNAME", ["example.com"]),
        ("192.0.2.1", "PTR", ["example.com"]),
        ("1.2.0.192.in-addr.arpa", "PTR", ["example.com"]),
    ],
)
async def test_probe_dns_existing_record_is_healthy(name: str, record: str, answers: list[str]) -> None:
    async with _run_dns_server() as server:
        result = await _probe(server, name, record=record)
        assert (result.status, result.error_message) == ("healthy", None)
        assert get_details(result) == {
            "answers": answers,
            "ttl_s": 300,
            "resolver": f"127.0.0.1:{server.port}",
            "phases": {"query_ms": get_phases(result)["query_ms"]},
        }


async def test_probe_dns_default_record_is_a_and_follows_cname() -> None:
    async with _run_dns_server() as server:
        result = await _probe(server, "www.example.com")
    assert (get_details(result)["answers"], get_details(result)["ttl_s"]) == (["192.0.2.1", "192.0.2.2"], 60)


async def test_probe_dns_repeated_probe_queries_again() -> None:
    async with _run_dns_server() as server:
        await _probe(server, "example.com")
        await _probe(server, "example.com")
    assert server.transports == ["udp", "udp"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("A", "192.0.2.2"),
        ("A", ["192.0.2.2", "192.0.2.1"]),
        ("AAAA", "2001:0DB8:0::1"),
        ("MX", "10 Mail.EXAMPLE.com"),
        ("NS", "ns.example.com."),
        ("TXT", "v=spf1 -all"),
        ("TXT", "semi;colon"),
        ("CAA", '0 issue "ca.example.net"'),
    ],
)
async def test_probe_dns_equivalent_expected_answer_matches(record: str, expected: object) -> None:
    async with _run_dns_server() as server:
        result = await _probe(server, "example.com", record=record, expect={"answers": expected})
    assert (result.status, result.error_message) == ("healthy", None)


async def test_probe_dns_missing_expected_answer_is_down_with_answers() -> None:
    async with _run_dns_server() as server:
        result = await _probe(server, "example.com", expect={"answers": ["192.0.2.1", "203.0.113.9"]})
        assert result.status == "down"
        assert result.error_message == "expected 203.0.113.9 among the answers, got 192.0.2.1, 192.0.2.2"
        assert get_details(result)["answers"] == ["192.0.2.1", "192.0.2.2"]
        result = await _probe(server, "example.com", record="TXT", expect={"answers": "V=spf1 -all"})
        assert result.error_message == "expected V=spf1 -all among the answers, got semi;colon, v=spf1 -all"


async def test_probe_dns_many_answers_compares_all_and_keeps_twenty() -> None:
    async with _run_dns_server() as server:
        result = await _probe(server, "many.example.com", expect={"answers": [f"192.0.2.{n}" for n in range(1, 31)]})
    assert result.status == "healthy"
    assert len(get_details(result)["answers"]) == 20  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "record", "message"),
    [
        ("nowhere.example.com", "A", "the name nowhere.example.com doesn't exist"),
        ("_sip._tcp.example.com", "MX", "the name _sip._tcp.example.com has no MX record"),
    ],
)
async def test_probe_dns_missing_name_or_record_is_down(name: str, record: str, message: str) -> None:
    async with _run_dns_server() as server:
        result = await _probe(server, name, record=record)
    assert (result.status, result.error_message) == ("down", message)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (dns.rcode.REFUSED, "the resolver refused the query"),
        (dns.rcode.SERVFAIL, "the resolver failed (SERVFAIL)"),
        (dns.rcode.NOTIMP, "the resolver failed (NOTIMP)"),
    ],
)
async def test_probe_dns_resolver_error_is_down_without_retry(code: dns.rcode.Rcode, message: str) -> None:
    async with _run_dns_server(_answer_with_code(code)) as server:
        result = await _probe(server, "example.com")
    assert (result.status, result.error_message) == ("down", message)
    assert server.transports == ["udp"]


async def test_probe_dns_silent_resolver_is_down_after_timeout() -> None:
    async with _run_dns_server(lambda _: None) as server:
        result = await _probe(server, "example.com", timeout=SHORT)
    assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (waiting for the resolver)")
    require_timed_out(result)


async def test_probe_dns_one_lost_datagram_is_healthy() -> None:
    queries: list[dns.message.Message] = []

    def ignore_first(query: dns.message.Message) -> dns.message.Message | None:
        queries.append(query)
        return _answer_from_zone(query) if len(queries) > 1 else None

    async with _run_dns_server(ignore_first) as server:
        result = await _probe(server, "example.com", timeout=3)
    assert result.status == "healthy"


async def test_probe_dns_truncated_answer_is_fetched_over_tcp() -> None:
    def truncate(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return response

    async with _run_dns_server(truncate) as server:
        result = await _probe(server, "example.com", expect={"answers": "192.0.2.1"})
    assert result.status == "healthy"
    assert server.transports == ["udp", "tcp"]


async def test_probe_dns_circular_answer_is_down() -> None:
    def answer_in_circle(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "CNAME", "example.com."))
        return response

    async with _run_dns_server(answer_in_circle) as server:
        result = await _probe(server, "example.com")
    assert (result.status, result.error_message) == ("down", "the resolver's answer is invalid")


async def test_probe_dns_malformed_datagram_is_ignored() -> None:
    async with _run_dns_server(lambda query: struct.pack("!H", query.id) + b"\x81\x80\xff\xff garbage") as server:
        result = await _probe(server, "example.com", timeout=SHORT)
    assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (waiting for the resolver)")


async def test_probe_dns_ipv6_resolver_is_queried() -> None:
    async with _run_dns_server(host="::1") as server:
        result = await _probe(server, "example.com", resolver=f"[::1]:{server.port}")
        assert (result.status, result.error_message) == ("healthy", None)
        assert get_details(result)["resolver"] == f"[::1]:{server.port}"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dns": ""}, "must be a name, such as example.com"),
        ({"dns": "https://example.com"}, "must be a name, such as example.com"),
        ({"dns": "a..b"}, "must be a name, such as example.com"),
        ({"dns": f"{'x' * 64}.example.com"}, "must be a name, such as example.com"),
        ({"dns": "192.0.2.1"}, "must be a name, such as example.com"),
        ({"dns": "not a name", "record": "PTR"}, "must be a name, such as example.com, or an IP address"),
        ({"dns": "example.com", "record": "ANY"}, "Input should be 'A', 'AAAA'"),
        ({"dns": "example.com", "record": 1}, "Input should be 'A', 'AAAA'"),
        ({"dns": "example.com", "resolver": "ns.example.com"}, "must be an IP address with or without a port"),
        ({"dns": "example.com", "resolver": "192.0.2.1:x"}, "must be an IP address with or without a port"),
        ({"dns": "example.com", "resolver": "192.0.2.1:99999"}, "must be an IP address with or without a port"),
        ({"dns": "example.com", "expect": {"answers": "::1"}}, "answers: '::1' is not a valid A record"),
        (
            {"dns": "example.com", "record": "MX", "expect": {"answers": "mail"}},
            "answers: 'mail' is not a valid MX record",
        ),
        ({"dns": "example.com", "expect": {"answers": []}}, "must be a record or a list of records"),
        ({"dns": "example.com", "expect": {"answers": [1]}}, "must be a record or a list of records"),
        ({"dns": "example.com", "expect": {"answer": "192.0.2.1"}}, "expect.answers\n  Field required"),
    ],
)
def test_dns_target_invalid_field_is_rejected(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        PROBES["dns"].bind(values, 1)
    assert message in str(error.value)


def test_dns_target_resolver_without_port_is_accepted() -> None:
    for resolver in ("192.0.2.53", "2001:db8::53"):
        PROBES["dns"].bind({"dns": "müller.example", "resolver": resolver}, 1)
