"""One question to a service of emission factors: a time limit, a size limit, no redirects."""

import base64
import json
import time
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from edgectl.accounting.factor_requests import SERVICES, request_for
from edgectl.accounting.factor_shapes import ANSWER_BYTES_MAX, NS_PER_S, Asked
from edgectl.accounting.factors import Factor, Scope, refused

TIMEOUT_S = 10.0  # of each step on the socket
WHOLE_S = 30.0  # of the whole answer: a server that drips is given up
CHUNK_BYTES = 65_536
LOGIN_NS = 25 * 60 * NS_PER_S  # WattTime's token lives for 30 minutes


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the token to another host."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Followed by nobody: the answer is then an error with its own code."""


class HttpSource:
    """Asks one service for one zone."""

    def __init__(
        self, service: str, zone: str, provider_zone: str, scope: Scope, *,
        url: str | None = None, token: str = "",
    ) -> None:  # fmt: skip
        """Nothing is contacted before ask().

        zone            the site's name; provider_zone is the service's
        url             in place of the service's own base
        token           for WattTime user:password, which its login turns into one
        """
        self.service = service
        self._base = url or SERVICES[service].url
        self._names = (zone, provider_zone)
        self._scope = scope
        self._token = token
        self._login: tuple[int, str] | None = None
        self._opener = build_opener(_NoRedirect)

    def ask(self, now_ns: int) -> list[Factor]:
        """Factors of now and of the hours before. Raises DataError with what went wrong."""
        zone, provider_zone = self._names
        token = self._bearer(now_ns) if self.service == "watttime" else self._token
        request = request_for(self.service, self._base, provider_zone, self._scope, token, now_ns)
        content = self._get(request.url, request.shown, dict(request.headers))
        asked = Asked(zone, provider_zone, self._scope, now_ns)
        return SERVICES[self.service].parse(content, asked)

    def _bearer(self, now_ns: int) -> str:
        if self._login is None or now_ns - self._login[0] > LOGIN_NS:
            shown = f"{self._base}/login"
            basic = base64.b64encode(self._token.encode()).decode()
            content = self._get(shown, shown, {"Authorization": f"Basic {basic}"})
            try:
                self._login = (now_ns, str(json.loads(content)["token"]))
            except (ValueError, KeyError, TypeError) as error:
                raise refused(shown, "its login gave no token", "Check user and password.") from (
                    error
                )
        return self._login[1]

    def _get(self, url: str, shown: str, headers: dict[str, str]) -> bytes:
        """The answer's bytes. `shown` is what a message may say: `url` may hold a token."""
        end_s = time.monotonic() + WHOLE_S
        try:
            with self._opener.open(Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
                content = b""
                while chunk := answer.read(CHUNK_BYTES):
                    content += chunk
                    if len(content) > ANSWER_BYTES_MAX or time.monotonic() > end_s:
                        raise refused(
                            shown, f"its answer passed {len(content)} bytes or {WHOLE_S:g} s",
                            "Ask another address.",
                        )  # fmt: skip
                return content
        except HTTPError as error:
            with error:
                if error.code in (401, 403):
                    self._login = None
                remedy = "Check the token, the zone and the service's own status page."
                raise refused(shown, f"it answers {error.code}", remedy) from None
        except (OSError, HTTPException, ValueError) as error:
            problem = f"it cannot be reached: {type(error).__name__}"
            raise refused(shown, problem, "Check network and address.") from None
