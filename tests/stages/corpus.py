"""What goes wrong with raw input: one table of kinds, each with the files it is made of and what becomes of them.

`PICTURES` all lie in one raw folder together with good pictures; `TABLES` stand each beside good pictures alone.
"""

import functools
import io
import json
import os
import pickle
import socket
import stat
import struct
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.pictures import encode_png
from pipeline.render import plan, render

GOOD = ("ada_0", "ada_1", "ada_2", "bob_0", "bob_1", "bob_2")
STAGES = ("ingest", "crop", "keypoints", "parsing", "edges", "pairs")


@dataclass(frozen=True)
class SetAside:
    """The stage that sets a picture aside, and what its reason says."""

    stage: str
    reason: str


@dataclass(frozen=True)
class Kept:
    """A picture that goes through every stage; `same` where its pixels are those of the good picture ada_0."""

    same: bool = False


@dataclass(frozen=True)
class Kind:
    """Files, by path or written by a function of the raw folder, and what becomes of the names in them."""

    files: dict[str, bytes] | Callable[[Path], None]
    fates: dict[str, SetAside | Kept] = field(default_factory=dict)

    def write(self, raw: Path) -> None:
        """Put the files into `raw`."""
        if callable(self.files):
            self.files(raw)
            return
        for name, data in self.files.items():
            put(raw / name, data)


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@functools.cache
def people():
    """Six good pictures (256, 176, 3) by name: two persons in three poses."""
    return {
        name: render(spec, width=176, height=256).image
        for name, spec in zip(GOOD, plan("natural", people=2, poses=3, seed=0), strict=True)
    }


def write_good(raw):
    for name, picture in people().items():
        put(raw / f"{name}.png", encode_png(picture))


def saved(picture, kind, **options):
    """Bytes of an array or picture in a format of Pillow's."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def flipped(data, *places):
    """The bytes with every bit of those at `places` turned over."""
    out = bytearray(data)
    for place in places:
        out[place] ^= 0xFF
    return bytes(out)


def png_of_size(width, height, data):
    """A PNG whose header claims another size; its checksum is right."""
    header = data[12:16] + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


class Trap:
    """A pickle of this makes a folder when it is loaded: what a malicious file would do."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.makedirs, (self.path, 0o777, True))


def malicious(path):
    return pickle.dumps(Trap(path))


def _joints(x, y):
    return f"{[y] * 18}: {[x] * 18}"


def _links(raw):
    (raw / "link_file.png").symlink_to(raw / "ada_0.png")
    (raw / "link_dead.png").symlink_to(raw / "nowhere.png")
    (raw / "link_self.png").symlink_to(raw / "link_self.png")
    (raw / "link_outside").symlink_to("/")
    (raw / "loop").mkdir()
    (raw / "loop" / "back").symlink_to(raw / "loop")


def _pipes(raw):
    for name in ("pipe_1.png", "pipe_2.csv", "labels/ada_0.npy"):
        (raw / name).parent.mkdir(exist_ok=True)
        os.mkfifo(raw / name)


def _socket(raw):
    # The address of a socket may be no longer than about a hundred bytes.
    before = Path.cwd()
    os.chdir(raw)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket_1.png")
    finally:
        os.chdir(before)


