"""The probe `dns`: whether a name has a record, and the expected one."""

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

from vigilbase.domain import JSON, ProbeResult
from vigilbase.net.error_text import describe_error
from vigilbase.net.trace import current_trace
from vigilbase.probes.kind import make_kind

MAX_ANSWERS = 20  # in the details
_PORT = 53
_ATTEMPTS = 3  # within the timeout, so that one lost datagram is not an outage

Record = Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA"]


class DnsExpectation(BaseModel):
    """`expect:` of a dns service: records that the answers must contain, written as in a zone file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: tuple[str, ...]

    @field_validator("answers", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _make_list(cls, value: object) -> object:
        answers = [value] if isinstance(value, str) else value
        if not isinstance(answers, list) or not answers or not all(isinstance(item, str) for item in answers):
            raise ValueError("must be a record or a list of records, such as 192.0.2.1")
        return answers


class DnsTarget(BaseModel):
    """The fields of a dns service. Without `resolver`, the probe queries the system's resolver."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    record: Annotated[Record, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)] = "A"
    dns: str
    resolver: str | None = None
    expect: DnsExpectation | None = None

    @field_validator("dns")
    @classmethod
    def _require_name(cls, value: str, info: ValidationInfo) -> str:
        parse_query_name(value, info.data.get("record", "A"))
        return value

    @field_validator("resolver")
    @classmethod
    def _require_address(cls, value: str | None) -> str | None:
        if value is not None:
            parse_address_and_port(value)
        return value

    @field_validator("expect")
    @classmethod
    def _require_records(cls, value: DnsExpectation | None, info: ValidationInfo) -> DnsExpectation | None:
        for text in value.answers if value and "record" in info.data else ():
            parse_record(text, info.data["record"])
        return value


def parse_query_name(text: str, record: str) -> dns.name.Name:
    """Parse a fully qualified name, or for a PTR record also an IP address.

    Raises:
        ValueError: the text is not a valid name.

    """
    if record == "PTR" and (address := _parse_ip_address(text)):
        return dns.reversename.from_address(address)
    try:
        # dnspython accepts these characters, but they show that the text is a URL or an address.
        if text and not _parse_ip_address(text) and not set(text) & set(" /:@"):
            return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError):
        pass
    raise ValueError("must be a name, such as example.com" + (", or an IP address" if record == "PTR" else ""))


def parse_address_and_port(text: str) -> tuple[str, int]:
    """Parse a resolver's IP or IP:PORT; the default port is 53.

    Raises:
        ValueError: the text is neither.

    """
    if address := _parse_ip_address(text):
        return address, _PORT
    try:
        parts = urlsplit(f"//{text}")
        address = _parse_ip_address(parts.hostname or "")
        if address and parts.port and parts.netloc == text and "@" not in text:
            return address, parts.port
    except ValueError:
        pass
    raise ValueError("must be an IP address with or without a port, such as 192.0.2.53, 192.0.2.53:5353 or [::1]:53")


def parse_record(text: str, record: str) -> dns.rdata.Rdata:
    """Parse a record as written in a zone file; for TXT, just the text without quotes.

    Raises:
        ValueError: the text is not a valid record of this type.

    """
    record_type = dns.rdatatype.from_text(record)
    if record_type == dns.rdatatype.TXT:
        encoded = text.encode(errors="replace")
        # A TXT record holds strings of at most 255 bytes (RFC 1035, section 3.3).
        pieces = [encoded[start : start + 255] for start in range(0, len(encoded), 255)]
        return TXT(dns.rdataclass.IN, record_type, pieces or [b""])
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, record_type, text, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError):
        raise ValueError(f"answers: {text!r} is not a valid {record} record") from None


async def probe_dns(target: DnsTarget, timeout: float) -> ProbeResult:
    """Query the record. Nothing is cached here, but the resolver's cache applies, as for any application."""
    name = parse_query_name(target.dns, target.record)
    current_trace().begin("query", "waiting for the resolver")
    try:
        answer = await _make_resolver(target.resolver, timeout).resolve(name, target.record, lifetime=timeout)
    except dns.resolver.LifetimeTimeout:
        raise TimeoutError from None
    except dns.resolver.NXDOMAIN:
        return ProbeResult("down", f"the name {target.dns} doesn't exist")
    except dns.resolver.NoAnswer:
        return ProbeResult("down", f"the name {target.dns} has no {target.record} record")
    except dns.resolver.NoNameservers as error:
        return ProbeResult("down", _describe_failure(error))
    except dns.resolver.NoResolverConfiguration:
        return ProbeResult("down", "the system has no resolver; set `resolver: IP`")
    records = list(answer)
    texts = sorted(_to_text(record) for record in records)  # servers shuffle them
    details = {
        "answers": texts[:MAX_ANSWERS],
        "ttl_s": answer.chaining_result.minimum_ttl,
        **_describe_resolver(answer),
    }
    if missing := _list_missing(target, records):
        message = f"expected {', '.join(missing)} among the answers, got {', '.join(texts)}"
        return ProbeResult("down", message, details)
    return ProbeResult(probe_details=details)


def _make_resolver(address: str | None, timeout: float) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=address is None)
    if address is not None:
        host, resolver.port = parse_address_and_port(address)
        resolver.nameservers = [host]
    resolver.timeout = timeout / _ATTEMPTS
    return resolver


def _list_missing(target: DnsTarget, records: Iterable[dns.rdata.Rdata]) -> list[str]:
    """The expected records that are missing, compared by the rules of DNS."""
    expected = target.expect.answers if target.expect else ()
    present = {_to_comparable(record) for record in records}
    return [text for text in expected if _to_comparable(parse_record(text, target.record)) not in present]


def _to_comparable(record: dns.rdata.Rdata) -> bytes:
    """A form that is equal for equal records. The strings of a TXT record are joined into one text."""
    return b"".join(record.strings) if isinstance(record, TXT) else record.to_digestable(dns.name.root)


def _to_text(record: dns.rdata.Rdata) -> str:
    if isinstance(record, TXT):
        return _to_comparable(record).replace(b"\x00", b"").decode(errors="replace")
    text = record.to_text()
    return text.removesuffix(".") or text


def _describe_resolver(answer: dns.resolver.Answer) -> Mapping[str, JSON]:
    host = str(answer.nameserver)
    return {"resolver": f"[{host}]:{answer.port}" if ":" in host else f"{host}:{answer.port}"}


def _describe_failure(error: dns.resolver.NoNameservers) -> str:
    """Why the last resolver gave no answer."""
    reason: object = error.kwargs["errors"][-1][3] if error.kwargs.get("errors") else None
    if isinstance(reason, dns.exception.DNSException):
        return "the resolver's answer is invalid"
    if isinstance(reason, Exception):
        return f"no answer from the resolver: {describe_error(reason)}"
    if reason == dns.rcode.to_text(dns.rcode.REFUSED):
        return "the resolver refused the query"
    return f"the resolver failed ({reason})" if reason else "no answer from the resolver"


def _parse_ip_address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


KIND = make_kind(DnsTarget, probe_dns)
