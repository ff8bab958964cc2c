"""What a raw source is once read: its pictures, and the joints, label maps and pairs that came with them."""

from dataclasses import dataclass, field

from pipeline.people.skeleton import Joints


@dataclass(frozen=True)
class Options:
    """How a raw folder is to be understood."""

    domain: str = "source"  # for messages: the parameter is domains.<domain>.raw
    keypoints_frame: str = "auto"  # auto, or one of annotations.FRAMES
    nested_archives: bool = False  # whether archives that lie in the folder are read too


@dataclass(frozen=True)
class Entry:
    """One picture. `path` is relative to raw, a member of an archive as `images/03.tar/p03_2.png`."""

    id: str
    path: str
    person: str
    pose: str
    split: str | None = None  # None: the stage decides


@dataclass(frozen=True)
class RawSource:
    """All that one raw folder holds; rows set aside are (name, reason), names as the user wrote them."""

    entries: list[Entry]
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # likewise; nothing is wrong with them
    annotations: dict[str, Joints] = field(default_factory=dict)  # id -> (18, 3) in pixels of the upright picture
    label_paths: dict[str, str] = field(default_factory=dict)  # id -> path relative to raw
    pairs: list[tuple[str, str, str | None]] = field(default_factory=list)  # from id, to id, split of the list
    pairs_set_aside: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # sentences to log
