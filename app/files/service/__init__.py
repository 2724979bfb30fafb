"""The rules of files, as verbs."""

from app.files.service.direct import accept_upload, offer_upload
from app.files.service.receiving import FORM_FIELDS, read_id, receive_file
from app.files.service.removal import delete_file, forget_deleted, remove_unshown
from app.files.service.resumable import (
    CHECKSUMS,
    Checksum,
    Progress,
    append,
    begin_upload,
    end_upload,
    get_progress,
)
from app.files.service.serving import Content, get_content, get_file
from app.files.service.storing import discard

__all__ = [
    "CHECKSUMS",
    "FORM_FIELDS",
    "Checksum",
    "Content",
    "Progress",
    "accept_upload",
    "append",
    "begin_upload",
    "delete_file",
    "discard",
    "end_upload",
    "forget_deleted",
    "get_content",
    "get_file",
    "get_progress",
    "offer_upload",
    "read_id",
    "receive_file",
    "remove_unshown",
]
