"""The web console: one page and what it loads, served from the files beside this module.

The page calls the API with the key that its reader types in, so it needs none itself and holds no
data. Nothing but these files may ever run in it: the policy sent along lets the browser load from
this server only, and refuses to turn text into markup.
"""

from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from serve_app.nearest import hint, shown
from serve_app.problems import ApiProblem

PAGE_PATH = "/ui"  #: of the page; no API key is needed for it and what is below it

_FOLDER = Path(__file__).with_name("console")
_PAGE = "index.html"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Kept by the browser, but asked about every time: after an upgrade, old scripts never meet a
    # new page.
    "Cache-Control": "no-cache",
}


class _Asset(Struct, frozen=True):
    content: bytes
    media_type: str
    etag: str


def console_routes() -> APIRouter:
    """The routes of the console. Its files are read now, once.

    Raises:
        FileNotFoundError: the console's files are not beside this module.
    """
    assets = _read_assets(_FOLDER)
    router = APIRouter(include_in_schema=False)

    async def get_page(request: Request) -> Response:
        return _answer(assets[_PAGE], request)

    async def get_asset(request: Request) -> Response:
        name = request.path_params["asset"]
        if name not in assets:
            known = hint(name, sorted(assets), "files")
            detail = f"the console has no file {shown(name)}; {known}"
            return ApiProblem(HTTPStatus.NOT_FOUND, detail).response()
        return _answer(assets[name], request)

    async def go_to_page(_request: Request) -> Response:
        # Relative, so that it is also right below a prefix of a reverse proxy.
        return Response(None, HTTPStatus.TEMPORARY_REDIRECT, {"Location": f"..{PAGE_PATH}"})

    methods = ["GET", "HEAD"]
    router.add_api_route(PAGE_PATH, get_page, methods=methods)
    router.add_api_route(f"{PAGE_PATH}/", go_to_page, methods=methods)
    router.add_api_route(f"{PAGE_PATH}/{{asset}}", get_asset, methods=methods)
    return router


def _read_assets(folder: Path) -> dict[str, _Asset]:
    """What may be served, by name: files of other kinds stay private."""
    assets: dict[str, _Asset] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            etag = f'"{sha256(content).hexdigest()[:32]}"'
            assets[path.name] = _Asset(content, _MEDIA_TYPES[path.suffix], etag)
    if _PAGE not in assets:
        raise FileNotFoundError(f"{folder / _PAGE} is missing: the console is not complete")
    return assets


def _answer(asset: _Asset, request: Request) -> Response:
    headers = {**_HEADERS, "ETag": asset.etag}
    if asset.etag in _etags(request.headers.getlist("if-none-match")):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return Response(asset.content, HTTPStatus.OK, headers, asset.media_type)


def _etags(values: Sequence[str]) -> set[str]:
    """The tags of an If-None-Match header; a proxy that compresses may have weakened them."""
    return {tag.strip().removeprefix("W/") for value in values for tag in value.split(",")}
