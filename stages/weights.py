"""Public weight files, fetched once into a cache folder and checked against what their publisher says of them.

A file is bytes here and nothing else: it is never loaded, let alone run.
"""

import hashlib
import os
from difflib import get_close_matches
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import requests
from tqdm import tqdm

from pipeline.errors import UserError
from stages.known_weights import KNOWN, Known

_CHUNK = 1 << 20
_PATIENCE_S = (10, 60)  # to connect, and between two chunks


def cache_folder() -> Path:
    """Where fetched weights are kept: POSEWRIGHT_CACHE, or the user's cache folder."""
    own = os.environ.get("POSEWRIGHT_CACHE")
    return Path(own) if own else platformdirs.user_cache_path("posewright") / "weights"


def find_known(name: str) -> Known:
    """The entry of that name; UserError lists what comes close."""
    names = {known.name: known for known in KNOWN}
    if name not in names:
        close = get_close_matches(name, names, n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise UserError(f"there are no known weights '{name}': {hint}`posewright weights list` shows all")
    return names[name]


def fetch(known: Known, folder: Path, url: str | None = None) -> tuple[Path, str]:
    """The file in `folder` and its SHA-256; fetched from `url` (by default the publisher's) unless it is there already.

    The file appears whole and checked or not at all. UserError where there is no network, no such file, too few bytes
    or another SHA-256.
    """
    path, address = folder / known.file_name, url or known.url
    there = sha256_of(path) if path.is_file() else ""
    if there and there.startswith(known.sha256):
        return path, there
    if not _is_web_address(address):
        raise UserError(f"--url {address}: give an address that begins with https:// or http://")
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        found = _download(known, address, partial)
        if not found.startswith(known.sha256):
            raise UserError(
                f"{address}: the SHA-256 of what came is {found}, its publisher gives {known.sha256}...; "
                "the file is not kept: it is damaged or another one, so try again, or another --url"
            )
        partial.replace(path)
    except UserError as error:
        if there:
            told = f"{path} is there, but damaged or another one: its SHA-256 is {there}"
            raise UserError(f"{told}, its publisher gives {known.sha256}...; {error}") from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    return path, found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _download(known: Known, address: str, path: Path) -> str:
    """Write what comes from `address`; its SHA-256."""
    state = hashlib.sha256()
    try:
        with (
            requests.get(address, stream=True, timeout=_PATIENCE_S, headers={"Accept-Encoding": "identity"}) as answer,
            path.open("wb") as file,
        ):
            if answer.status_code != HTTPStatus.OK:
                said = f"{answer.status_code} {answer.reason}"
                raise UserError(f"{address}: the server answers {said}; give another place with --url")
            told = answer.headers.get("Content-Length", "")
            size = int(told) if told.isdecimal() else None
            with tqdm(total=size, desc=known.file_name[:40], unit="B", unit_scale=True) as bar:
                for chunk in answer.iter_content(_CHUNK):
                    file.write(chunk)
                    state.update(chunk)
                    bar.update(len(chunk))
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise UserError(f"{address}: the connection broke before the whole file had come; try again") from error
    except requests.exceptions.InvalidURL as error:
        raise UserError(f"--url {address}: no address: {error}") from error
    except requests.exceptions.RequestException as error:
        raise UserError(
            f"{known.name}: no answer from {urlsplit(address).netloc} ({type(error).__name__}): is there a network? "
            f"Without it the project uses {known.stand_in}. Where there is one, fetch {known.url} and put it at "
            f"{path.parent / known.file_name}"
        ) from error
    return state.hexdigest()
