"""Every error that a client may be told: a stable code, an HTTP status and a sentence that helps.

Services raise these; the HTTP door renders them as RFC 9457 problem+json, the WebSocket door as an `error` frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import TypedDict


class FieldError(TypedDict):
    """What is wrong with one field of the input."""

    field: str
    message: str


# The root of all errors that clients see; its docstring, as those of the others, stands in the page of errors. `detail`
# is one sentence, without secrets and without SQL.
class AppError(Exception):
    """A defect of ours; nothing of its cause is told."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    detail: str = "Something went wrong on our side; please try again."

    def __init__(
        self, detail: str | None = None, *, errors: Sequence[FieldError] = (), retry_after: int | None = None
    ) -> None:
        """`retry_after` is in seconds and becomes the header Retry-After."""
        self.detail = detail or type(self).detail
        self.errors = list(errors)
        self.retry_after = retry_after
        super().__init__(self.detail)


class MalformedRequest(AppError):
    """The input cannot be read at all: broken JSON, broken multipart."""

    status, code, title = 400, "malformed_request", "Malformed request"
    detail = "The request is not well-formed."


class Unauthenticated(AppError):
    """No token, or one that is not (or no longer) good."""

    status, code, title = 401, "unauthenticated", "Not signed in"
    detail = "A valid access token is needed: Authorization: Bearer <access token>."


class TokenExpired(Unauthenticated):
    """The access token's life is over; refresh it."""

    code, title = "token_expired", "Token expired"
    detail = "The access token has expired: refresh it."


class SessionRevoked(Unauthenticated):
    """The session was signed out."""

    code, title = "session_revoked", "Signed out"
    detail = "This session was signed out: sign in again."


class InvalidCredentials(Unauthenticated):
    """Wrong phone number or password; the two are never told apart."""

    code, title = "invalid_credentials", "Wrong phone number or password"
    detail = "The phone number or the password is wrong."


class InvalidRefreshToken(Unauthenticated):
    """A refresh token that is broken, expired, revoked or was used before."""

    code, title = "invalid_refresh_token", "Refresh token not valid"
    detail = "The refresh token is not valid any more: sign in again."


class Forbidden(AppError):
    """Known, but not allowed."""

    status, code, title = 403, "forbidden", "Not allowed"
    detail = "You are not allowed to do this."


class EditWindowOver(Forbidden):
    """The message is too old to be edited."""

    code, title = "edit_window_over", "Too old to edit"
    detail = "This message is too old to be edited."


class ReceiptsUnavailable(Forbidden):
    """The chat is a channel, or too large to tell who has read what."""

    code, title = "receipts_unavailable", "No receipts here"
    detail = "Channels, and groups of more than 200 members, do not tell who has read a message."


class LinkExpired(Forbidden):
    """The life of a signed link to a file is over."""

    code, title = "link_expired", "Link expired"
    detail = "This link has expired: ask for the file again to get a new one."


class InvalidLink(Forbidden):
    """A link to a file that was not signed by this server, or was changed since."""

    code, title = "invalid_link", "Link not valid"
    detail = "This link is not valid: use the links of File objects as they are."


class NotFound(AppError):
    """Not there, or not to be known by this caller."""

    status, code, title = 404, "not_found", "Not found"
    detail = "There is nothing here, or it is not visible to you."


