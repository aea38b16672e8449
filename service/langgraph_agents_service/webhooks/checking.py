"""Whether a request may name this webhook."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from langgraph_agents_service.projects.webhooks import UrlPolicy
from langgraph_agents_service.webhooks.addresses import BlockedError, judge, resolve


class WebhookError(ValueError):
    """The address cannot be taken. The message says why."""


async def check(url: str, policy: UrlPolicy) -> None:
    """Raises WebhookError. A name that nobody knows now may be known when the run ends: it is taken, and looked up
    again then."""
    parts = _split(url, policy)
    host = parts.hostname or ""
    try:
        address = str(ip_address(host))
    except ValueError:
        pass
    else:
        if reason := judge(address, policy):
            raise WebhookError(f"{host} is not allowed: {reason}")
        return
    try:
        await resolve(host, parts.port or 443, policy)
    except BlockedError as error:
        raise WebhookError(f"{host} is not allowed: {error}") from None
    except (OSError, UnicodeError, TimeoutError):
        return


def _split(url: str, policy: UrlPolicy) -> SplitResult:
    if len(url) > policy.max_url_length:
        raise WebhookError(f"it is longer than {policy.max_url_length} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WebhookError(f"it is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WebhookError("it has to be a whole https:// URL")
    if any(character.isspace() or ord(character) < 32 for character in url):
        raise WebhookError("it has to be without blanks; percent-encode them")
    if parts.username is not None or parts.password is not None:
        raise WebhookError(
            "it must not hold a password, which would be logged on its way; use webhooks.headers"
        )
    if policy.require_https and parts.scheme != "https":
        raise WebhookError("it has to begin with https:// (webhooks.url.require_https of langgraph.json)")
    if not policy.allows_host(parts.hostname):
        raise WebhookError(f"{parts.hostname} is not among webhooks.url.allowed_domains of langgraph.json")
    used = port or (443 if parts.scheme == "https" else 80)
    if policy.allowed_ports and used not in policy.allowed_ports:
        raise WebhookError(f"port {used} is not among webhooks.url.allowed_ports of langgraph.json")
    return parts
