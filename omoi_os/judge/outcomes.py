"""From what the library and the provider say to one of our outcomes. Pure."""

from __future__ import annotations

from typing import Final

from omoi_os.judge.run import RunOutcome

# Codes of the agent's error events, which are the same for a local and for a remote conversation.
_BY_CODE: Final = {
    "MaxIterationsReached": RunOutcome.ITERATION_LIMIT,
    "MaxBudgetReached": RunOutcome.BUDGET,
    "LLMAuthenticationError": RunOutcome.MISCONFIGURED,
    "LLMBadRequestError": RunOutcome.MISCONFIGURED,
    "LLMContextWindowTooSmallError": RunOutcome.MISCONFIGURED,
    "NotFoundError": RunOutcome.MISCONFIGURED,
    "PermissionDeniedError": RunOutcome.MISCONFIGURED,
    "LLMContextWindowExceedError": RunOutcome.TOO_LARGE,
    "LLMContentPolicyViolationError": RunOutcome.REFUSED,
    "LLMRateLimitError": RunOutcome.RATE_LIMITED,
    "LLMTimeoutError": RunOutcome.UNAVAILABLE,
    "LLMServiceUnavailableError": RunOutcome.UNAVAILABLE,
    "LLMNoResponseError": RunOutcome.UNAVAILABLE,
    "APIError": RunOutcome.UNAVAILABLE,
    "BadGatewayError": RunOutcome.UNAVAILABLE,
}
_BY_STATUS: Final = {
    401: RunOutcome.MISCONFIGURED,
    402: RunOutcome.QUOTA,
    403: RunOutcome.MISCONFIGURED,
    404: RunOutcome.MISCONFIGURED,
    408: RunOutcome.UNAVAILABLE,
    413: RunOutcome.TOO_LARGE,
    429: RunOutcome.RATE_LIMITED,
}
_QUOTA: Final = (
    "quota",
    "billing",
    "credit balance",
    "out of credits",
    "insufficient_funds",
    "spending limit",
)
_NO_KEY: Final = ("missing credentials", "api_key client option must be set", "no api key")


_OVERFLOW: Final = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "prompt is too long",
)
_POLICY: Final = ("content_policy_violation", "content management policy", "content_filter", "safety policy")


def of_error(code: str, detail: str, status: int | None) -> RunOutcome:
    """The outcome of a run that ended with an error event.

    Args:
        code: The event's code, which is the name of an exception or of a limit.
        detail: What the event or the provider says.
        status: Of the newest reply, where the wire is ours; it is more exact than the library's own guess,
            which for instance takes a 403 for an outage.
    """
    said = detail.lower()
    by_code = _BY_CODE.get(code, RunOutcome.INTERNAL)
    if any(words in said for words in _NO_KEY):
        return RunOutcome.MISCONFIGURED
    if status in {None, 400, 413} and any(words in said for words in _OVERFLOW):
        return RunOutcome.TOO_LARGE
    if status in {None, 400, 403} and any(words in said for words in _POLICY):
        return RunOutcome.REFUSED
    if by_code in {RunOutcome.ITERATION_LIMIT, RunOutcome.BUDGET, RunOutcome.TOO_LARGE, RunOutcome.REFUSED}:
        return by_code
    outcome = _of_status(status, by_code)
    if outcome in {RunOutcome.RATE_LIMITED, RunOutcome.MISCONFIGURED} and any(
        word in said for word in _QUOTA
    ):
        return RunOutcome.QUOTA
    return outcome


def _of_status(status: int | None, otherwise: RunOutcome) -> RunOutcome:
    if status is None:
        return otherwise
    if status < 400:
        # It was a reply, and none that could be read: that is not how it was asked for.
        return RunOutcome.UNAVAILABLE if otherwise is RunOutcome.MISCONFIGURED else otherwise
    if status >= 500:
        return RunOutcome.UNAVAILABLE
    return _BY_STATUS.get(status, otherwise)