class MethodNotAllowed(AppError):
    """The path exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"
    detail = "This path does not answer that method."


class Conflict(AppError):
    """The state does not admit it."""

    status, code, title = 409, "conflict", "Conflict"
    detail = "The current state does not admit this."


class UsernameTaken(Conflict):
    """Somebody else has the username."""

    code, title = "username_taken", "Username taken"
    detail = "This username is taken."


class ClientIdReused(Conflict):
    """A `client_id` came again with another message."""

    code, title = "client_id_reused", "client_id used before"
    detail = "This client_id was used for another message: make a new one for each message."


class FileIdReused(Conflict):
    """The `id` of an upload is that of another file."""

    code, title = "file_id_reused", "File id used before"
    detail = "This id was used for another file: make a new one for each file."


class FileUnavailable(Conflict):
    """The file is still being looked at, or was refused; only its owner may have it."""

    code, title = "file_unavailable", "File not available"
    detail = "This file is still being looked at, or could not be accepted."


class DirectUploadUnavailable(Conflict):
    """This server keeps files itself: they are sent to it."""

    code, title = "direct_upload_unavailable", "Send files to this server"
    detail = "Files are kept by this server: send them to POST /api/files/upload, or to /api/files/tus."


class WrongOffset(Conflict):
    """Bytes of an upload came for another place than where it goes on."""

    code, title = "wrong_offset", "Upload goes on elsewhere"
    detail = "The upload goes on at another offset: ask with HEAD where."


class OwnerMustHandOver(Conflict):
    """The owner of a chat of several people would leave it without one."""

    code, title = "owner_must_hand_over", "Hand the chat over first"
    detail = "Make another member the owner first."


class Busy(Conflict):
    """One of the two is in a call already."""

    code, title = "busy", "Busy"
    detail = "One of you is in another call."


class CallEnded(Conflict):
    """The call is over."""

    code, title = "call_ended", "The call is over"
    detail = "This call is over."


class AnsweredElsewhere(Conflict):
    """Another device of the callee has the call."""

    code, title = "answered_elsewhere", "Answered elsewhere"
    detail = "Another device of yours has this call."


class GroupCallsUnavailable(Conflict):
    """This server has no LiveKit, which group calls need."""

    code, title = "group_calls_unavailable", "No group calls here"
    detail = "This server is not set up for calls in groups."


class TooLarge(AppError):
    """The body is larger than the limit."""

    status, code, title = 413, "too_large", "Too large"
    detail = "The request is larger than this server accepts."


class QuotaExceeded(TooLarge):
    """All files of the person together would be larger than the limit."""

    code, title = "quota_exceeded", "No room left"
    detail = "All your files together would be larger than this server allows: delete some."


class PreconditionFailed(AppError):
    """The request speaks another version of tus than 1.0.0."""

    status, code, title = 412, "precondition_failed", "Another version of tus"
    detail = "Send Tus-Resumable: 1.0.0."


class UploadBusy(AppError):
    """Another request is adding to the upload."""

    status, code, title = 423, "upload_busy", "Upload busy"
    detail = "Another request is adding to this upload: try again in a moment."


class ChecksumMismatch(AppError):
    """The bytes of a piece are not those that its Upload-Checksum names; nothing of it was kept."""

    status, code, title = 460, "checksum_mismatch", "Checksum does not fit"
    detail = "The piece arrived damaged and was not kept: send it again."


class UnsupportedMediaType(AppError):
    """The body is of another type than this endpoint reads."""

    status, code, title = 415, "unsupported_media_type", "Wrong type of body"
    detail = "Send the body as application/json."


class RangeNotSatisfiable(AppError):
    """The part of a file asked for lies outside of it."""

    status, code, title = 416, "range_not_satisfiable", "No such part"
    detail = "The file has no such part."


class ValidationFailed(AppError):
    """Readable, but a field is not acceptable; `errors` names each."""

    status, code, title = 422, "validation_failed", "Invalid input"
    detail = "The input is not valid: see errors."


class InvalidCode(AppError):
    """The one-time code is wrong, expired, used, or had too many tries."""

    status, code, title = 422, "invalid_code", "Wrong code"
    detail = "The code is wrong or has expired: ask for a new one."


class RateLimited(AppError):
    """Too much in too short a time."""

    status, code, title = 429, "rate_limited", "Too many requests"
    detail = "Too many requests: wait as long as Retry-After says."


class TooManyAtOnce(RateLimited):
    """So much of the person's is at work or waiting already that nothing more is taken on."""

    code, title = "too_many_at_once", "Too many at once"
    detail = "Too many of your requests wait for an answer: wait for some of them first."


class FilesWaiting(RateLimited):
    """So many files of the person wait to be looked at that no further one is taken for now."""

    code, title = "files_waiting", "Files are waiting"
    detail = "Too many of your files are still being looked at: send more when some are ready."


class Unavailable(AppError):
    """PostgreSQL, Redis or the storage of files is away or busy; trying again helps."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"
    detail = "The service is temporarily unavailable: please try again."

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail, retry_after=retry_after)
