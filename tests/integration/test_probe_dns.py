"""The probe `dns` on a real DNS server on loopback, over UDP and TCP."""

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

from tests.support.loopback import SHORT, details, look, phases
from vigilbase.probes import KINDS
from vigilbase.vocabulary import Observation

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


def _answered(query: dns.message.Message) -> dns.message.Message:
    """What a server with that zone says."""
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


def _saying(code: dns.rcode.Rcode) -> Callable[[dns.message.Message], dns.message.Message]:
    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(code)
        return response

    return answer


@dataclass
class DnsServer(asyncio.DatagramProtocol):
    """Answers datagrams by `answer` (not at all where it returns None), and connections always from the zone."""

    answer: Callable[[dns.message.Message], dns.message.Message | bytes | None]
    port: int = 0
    asked: list[str] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self.asked.append("udp")
        answer = self.answer(dns.message.from_wire(data))
        if answer is not None and self._transport:
            self._transport.sendto(answer if isinstance(answer, bytes) else answer.to_wire(), addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append("tcp")
        length = struct.unpack("!H", await reader.readexactly(2))[0]
        wire = _answered(dns.message.from_wire(await reader.readexactly(length))).to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _serving(
    answer: Callable[[dns.message.Message], dns.message.Message | bytes | None] = _answered, host: str = "127.0.0.1"
) -> AsyncIterator[DnsServer]:
    server = DnsServer(answer)
    connections = await asyncio.start_server(server.connected, host, 0)
    server.port = connections.sockets[0].getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=(host, server.port)
    )
    try:
        yield server
    finally:
        datagrams.close()
        connections.close()


async def _look(server: DnsServer, name: str, timeout: float = 5, **values: object) -> Observation:
    return await look("dns", name, timeout, **{"resolver": f"127.0.0.1:{server.port}", **values})


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
async def test_dns_is_healthy_when_the_name_has_the_record(name: str, record: str, answers: list[str]) -> None:
    async with _serving() as server:
        seen = await _look(server, name, record=record)
        assert (seen.status, seen.error_message) == ("healthy", None)
        resolver = f"127.0.0.1:{server.port}"
        assert details(seen) == {
            "answers": answers, "ttl_s": 300, "resolver": resolver, "phases": {"query_ms": phases(seen)["query_ms"]}
        }  # fmt: skip


async def test_dns_asks_for_an_address_unless_told_otherwise_and_follows_aliases() -> None:
    async with _serving() as server:
        seen = await _look(server, "www.example.com")
    assert (details(seen)["answers"], details(seen)["ttl_s"]) == (["192.0.2.1", "192.0.2.2"], 60)


async def test_dns_asks_anew_each_time() -> None:
    async with _serving() as server:
        await _look(server, "example.com")
        await _look(server, "example.com")
    assert server.asked == ["udp", "udp"]


@pytest.mark.parametrize(
    ("record", "wanted"),
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
async def test_expected_answers_compare_as_dns_compares_them(record: str, wanted: object) -> None:
    async with _serving() as server:
        seen = await _look(server, "example.com", record=record, expect={"answers": wanted})
    assert (seen.status, seen.error_message) == ("healthy", None)


async def test_an_expected_answer_that_is_missing_is_down_and_the_answers_are_kept() -> None:
    async with _serving() as server:
        seen = await _look(server, "example.com", expect={"answers": ["192.0.2.1", "203.0.113.9"]})
        assert seen.status == "down"
        assert seen.error_message == "expected 203.0.113.9 among the answers, got 192.0.2.1, 192.0.2.2"
        assert details(seen)["answers"] == ["192.0.2.1", "192.0.2.2"]
        seen = await _look(server, "example.com", record="TXT", expect={"answers": "V=spf1 -all"})
        assert seen.error_message == "expected V=spf1 -all among the answers, got semi;colon, v=spf1 -all"


async def test_of_many_answers_twenty_are_kept_and_all_are_compared() -> None:
    async with _serving() as server:
        seen = await _look(server, "many.example.com", expect={"answers": [f"192.0.2.{n}" for n in range(1, 31)]})
    assert seen.status == "healthy"
    assert len(details(seen)["answers"]) == 20  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "record", "said"),
    [
        ("nowhere.example.com", "A", "the name nowhere.example.com doesn't exist"),
        ("_sip._tcp.example.com", "MX", "there is no MX record of _sip._tcp.example.com"),
    ],
)
async def test_a_name_or_record_that_is_missing_is_down(name: str, record: str, said: str) -> None:
    async with _serving() as server:
        seen = await _look(server, name, record=record)
    assert (seen.status, seen.error_message) == ("down", said)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (dns.rcode.REFUSED, "the resolver refused"),
        (dns.rcode.SERVFAIL, "the resolver failed (SERVFAIL)"),
        (dns.rcode.NOTIMP, "the resolver failed (NOTIMP)"),
    ],
)
async def test_a_resolver_that_refuses_or_fails_is_down_at_once(code: dns.rcode.Rcode, said: str) -> None:
    async with _serving(_saying(code)) as server:
        seen = await _look(server, "example.com")
    assert (seen.status, seen.error_message) == ("down", said)
    assert server.asked == ["udp"]