def _device(raw):
    os.mknod(raw / "device_1.png", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero never ends


def _annotated(*names):
    """Copies of a good picture under these names."""
    return {f"{name}.png": encode_png(people()["ada_0"]) for name in names}


@functools.cache
def pictures():
    """The table of PICTURES; a function, because the people in it take some seconds."""
    ada, two = people()["ada_0"], np.hstack([people()["ada_0"], people()["bob_0"]])
    png, picture = encode_png(ada), Image.fromarray(ada)
    jpeg, webp = saved(ada, "JPEG", quality=90), saved(ada, "WEBP", quality=90)
    frames = [Image.fromarray(np.roll(ada, shift, axis=1)) for shift in (0, 5, 9)]
    moving = {"save_all": True, "append_images": frames[1:]}
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = np.dstack([ada, np.full(ada.shape[:2], 255, np.uint8)])
    hues = picture.quantize(200)
    nfc, nfd = (unicodedata.normalize(form, "zoë") for form in ("NFC", "NFD"))
    plain, skew = np.zeros((256, 176), np.uint8), np.zeros((128, 88), np.uint8)
    kept, same = Kept(), Kept(same=True)

    def bad(reason, stage="ingest"):
        return SetAside(stage, reason)

    table = {
        # Content that is damaged, or no picture at all.
        "truncated JPEG": Kind({"cut_1.jpg": jpeg[: len(jpeg) // 2]}, {"cut_1": bad("damaged picture")}),
        "truncated PNG": Kind({"cut_2.png": png[: len(png) // 2]}, {"cut_2": bad("damaged picture")}),
        "truncated WebP": Kind({"cut_3.webp": webp[: len(webp) // 2]}, {"cut_3": bad("")}),
        "cut within its header": Kind({"cut_4.png": png[:20]}, {"cut_4": bad("")}),
        "bit-flipped PNG": Kind({"flip_1.png": flipped(png, len(png) // 2)}, {"flip_1": bad("damaged picture")}),
        "bit-flipped JPEG": Kind({"flip_2.jpg": flipped(jpeg, 3, 5, 20)}, {"flip_2": bad("")}),
        "bit-flipped WebP": Kind({"flip_3.webp": flipped(webp, 12, 13, 20)}, {"flip_3": bad("not a picture")}),
        "zero bytes": Kind({"empty_1.jpg": b""}, {"empty_1": bad("empty file (0 bytes)")}),
        "nothing but zeros": Kind({"zeros_1.png": bytes(5000)}, {"zeros_1": bad("not a picture")}),
        "HTML named .jpg": Kind(
            {"html_1.jpg": b"<!DOCTYPE html><title>404</title>"},
            {"html_1": bad("not a picture that can be read: it begins with b'<!DOCTYPE html>")},
        ),
        "SVG named .png": Kind({"svg_1.png": b"<svg xmlns='x'/>"}, {"svg_1": bad("not a picture")}),
        "PostScript named .jpg": Kind({"eps_1.jpg": saved(ada, "EPS")}, {"eps_1": bad("not a picture")}),
        "pickle named .png": Kind({"pickle_1.png": malicious("sprung")}, {"pickle_1": bad("not a picture")}),
        # Pictures that cannot be used.
        "animated GIF": Kind({"move_1.gif": saved(frames[0], "GIF", **moving)}, {"move_1": bad("3 frames")}),
        "animated PNG": Kind({"move_2.png": saved(frames[0], "PNG", **moving)}, {"move_2": bad("3 frames")}),
        "animated WebP": Kind({"move_3.webp": saved(frames[0], "WEBP", **moving)}, {"move_3": bad("3 frames")}),
        "TIFF of several pages": Kind(
            {"pages_1.tif": saved(frames[0], "TIFF", **moving)}, {"pages_1": bad("3 frames")}
        ),
        "1x1": Kind({"tiny_1.png": saved(ada[:1, :1], "PNG")}, {"tiny_1": bad("1x1 is too small")}),
        "a thin line": Kind({"thin_1.png": saved(ada[:, :2], "PNG")}, {"thin_1": bad("2x256 is too small")}),
        "a header of 40,000x40,000": Kind(
            {"bomb_1.png": png_of_size(40_000, 40_000, png)}, {"bomb_1": bad("max_pixels (60000000)")}
        ),
        "a header of 8,000x8,000": Kind(
            {"bomb_2.png": png_of_size(8_000, 8_000, png)}, {"bomb_2": bad("8000x8000 is more than max_pixels")}
        ),
        "a header that is larger than the data": Kind(
            {"lie_1.png": png_of_size(3_000, 3_000, png)}, {"lie_1": bad("damaged picture")}
        ),
        "floating-point TIFF": Kind(
            {"float_1.tif": saved(np.zeros((99, 99), np.float32), "TIFF")}, {"float_1": bad("floating-point")}
        ),
        # Pictures of other kinds, which are converted.
        "greyscale": Kind({"grey_1.png": saved(picture.convert("L"), "PNG")}, {"grey_1": kept}),
        "16-bit": Kind(
            {"deep_1.png": saved(np.asarray(picture.convert("L"), np.uint16) * 257, "PNG")}, {"deep_1": kept}
        ),
        "CMYK": Kind({"cmyk_1.jpg": saved(picture.convert("CMYK"), "JPEG", quality=95)}, {"cmyk_1": kept}),
        "palette with transparency": Kind(
            {"palette_1.png": saved(hues, "PNG", transparency=hues.getpixel((0, 0)))}, {"palette_1": kept}
        ),
        "opaque alpha": Kind({"alpha_1.png": saved(transparent, "PNG")}, {"alpha_1": same}),
        "EXIF rotation": Kind({"exif_1.png": saved(np.rot90(ada, 1), "PNG", exif=turned)}, {"exif_1": same}),
        "BMP, TIFF and PPM": Kind(
            {
                f"other_{kind}.{kind}": saved(ada, name)
                for kind, name in (("bmp", "BMP"), ("tif", "TIFF"), ("ppm", "PPM"))
            },
            {f"other_{kind}": same for kind in ("bmp", "tif", "ppm")},
        ),
        "lossy WebP and JPEG": Kind({"lossy_1.webp": webp, "lossy_2.jpg": jpeg}, {"lossy_1": kept, "lossy_2": kept}),
        "GIF of one frame": Kind({"still_1.gif": saved(picture, "GIF")}, {"still_1": kept}),
        "a telephone's preview": Kind(
            {"phone_1.jpg": saved(picture, "MPO", save_all=True, append_images=[picture.resize((44, 64))])},
            {"phone_1": kept},
        ),
        "a wrong extension": Kind({"wrong_1.jpg": png}, {"wrong_1": same}),
        "bytes after the end": Kind({"tail_1.png": png + b"trailing" * 99}, {"tail_1": same}),
        # What they show.
        "no person": Kind(
            {
                "nobody_1.png": saved(
                    np.repeat(np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 176))[..., None], 3, 2), "PNG"
                )
            },
            {"nobody_1": bad("no person was found", "keypoints")},
        ),
        "several people": Kind(
            {"crowd_1.png": saved(two, "PNG")}, {"crowd_1": bad("2 people of comparable size", "keypoints")}
        ),
        "legs alone": Kind({"legs_1.png": saved(ada[190:], "PNG")}, {"legs_1": bad("no person", "keypoints")}),
        "cut off at the waist": Kind({"bust_1.png": saved(ada[:128], "PNG")}, {"bust_1": kept}),
        "rotated without a tag": Kind(
            {"turned_1.png": saved(np.rot90(ada, 1), "PNG")}, {"turned_1": bad("no person", "keypoints")}
        ),
        # Names.
        "names in other scripts": Kind(
            {"人物_立つ.png": png, "Ωμέγα_🏃.png": png}, {"人物_立つ": same, "Ωμέγα_🏃": same}
        ),
        "decomposed letters": Kind({unicodedata.normalize("NFD", "chloë_1.png"): png}, {"chloë_1": same}),
        "a name of 255 bytes": Kind({"l" * 249 + "_1.png": png}, {"l" * 249 + "_1": same}),
        "names that differ in case": Kind({"Case_1.png": png, "case_1.PNG": png}, {"Case_1": same, "case_1": same}),
        "commas and quotation marks": Kind({'com,ma "q"_1.png': png}, {'com,ma "q"_1': same}),
        "a leading dash": Kind({"-rf_1.png": png}, {"-rf_1": same}),
        "names that look like nothing": Kind(
            {"NA.png": png, "null.png": png, "0.png": png}, {"NA": same, "null": same, "0": same}
        ),
        "markup": Kind({"<b>&amp;_1.png": png}, {"<b>&amp;_1": same}),
        "dots": Kind({"v1.2.png_1.final.png": png, "...png": png}, {"v1.2.png_1.final": same}),
        "many folders": Kind({"d/" * 40 + "1.png": png}, {"d/" * 40 + "1": same}),
        "a folder named .jpg": Kind({"folder.jpg/1.png": png}, {"folder.jpg/1": same}),
        "duplicated names": Kind(
            {"twin_1.jpg": jpeg, "twin_1.png": png}, {"twin_1": kept, "twin_1.png": bad("same name as twin_1.jpg")}
        ),
        "names that differ in Unicode form": Kind(
            {f"{nfc}_1.png": png, f"{nfd}_1.png": png},
            {f"{nfc}_1": same, f"{max(nfc, nfd)}_1.png": bad("has the same name as")},
        ),
        "control characters": Kind(
            {"new\nline_1.png": png, "tab\t_1.png": png, "back\\slash_1.png": png, "esc\x1b[2J_1.png": png},
            {
                name: bad("control characters or is not UTF-8")
                for name in ("new\\nline_1.png", "tab\\t_1.png", "back\\\\slash_1.png", "esc\\x1b[2J_1.png")
            },
        ),
        "bytes that are not UTF-8": Kind(
            {os.fsdecode(b"\xff\xfe_1.png"): png}, {"\\udcff\\udcfe_1.png": bad("not UTF-8: rename the file")}
        ),
        "a blank name": Kind({" .png": png}, {" .png": bad("the name is blank")}),
        "hidden files": Kind({".hidden_1.png": png, ".cache/a_1.png": png, "__MACOSX/._ada_0.png": b"x"}),
        "a distractor of Market-1501": Kind(
            {"0000_c1s3_022226_03.jpg": jpeg}, {"0000_c1s3_022226_03.jpg": bad("distractor")}
        ),
        # What is no file.
        "links and loops of links": Kind(
            _links,
            {
                name: bad("a link: copy the file itself")
                for name in ("link_file.png", "link_dead.png", "link_self.png", "link_outside", "loop/back")
            },
        ),
        "pipes": Kind(
            _pipes, {name: bad("a pipe, socket or device") for name in ("pipe_1.png", "pipe_2.csv", "labels/ada_0.npy")}
        ),
        "a socket": Kind(_socket, {"socket_1.png": bad("a pipe, socket or device")}),
        # What lies beside them.
        "a label map of another size": Kind(
            _annotated("map_1") | {"labels/map_1.png": saved(skew, "PNG")},
            {"map_1": bad("the label map is 88x128, its picture 176x256")},
        ),
        "an unknown label": Kind(
            _annotated("map_2") | {"labels/map_2.png": saved(plain + 23, "PNG")}, {"map_2": bad("label 23 is not in")}
        ),
        "a label map in colours": Kind(
            _annotated("map_3") | {"labels/map_3.png": png}, {"map_3": bad("indexed or grey picture, not RGB")}
        ),
        "a truncated label map": Kind(
            _annotated("map_4") | {"labels/map_4.png": saved(plain, "PNG")[:60]}, {"map_4": bad("labels/map_4.png: ")}
        ),
        "a label map without a person": Kind(
            _annotated("map_5") | {"labels/map_5.png": saved(plain, "PNG")},
            {"map_5": bad("label map: the person fills 0.0%", "parsing")},
        ),
        "a pickle as label map": Kind(
            _annotated("map_6", "map_7")
            | {"labels/map_6.npy": malicious("sprung"), "labels/map_7.npy": _npy(np.array([[Trap("sprung")]], object))},
            {"map_6": bad("labels/map_6.npy: "), "map_7": bad("labels are whole numbers, not object")},
        ),
        "a label map larger than memory": Kind(
            _annotated("map_8") | {"labels/map_8.npy": _npy_header((1 << 20, 1 << 20)) + bytes(99)},
            {"map_8": bad("the label map is 1048576x1048576")},
        ),
        "a label map's bomb": Kind(
            _annotated("map_9") | {"labels/map_9.png": png_of_size(12_000, 12_000, saved(plain, "PNG"))},
            {"map_9": bad("the label map is 12000x12000")},
        ),
        "joints out of the frame": Kind(
            _annotated("joint_1", "joint_2")
            | {
                "joints.csv": f"name:keypoints_y:keypoints_x\njoint_1: {_joints(9000, 50)}\njoint_2: {_joints(-7, -9)}\n".encode()
            },
            {
                "joint_1": bad("annotation: only 0 of 18 joints", "keypoints"),
                "joint_2": bad("annotation: only 0 of 18 joints", "keypoints"),
            },
        ),
    }
    if os.geteuid() == 0:
        table["a device"] = Kind(_device, {"device_1.png": bad("a pipe, socket or device")})
    return table


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npy_header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


HEADER = "name:keypoints_y:keypoints_x\n"
ROW = json.dumps([50] * 18)
PAIRS = "from,to\n" + "ada_0,ada_1\nbob_0,bob_1\n" * 3

# Tables beside six good pictures: the file's name, its text or bytes, and the beginnings of what is set aside by name.
ROWS = {
    "a blank list": (f"{HEADER}ada_0: : {ROW}\n", {"ada_0": "j.csv, line 2: keypoints_y is not a list"}),
    "NaN": (f"{HEADER}ada_0: {ROW}: [{'NaN,' * 17}1]\n", {"ada_0": "j.csv, line 2: keypoints_x holds nan"}),
    "infinity": (f"{HEADER}ada_0: {ROW}: [{'1e999,' * 17}1]\n", {"ada_0": "j.csv, line 2: keypoints_x holds inf"}),
    "words": (f'{HEADER}ada_0: {ROW}: [{"true," * 17}"a"]\n', {"ada_0": "j.csv, line 2: keypoints_x holds True"}),
    "a number beyond floats": (f"{HEADER}ada_0: {ROW}: [{'1,' * 17}1{'0' * 400}]\n", {"ada_0": "j.csv, line 2: keypoints_x holds 1000"}),
    "a number beyond Python": (f"{HEADER}ada_0: {ROW}: [{'1,' * 17}1{'0' * 9000}]\n", {"ada_0": "j.csv, line 2: "}),
    "17 joints": (f"{HEADER}ada_0: {ROW}: {[1] * 17}\n", {"ada_0": "j.csv, line 2: keypoints_x must be a list of 18"}),
    "brackets without end": (f"{HEADER}ada_0: {ROW}: {'[' * 99_999}\n", {"ada_0": "j.csv, line 2: keypoints_x is not a list"}),
    "a missing cell": (f"{HEADER}ada_0: {ROW}\n", {"ada_0": "j.csv, line 2: has no column"}),
    "a line beyond all measure": (f"{HEADER}{'x' * 300_000}: {ROW}: []\n", {"x" * 5000: "j.csv, line 2: keypoints_x must be"}),
    "a picture twice": (f"{HEADER}ada_0: {ROW}: {ROW}\nada_0.jpg: {ROW}: {ROW}\n", {"ada_0.jpg": "j.csv, line 3: this picture was annotated before"}),
    "a path out of the folder": (f"{HEADER}../../etc/passwd: {ROW}: {ROW}\n", {}),
    "bytes that are not UTF-8": (HEADER.encode() + b"\xff\xfe: [: [\n", {"\ufffd\ufffd": "j.csv, line 2: keypoints_x is not a list"}),
    "NUL bytes": (f"{HEADER}ada\0_0: {ROW}: x\n", {"ada\0_0": "j.csv, line 2: keypoints_x is not a list"}),
    "a pair of an absent picture": (f"{PAIRS}ada_0,cid_9\n", {"ada_0 -> cid_9": "j.csv, line 8: 'cid_9': there is no such picture"}),
    "a pair of blanks": (f"{PAIRS},\n", {" -> ": "j.csv, line 8: ''"}),
    "a pair out of the folder": (f"{PAIRS}/etc/passwd,../../x\n", {"/etc/passwd -> ../../x": "j.csv, line 8: '/etc/passwd'"}),
    "a pair with a stray quotation mark": (f'{PAIRS}"ada_0,ada_1\n', {"ada_0,ada_1 -> ": "j.csv, line 8: "}),
}  # fmt: skip

# Tables that stop the run, and what the message says.
STOPPING_TABLES = {
    "annotation without y": (b"name:keypoints_x\n", ["j.csv, line 1", "'keypoints_y'", "the header must be name:"]),
    "annotation with commas": (b"name,keypoints_y,keypoints_x\n", ["j.csv, line 1", "'name'", "the header must be"]),
    "annotation in UTF-16": (f"{HEADER}ada_0: {ROW}: {ROW}\n".encode("utf-16"), ["j.csv, line 1", "in UTF-8"]),
    "pairs without a target": (b"from,target\nada_0,ada_1\n", ["j.csv, line 1", "'to'", "from,to"]),
    "pairs with semicolons": (b"from;to\nada_0;ada_1\n", ["j.csv, line 1", "'from'", "from,to"]),
    "pairs in UTF-16": (PAIRS.encode("utf-16"), ["j.csv, line 1", "in UTF-8"]),
    "pairs of absent pictures": (
        b"from,to\n" + b"cid_1,cid_2\n" * 9,
        ["9 of 9 were set aside", "ingest.max_quarantined (for the pair list)", "j.csv, line 2", "params.yaml"],
    ),
}
