"""What answers the browser. Only fixed paths exist, uploads are limited and live in memory, nothing is written."""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from pipeline.errors import UserError
from pipeline.people.labels import LABELS
from pipeline.people.skeleton import JOINTS, LIMBS
from stages.serve.studio import Drawn, Pose, Sketch, Studio, Upload, Wish

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_MB = 20
LOCAL = ("127.0.0.1", "localhost", "::1")
_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_MOST_WAITING = 4
_MOST_PARTS = 24
_LONGEST_TEXT = 1000
_LONGEST_NAME = 80


class _RefusedError(Exception):
    """An answer with a status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_app(studio: Studio, *, max_mb: float = MAX_MB, only_local: bool = True) -> web.Application:
    """The application; with `only_local` it answers only to this machine's own names."""
    waiting = asyncio.Semaphore(_MOST_WAITING)

    async def about(_: web.Request) -> web.Response:
        return web.json_response(
            {
                "networks": [path.as_posix().removeprefix("data/") for path in studio.networks],
                "size": studio.looker.recipe.size,
                "joints": JOINTS,
                "limbs": LIMBS,
                "poses": [[pose.domain, pose.row] for pose in studio.poses()],
                "max_mb": max_mb,
            }
        )

    async def network(request: web.Request) -> web.Response:
        return web.json_response({"parts": await asyncio.to_thread(studio.parts, int(request.match_info["number"]))})

    async def pose(request: web.Request) -> web.Response:
        chosen = Pose(request.match_info["domain"], int(request.match_info["row"]))
        return web.Response(body=await asyncio.to_thread(studio.show_pose, chosen), content_type="image/png")

    async def places(request: web.Request) -> web.Response:
        chosen = Pose(request.match_info["domain"], int(request.match_info["row"]))
        return web.json_response(await asyncio.to_thread(studio.places, chosen))

    async def draw(request: web.Request) -> web.Response:
        if waiting.locked():
            raise _RefusedError(503, "there are too many pictures in work; try again in a minute")
        async with waiting:
            wish = _read_wish(await _read_form(request, max_mb))
            drawn = await asyncio.to_thread(studio.make, wish)
        return web.json_response(_told(drawn))

    app = web.Application(middlewares=[_guard(only_local=only_local)])
    for path in _FILES:
        app.router.add_get(path, _file)
    app.router.add_get("/about.json", about)
    app.router.add_get(r"/networks/{number:\d{1,4}}.json", network)
    app.router.add_get(r"/poses/{domain}/{row:\d{1,9}}.png", pose)
    app.router.add_get(r"/poses/{domain}/{row:\d{1,9}}.json", places)
    app.router.add_post("/draw", draw)
    return app


async def run_server(app: web.Application, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until it is cancelled; `ready` gets the address. UserError where the port cannot be had."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as error:
            raise UserError(f"--host {host} --port {port}: {error}; give another --port") from error
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{runner.addresses[0][1]}/")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _guard(*, only_local: bool) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_origin(request, only_local=only_local)
            response = await handler(request)
        except UserError as error:
            response = _refusal(422, str(error))
        except _RefusedError as error:
            response = _refusal(error.status, str(error))
        except web.HTTPException as error:
            response = _refusal(error.status, error.reason)
        except Exception:
            logging.getLogger(__name__).exception("a request failed")
            response = _refusal(500, "something went wrong here; the terminal says what")
        response.headers.update(_HEADERS)
        return response

    return guard


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _check_origin(request: web.Request, *, only_local: bool) -> None:
    """Another web site that is open in the same browser must not use this one."""
    if only_local and (request.url.host or "") not in LOCAL:
        raise _RefusedError(403, f"this page answers to {' and '.join(LOCAL[:2])} only")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise _RefusedError(403, "only the page itself may ask for pictures")


async def _file(request: web.Request) -> web.Response:
    name, kind = _FILES[request.path]
    return web.Response(text=Path(__file__).with_name(name).read_text(), content_type=kind)


async def _read_form(request: web.Request, max_mb: float) -> dict[str, list[str | Upload]]:
    """The fields of a form by name; files without a name, that is fields that were left empty, are no fields."""
    if request.content_type != "multipart/form-data":
        raise _RefusedError(415, "send a form with pictures (multipart/form-data)")
    fields: dict[str, list[str | Upload]] = {}
    try:
        reader, count = await request.multipart(), 0
        while (part := await reader.next()) is not None:
            count += 1
            if count > _MOST_PARTS or not isinstance(part, BodyPartReader):
                raise _RefusedError(400, f"a form has at most {_MOST_PARTS} plain fields")
            name = part.name or ""
            if part.filename is None:
                data = await _read_part(part, _LONGEST_TEXT, f"the field '{name[:_LONGEST_NAME]}' is too long")
                fields.setdefault(name, []).append(data.decode(errors="replace"))
            elif part.filename:
                title = PurePath(part.filename.replace("\\", "/")).name[-_LONGEST_NAME:] or "picture"
                told = f"{title}: the file is larger than {max_mb:g} MB; make the picture smaller"
                data = await _read_part(part, int(max_mb * 1e6), told)
                fields.setdefault(name, []).append(Upload(title, data))
    except (ValueError, AssertionError, HttpProcessingError) as error:
        raise _RefusedError(400, "the form cannot be read; load the page again") from error
    return fields


async def _read_part(part: BodyPartReader, most: int, message: str) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(1 << 16):
        data += chunk
        if len(data) > most:
            raise _RefusedError(413, message)
    return bytes(data)


def _read_wish(fields: dict[str, list[str | Upload]]) -> Wish:
    """What the form asks for; UserError says what is missing or unknown."""
    uploads = {name: value for name, values in fields.items() for value in values if isinstance(value, Upload)}
    texts = {name: [value for value in values if isinstance(value, str) and value] for name, values in fields.items()}
    if "person" not in uploads:
        raise UserError("there is no picture of a person; choose one first")
    pose: Upload | Pose | Sketch | None = uploads.get("pose")
    if pose is None and texts.get("sketch"):
        pose = _read_sketch(texts["sketch"][0])
    elif pose is None and texts.get("chosen"):
        domain, _, row = texts["chosen"][0].rpartition("/")
        pose = Pose(domain, _number(row, "pose"))
    names = texts.get("part", [])
    if unknown := [name for name in names if name not in LABELS]:
        raise UserError(f"'{unknown[0][:_LONGEST_NAME]}' is no part of a person; choose from {', '.join(LABELS)}")
    clothes = uploads.get("clothes")
    if clothes and not names:
        raise UserError("choose which parts are to be taken from the other person")
    network = _number(texts["network"][0], "network") if texts.get("network") else 0
    return Wish(uploads["person"], pose, clothes, [LABELS.index(name) for name in dict.fromkeys(names)], network)


def _read_sketch(text: str) -> Sketch:
    try:
        places = tuple(None if place is None else (float(place[0]), float(place[1])) for place in json.loads(text))
        # Neither lost in the distance nor no number at all.
        if len(places) != len(JOINTS) or not any(places) or not all(abs(x) < 1e4 for one in places if one for x in one):
            raise ValueError(text)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise UserError("the drawn pose cannot be read; choose a pose again") from error
    return Sketch(places)


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UserError(f"there is no such {what}; choose another")
    return int(text)


def _told(drawn: Drawn) -> dict[str, Any]:
    found = [{"name": name, "picture": _data_url(data)} for name, data in drawn.found]
    return {"picture": _data_url(drawn.picture), "found": found}


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