async def test_a_resolver_that_never_answers_is_down_when_the_time_is_over() -> None:
    async with _serving(lambda _: None) as server:
        seen = await _look(server, "example.com", timeout=SHORT)
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (waiting for the resolver)")
    assert 300 <= seen.latency_ms < 2000


async def test_one_lost_datagram_is_no_outage() -> None:
    lost: list[dns.message.Message] = []

    def second_only(query: dns.message.Message) -> dns.message.Message | None:
        lost.append(query)
        return _answered(query) if len(lost) > 1 else None

    async with _serving(second_only) as server:
        seen = await _look(server, "example.com", timeout=1.5)
    assert seen.status == "healthy"


async def test_an_answer_that_is_cut_short_is_fetched_over_tcp() -> None:
    def truncated(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return response

    async with _serving(truncated) as server:
        seen = await _look(server, "example.com", expect={"answers": "192.0.2.1"})
    assert seen.status == "healthy"
    assert server.asked == ["udp", "tcp"]


async def test_an_answer_that_makes_no_sense_is_down() -> None:
    def circular(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "CNAME", "example.com."))
        return response

    async with _serving(circular) as server:
        seen = await _look(server, "example.com")
    assert (seen.status, seen.error_message) == ("down", "the resolver's answer makes no sense")


async def test_what_is_no_answer_is_not_taken_for_one() -> None:
    async with _serving(lambda query: struct.pack("!H", query.id) + b"\x81\x80\xff\xff garbage") as server:
        seen = await _look(server, "example.com", timeout=SHORT)
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (waiting for the resolver)")


async def test_a_resolver_with_an_ipv6_address_can_be_asked() -> None:
    async with _serving(host="::1") as server:
        seen = await _look(server, "example.com", resolver=f"[::1]:{server.port}")
        assert (seen.status, seen.error_message) == ("healthy", None)
        assert details(seen)["resolver"] == f"[::1]:{server.port}"


@pytest.mark.parametrize(
    ("values", "said"),
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
        ({"dns": "example.com", "expect": {"answers": "::1"}}, "answers: '::1' is no A record"),
        ({"dns": "example.com", "record": "MX", "expect": {"answers": "mail"}}, "answers: 'mail' is no MX record"),
        ({"dns": "example.com", "expect": {"answers": []}}, "must be a text or a list of texts"),
        ({"dns": "example.com", "expect": {"answers": [1]}}, "must be a text or a list of texts"),
        ({"dns": "example.com", "expect": {"answer": "192.0.2.1"}}, "expect.answers\n  Field required"),
    ],
)
def test_a_mistake_is_refused_when_the_file_is_read(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        KINDS["dns"].bind(values, 1)
    assert said in str(error.value)


def test_a_resolver_may_be_an_address_alone() -> None:
    for resolver in ("192.0.2.53", "2001:db8::53"):
        KINDS["dns"].bind({"dns": "müller.example", "resolver": resolver}, 1)
