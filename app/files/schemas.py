"""What comes in and goes out of files."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from app.files.file import File
from app.infra.times import Timestamp
from app.web.authentication import LinkQuery
from app.web.input import LARGEST_ID, Body, Text

__all__ = ["DirectUpload", "File", "FileQuery", "NewDirectUpload"]


class FileQuery(LinkQuery):
    """Which form of a file; `download` asks the browser to save it, whatever it is."""

    thumbnail: Literal["small", "medium", "large"] | None = None
    download: bool = False


class NewDirectUpload(Body):
    """A file that is to go to the storage itself; `size` is the most that it may have, in bytes."""

    name: Annotated[Text, Field(max_length=1000)]
    size: Annotated[int, Field(ge=0, le=LARGEST_ID)]
    id: UUID | None = None


class DirectUpload(TypedDict):
    """A form to post to `url`: the `fields`, and last the file as `file`. `id` is that of the file to be."""

    id: str
    url: str
    fields: dict[str, str]
    expires_at: Timestamp
