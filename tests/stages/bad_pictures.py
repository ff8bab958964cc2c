"""The table of bad pictures, and of odd ones that are good: they all lie in one raw folder."""

import functools
import os
import unicodedata

import numpy as np
from PIL import Image

from pipeline.pictures import encode_png
from tests.stages import corpus
from tests.stages.corpus import (
    Kept,
    Kind,
    SetAside,
    Trap,
    flipped,
    malicious,
    npy,
    npy_header,
    people,
    png_of_size,
    saved,
)

KEPT, SAME = Kept(), Kept(same=True)


def bad(reason, stage="ingest"):
    return SetAside(stage, reason)


@functools.cache
def pictures():
    """Every kind by its title; a function, because the people in it take some seconds."""
    return damaged() | unusable() | converted() | shown() | named() | irregular() | accompanied()


def damaged():
    """Content that is damaged, or no picture at all."""
    ada = people()["ada_0"]
    png, jpeg, webp = (saved(ada, kind) for kind in ("PNG", "JPEG", "WEBP"))
    return {
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
    }


def unusable():
    """Pictures that cannot be used."""
    ada = people()["ada_0"]
    png, moving = (
        encode_png(ada),
        {"save_all": True, "append_images": [Image.fromarray(ada[::-1]), Image.fromarray(ada[:, ::-1])]},
    )
    return {
        "animated GIF": Kind({"move_1.gif": saved(ada, "GIF", **moving)}, {"move_1": bad("3 frames")}),
        "animated PNG": Kind({"move_2.png": saved(ada, "PNG", **moving)}, {"move_2": bad("3 frames")}),
        "animated WebP": Kind({"move_3.webp": saved(ada, "WEBP", **moving)}, {"move_3": bad("3 frames")}),
        "TIFF of several pages": Kind({"pages_1.tif": saved(ada, "TIFF", **moving)}, {"pages_1": bad("3 frames")}),
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
    }


def converted():
    """Pictures of other kinds, which are converted."""
    ada = people()["ada_0"]
    png, picture = encode_png(ada), Image.fromarray(ada)
    jpeg, webp = (saved(ada, kind, quality=90) for kind in ("JPEG", "WEBP"))
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = np.dstack([ada, np.full(ada.shape[:2], 255, np.uint8)])
    hues = picture.quantize(200)
    return {
        "greyscale": Kind({"grey_1.png": saved(picture.convert("L"), "PNG")}, {"grey_1": KEPT}),
        "16-bit": Kind(
            {"deep_1.png": saved(np.asarray(picture.convert("L"), np.uint16) * 257, "PNG")}, {"deep_1": KEPT}
        ),
        "CMYK": Kind({"cmyk_1.jpg": saved(picture.convert("CMYK"), "JPEG", quality=95)}, {"cmyk_1": KEPT}),
        "palette with transparency": Kind(
            {"palette_1.png": saved(hues, "PNG", transparency=hues.getpixel((0, 0)))}, {"palette_1": KEPT}
        ),
        "opaque alpha": Kind({"alpha_1.png": saved(transparent, "PNG")}, {"alpha_1": SAME}),
        "EXIF rotation": Kind({"exif_1.png": saved(np.rot90(ada, 1), "PNG", exif=turned)}, {"exif_1": SAME}),
        "BMP, TIFF and PPM": Kind(
            {
                f"other_{kind}.{kind}": saved(ada, name)
                for kind, name in (("bmp", "BMP"), ("tif", "TIFF"), ("ppm", "PPM"))
            },
            {f"other_{kind}": SAME for kind in ("bmp", "tif", "ppm")},
        ),
        "lossy WebP and JPEG": Kind({"lossy_1.webp": webp, "lossy_2.jpg": jpeg}, {"lossy_1": KEPT, "lossy_2": KEPT}),
        "GIF of one frame": Kind({"still_1.gif": saved(picture, "GIF")}, {"still_1": KEPT}),
        "a telephone's preview": Kind(
            {"phone_1.jpg": saved(picture, "MPO", save_all=True, append_images=[picture.resize((44, 64))])},
            {"phone_1": KEPT},
        ),
        "a wrong extension": Kind({"wrong_1.jpg": png}, {"wrong_1": SAME}),
        "bytes after the end": Kind({"tail_1.png": png + b"trailing" * 99}, {"tail_1": SAME}),
    }


