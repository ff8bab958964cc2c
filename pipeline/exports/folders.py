"""The folder that an export is written into: one that is empty or holds an earlier export of the same, nothing else."""

import json
import os
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError

# Lists every file of the export; what is not listed is the user's, and stays.
LISTING = "export.json"


class Folder:
    """Writes files below `root`, each at once or not at all, and removes those of the last export that are gone."""

    def __init__(self, root: Path, *, layout: str, domain: str) -> None:
        self.root, self.made_of = root, {"layout": layout, "domain": domain}
        self._before = self._earlier()
        self._paths: set[str] = set()
        self.bytes = 0

    def place(self, path: str) -> Path:
        """Where the file `path` (relative, with slashes) is to be written by a library; its folder is there."""
        pure = PurePosixPath(path)
        assert not pure.is_absolute(), path
        assert ".." not in pure.parts, path
        if not self._paths:
            self._take()
        self._paths.add(path)
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, path: str, data: bytes) -> None:
        """Write a file."""
        place = self.place(path)
        partial = place.with_name(f"{place.name}.part")
        partial.write_bytes(data)
        os.replace(partial, place)

    def close(self) -> None:
        """Remove what only the last export had, and list what there is."""
        for path in sorted(set(self._before) - self._paths):
            (self.root / path).unlink(missing_ok=True)
        self.bytes = sum((self.root / path).stat().st_size for path in self._paths)
        self._write_listing(sorted(self._paths))

    def __len__(self) -> int:
        return len(self._paths)

    def _take(self) -> None:
        """Make the folder; from now on it is ours, even when the work is cut off."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {self.root}: {error.strerror}; name another folder") from error
        self._write_listing(self._before)

    def _earlier(self) -> list[str]:
        """The files of the last export; UserError when the folder holds something else."""
        if not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir())):
            return []
        try:
            listing = json.loads((self.root / LISTING).read_text())
            files = [str(path) for path in listing.pop("files")]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise UserError(
                f"--out {self.root} is not empty and no export of this program's: name a new folder"
            ) from None
        if listing != self.made_of:
            told = " of ".join(str(listing.get(key)) for key in self.made_of)
            raise UserError(f"--out {self.root} holds an export of {told}: name another folder")
        inside = [path for path in files if ".." not in Path(path).parts and not Path(path).is_absolute()]
        return sorted(inside)

    def _write_listing(self, files: list[str]) -> None:
        text = json.dumps(self.made_of | {"files": files}, indent=0, ensure_ascii=False)
        (self.root / LISTING).write_text(text + "\n")
