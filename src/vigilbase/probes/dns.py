"""The probe `dns`: does a name have a record, and the one that it should have?"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.reversename
from dns.rdtypes.ANY.TXT import TXT
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, field_validator

from vigilbase.probes.finding import Finding
from vigilbase.probes.trail import current_trail
from vigilbase.probes.words import in_words
from vigilbase.vocabulary import JSON

MAX_ANSWERS = 20  # that are kept in the details
_PORT = 53
_TRIES = 3  # within the timeout, so that one lost datagram is not an outage

Record = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA"]


class DnsExpectation(BaseModel):
    """`expect:` of a dns service: records that must be among the answers, written as a zone file writes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: tuple[str, ...]

    @field_validator("answers", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _list(cls, value: object) -> object:
        wanted = [value] if isinstance(value, str) else value
        if not isinstance(wanted, list) or not wanted or not all(isinstance(item, str) for item in wanted):
            raise ValueError("must be a text or a list of texts, such as 192.0.2.1")
        return wanted


class DnsTarget(BaseModel):
    """What a dns service says about its probe. Without a `resolver` it is the system's."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    record: Annotated[Record, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)] = "A"
    dns: str
    resolver: str | None = None
    expect: DnsExpectation | None = None

    @field_validator("dns")
    @classmethod
    def _name(cls, value: str, info: ValidationInfo) -> str:
        query_name(value, info.data.get("record", "A"))
        return value

    @field_validator("resolver")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            address_and_port(value)
        return value

    @field_validator("expect")
    @classmethod
    def _records(cls, value: DnsExpectation | None, info: ValidationInfo) -> DnsExpectation | None:
        for text in value.answers if value and "record" in info.data else ():
            parse_record(text, info.data["record"])
        return value


def query_name(text: str, record: str) -> dns.name.Name:
    """The name to ask for, taken as a whole (search domains are not tried); an IP address is fine for a PTR record.

    Raises:
        ValueError: the text is no such name.

    """
    if record == "PTR" and (address := _ip_address(text)):
        return dns.reversename.from_address(address)
    try:
        if text and not _ip_address(text) and not set(text) & set(" /:@"):
            return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError):
        pass
    raise ValueError("must be a name, such as example.com" + (", or an IP address" if record == "PTR" else ""))


def address_and_port(text: str) -> tuple[str, int]:
    """The two parts of a resolver's IP or IP:PORT.

    Raises:
        ValueError: the text is no such thing.

    """
    if address := _ip_address(text):
        return address, _PORT
    try:
        parts = urlsplit(f"//{text}")
        address = _ip_address(parts.hostname or "")
        if address and parts.port and parts.netloc == text and "@" not in text:
            return address, parts.port
    except ValueError:
        pass
    raise ValueError("must be an IP address with or without a port, such as 192.0.2.53, 192.0.2.53:5353 or [::1]:53")


def parse_record(text: str, record: str) -> dns.rdata.Rdata:
    """A record from its text in a zone file; for TXT just the text, without quotes.

    Raises:
        ValueError: the text is no such record.

    """
    kind = dns.rdatatype.from_text(record)
    if kind == dns.rdatatype.TXT:
        encoded = text.encode(errors="replace")
        pieces = [encoded[start : start + 255] for start in range(0, len(encoded), 255)]
        return TXT(dns.rdataclass.IN, kind, pieces or [b""])
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, kind, text, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"answers: {text!r} is no {record} record") from None


async def probe_dns(target: DnsTarget, timeout: float) -> Finding:
    """Ask for the record. Nothing is cached here; what the resolver has cached is what an application would get."""
    name = query_name(target.dns, target.record)
    current_trail().begin("query", "waiting for the resolver")
    try:
        answer = await _resolver(target.resolver, timeout).resolve(name, target.record, lifetime=timeout)
    except dns.resolver.LifetimeTimeout:
        raise TimeoutError from None
    except dns.resolver.NXDOMAIN:
        return Finding("down", f"the name {target.dns} doesn't exist")
    except dns.resolver.NoAnswer:
        return Finding("down", f"there is no {target.record} record of {target.dns}")
    except dns.resolver.NoNameservers as error:
        return Finding("down", _refusal(error))
    except dns.resolver.NoResolverConfiguration:
        return Finding("down", "the system has no resolver: name one as `resolver: IP`")
    records = list(answer)
    found = sorted(_text(record) for record in records)  # servers shuffle them
    details = {"answers": found[:MAX_ANSWERS], "ttl_s": answer.chaining_result.minimum_ttl, **_asked(answer)}
    if missing := _missing(target, records):
        got = ", ".join(found)
        return Finding("down", f"expected {', '.join(missing)} among the answers, got {got}", details)
    return Finding(details=details)


def _resolver(address: str | None, timeout: float) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=address is None)
    if address is not None:
        host, resolver.port = address_and_port(address)
        resolver.nameservers = [host]
    resolver.timeout = timeout / _TRIES
    return resolver


def _missing(target: DnsTarget, records: Iterable[dns.rdata.Rdata]) -> list[str]:
    """Which of the expected records aren't there; names compare as DNS compares them."""
    wanted = target.expect.answers if target.expect else ()
    there = {_comparable(record) for record in records}
    return [text for text in wanted if _comparable(parse_record(text, target.record)) not in there]


def _comparable(record: dns.rdata.Rdata) -> bytes:
    """What two equal records have in common: a TXT record is one text, however it is cut into strings."""
    return b"".join(record.strings) if isinstance(record, TXT) else record.to_digestable(dns.name.root)


def _text(record: dns.rdata.Rdata) -> str:
    if isinstance(record, TXT):
        return _comparable(record).replace(b"\x00", b"").decode(errors="replace")
    text = record.to_text()
    return text.removesuffix(".") or text


def _asked(answer: dns.resolver.Answer) -> Mapping[str, JSON]:
    host = str(answer.nameserver)
    return {"resolver": f"[{host}]:{answer.port}" if ":" in host else f"{host}:{answer.port}"}


def _refusal(error: dns.resolver.NoNameservers) -> str:
    """What the last resolver did instead of answering."""
    reason: object = error.kwargs["errors"][-1][3] if error.kwargs.get("errors") else None
    if isinstance(reason, dns.exception.DNSException):
        return "the resolver's answer makes no sense"
    if isinstance(reason, Exception):
        return f"no answer from the resolver: {in_words(reason)}"
    if reason == dns.rcode.to_text(dns.rcode.REFUSED):
        return "the resolver refused"
    return f"the resolver failed ({reason})" if reason else "no answer from the resolver"


def _ip_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
