"""Whether Supabase's URL and key have the right form. No error shows any part of them."""

import base64
import binascii
import json
from urllib.parse import urlsplit

from vigilbase.errors import ConfigurationError


def check_supabase_url(url: str) -> None:
    """Reject anything but the URL of a Supabase project.

    Raises:
        ConfigurationError: the URL has another form.

    """
    try:
        parts = urlsplit(url)
        # Reading `port` raises a ValueError if it isn't a number up to 65535.
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_valid = is_valid and parts.path in ("", "/") and not parts.query and "@" not in parts.netloc
        is_valid = is_valid and url.isprintable() and " " not in url
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ConfigurationError("SUPABASE_URL is malformed: set it to your project's URL, https://PROJECT.supabase.co")


def check_service_key(key: str) -> None:
    """Reject keys under which row-level security would hide every row without saying so.

    The forms are those of https://supabase.com/docs/guides/api/api-keys: sb_publishable_…, sb_secret_…, or a JWT with a
    role.

    Raises:
        ConfigurationError: the key is not a secret or service_role key.

    """
    role = _read_jwt_role(key)
    if key.startswith("sb_publishable_") or role in ("anon", "authenticated"):
        raise ConfigurationError(
            "the Supabase key is a publishable (anon) key, which reads nothing under row-level security: set "
            "SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…) or SUPABASE_SERVICE_ROLE_KEY to its "
            "service_role key"
        )
    if not key.startswith("sb_secret_") and role != "service_role":
        raise ConfigurationError(
            "the Supabase key is neither a secret key (sb_secret_…) nor a service_role key: copy one from the "
            "project's API settings into SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError("the Supabase key contains characters that no key has: copy it again")


def _read_jwt_role(key: str) -> str | None:
    """The `role` claim of a JSON Web Token (RFC 7519), unverified; None if the key isn't one."""
    try:
        payload = key.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["role"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