def shown():
    """What pictures show."""
    ada, two = people()["ada_0"], np.hstack([people()["ada_0"], people()["bob_0"]])
    slope = np.repeat(np.tile(np.arange(256, dtype=np.uint8)[:, None], (1, 176))[..., None], 3, axis=2)
    return {
        "no person": Kind(
            {"nobody_1.png": saved(slope, "PNG")},
            {"nobody_1": bad("no person was found", "keypoints")},
        ),
        "several people": Kind(
            {"crowd_1.png": saved(two, "PNG")}, {"crowd_1": bad("2 people of comparable size", "keypoints")}
        ),
        "legs alone": Kind({"legs_1.png": saved(ada[190:], "PNG")}, {"legs_1": bad("no person", "keypoints")}),
        "cut off at the waist": Kind({"bust_1.png": saved(ada[:128], "PNG")}, {"bust_1": KEPT}),
        "rotated without a tag": Kind(
            {"turned_1.png": saved(np.rot90(ada, 1), "PNG")}, {"turned_1": bad("no person", "keypoints")}
        ),
    }


def named():
    """Names."""
    png, jpeg = (saved(people()["ada_0"], kind) for kind in ("PNG", "JPEG"))
    nfc, nfd = (unicodedata.normalize(form, "zoë") for form in ("NFC", "NFD"))
    return {
        "names in other scripts": Kind(
            {"人物_立つ.png": png, "Ωμέγα_🏃.png": png}, {"人物_立つ": SAME, "Ωμέγα_🏃": SAME}
        ),
        "decomposed letters": Kind({unicodedata.normalize("NFD", "chloë_1.png"): png}, {"chloë_1": SAME}),
        "a name of 255 bytes": Kind({"l" * 249 + "_1.png": png}, {"l" * 249 + "_1": SAME}),
        "names that differ in case": Kind({"Case_1.png": png, "case_1.PNG": png}, {"Case_1": SAME, "case_1": SAME}),
        "commas and quotation marks": Kind({'com,ma "q"_1.png': png}, {'com,ma "q"_1': SAME}),
        "a leading dash": Kind({"-rf_1.png": png}, {"-rf_1": SAME}),
        "names that look like nothing": Kind(
            {"NA.png": png, "null.png": png, "0.png": png}, {"NA": SAME, "null": SAME, "0": SAME}
        ),
        "markup": Kind({"<b>&amp;_1.png": png}, {"<b>&amp;_1": SAME}),
        "dots": Kind({"v1.2.png_1.final.png": png, "...png": png}, {"v1.2.png_1.final": SAME}),
        "many folders": Kind({"d/" * 40 + "1.png": png}, {"d/" * 40 + "1": SAME}),
        "a folder named .jpg": Kind({"folder.jpg/1.png": png}, {"folder.jpg/1": SAME}),
        "duplicated names": Kind(
            {"twin_1.jpg": jpeg, "twin_1.png": png}, {"twin_1": KEPT, "twin_1.png": bad("same name as twin_1.jpg")}
        ),
        "names that differ in Unicode form": Kind(
            {f"{nfc}_1.png": png, f"{nfd}_1.png": png},
            {f"{nfc}_1": SAME, f"{max(nfc, nfd)}_1.png": bad("has the same name as")},
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
    }


def irregular():
    """What is no file."""
    table = {
        "links and loops of links": Kind(
            corpus.links,
            {
                name: bad("a link: copy the file itself")
                for name in ("link_file.png", "link_dead.png", "link_self.png", "link_outside", "loop/back")
            },
        ),
        "pipes": Kind(
            corpus.pipes,
            {name: bad("a pipe, socket or device") for name in ("pipe_1.png", "pipe_2.csv", "labels/ada_0.npy")},
        ),
        "a socket": Kind(corpus.sockets, {"socket_1.png": bad("a pipe, socket or device")}),
    }
    if corpus.may_make_devices():
        table["a device"] = Kind(corpus.devices, {"device_1.png": bad("a pipe, socket or device")})
    return table


def _joints(x, y):
    return f"{[y] * 18}: {[x] * 18}"


def _annotated(*names):
    """Copies of a good picture under these names."""
    return {f"{name}.png": encode_png(people()["ada_0"]) for name in names}


def accompanied():
    """What lies beside pictures."""
    png, plain, small = encode_png(people()["ada_0"]), np.zeros((256, 176), np.uint8), np.zeros((128, 88), np.uint8)
    return {
        "a label map of another size": Kind(
            _annotated("map_1") | {"labels/map_1.png": saved(small, "PNG")},
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
            | {"labels/map_6.npy": malicious("sprung"), "labels/map_7.npy": npy(np.array([[Trap("sprung")]], object))},
            {"map_6": bad("labels/map_6.npy: "), "map_7": bad("labels are whole numbers, not object")},
        ),
        "a label map larger than memory": Kind(
            _annotated("map_8") | {"labels/map_8.npy": npy_header((1 << 20, 1 << 20)) + bytes(99)},
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
