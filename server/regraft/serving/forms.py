"""Files in a form, as `curl -F file=@picture.png` sends them."""

from collections.abc import AsyncGenerator, Mapping

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from regraft.serving.tensors import BadRequestError

KIND = "multipart/form-data"
MOST_FILES = 512


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith(KIND)


async def read_files(headers: Mapping[str, str], body: bytes) -> list[bytes]:
    """The contents of all files in order; BadRequestError if there is none or it is no form."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(Headers(headers), stream(), max_files=MOST_FILES).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise BadRequestError(f"The form cannot be read: {error}.") from error
    items = [item for _, item in form.multi_items()]
    files = [await item.read() for item in items if isinstance(item, UploadFile)]
    await form.close()
    if not files or len(files) < len(items):
        raise BadRequestError("The form must hold files and nothing else: curl -F file=@FILE URL.")
    return files
