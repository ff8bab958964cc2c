"""Show the person of one picture moving as somebody in a film does.

The poses come from a clip (mp4, gif, ...) or from a folder of pictures in the order of their names. The person is
followed through them; a frame in which nobody is found is left out. Every system that transfers poses can do this.
The person is a picture's file, or the name of one in the catalog, such as p003_2.

Examples:
  posewright video --person anna.jpg --poses walk.mp4 --out anna_walks.gif
  posewright video --person anna.jpg --poses frames/ --fps 10 --beside --captions --out anna_walks.mp4
  posewright video --person p003_2 --poses walk.mp4 --captions
  posewright video --person mage.png --poses dance.gif --every 2 --checkpoint data/finetune/adgan/target.safetensors
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from stages.commands._pictures import add_crop_arguments, draw, look_at, open_method, say

if TYPE_CHECKING:
    from pipeline.pictures import Bytes
    from stages.photograph import Photograph

_MOST_FRAMES = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright video`."""
    parser.add_argument("--person", type=Path, required=True, metavar="FILE", help="who is to be seen")
    parser.add_argument("--poses", type=Path, required=True, metavar="CLIP", help="a clip, or a folder of pictures")
    parser.add_argument("--fps", type=float, default=12, metavar="N", help="pictures a second; default: 12")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every n-th frame; default: all")
    parser.add_argument("--beside", action="store_true", help="show the frames with their skeletons beside it")
    parser.add_argument("--captions", action="store_true", help="write the frame's name below each picture")
    add_crop_arguments(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("video.gif"), metavar="FILE", help="default: video.gif; or .mp4"
    )


def run(args: argparse.Namespace) -> None:
    """Write the film and print its path."""
    from pipeline.films import WRITTEN, read_frames, write_film
    from stages.captions import captioned
    from stages.drawing import beside, draw_skeleton
    from stages.looks import read_recipe
    from stages.photograph import follow_person

    if args.out.suffix.lower() not in WRITTEN:
        raise UserError(f"--out {args.out}: give a name that ends in {' or '.join(WRITTEN)}")
    if args.out.resolve() in {args.person.resolve(), args.poses.resolve()}:
        raise UserError(f"--out {args.out}: this would write over one of your files; give another name")
    if not 0.5 <= args.fps <= 60:
        raise UserError(f"--fps {args.fps:g}: give a number between 0.5 and 60")
    if args.every < 1:
        raise UserError(f"--every {args.every}: give a number of at least 1")
    method = open_method(args.checkpoint)
    recipe = read_recipe(args.crop)
    frames = read_frames(args.poses, every=args.every, max_pixels=recipe.max_pixels)
    if len(frames) > _MOST_FRAMES:
        raise UserError(f"--poses {args.poses}: {len(frames)} frames, {_MOST_FRAMES} are the most; give --every")
    person = look_at([args.person], args.crop)[args.person]
    say(f"following the person through {len(frames)} frames ...")
    poses = follow_person(frames, recipe)
    _tell_of_gaps(args.poses, frames, poses)
    images = [draw(method, person, pose) for pose in poses]
    if args.beside:
        skeletons = [draw_skeleton(pose.image, pose.joints) for pose in poses]
        images = [beside(person.image, *both) for both in zip(skeletons, images, strict=True)]
    if args.captions:
        images = [captioned(image, f"{person.name} · {pose.name}") for image, pose in zip(images, poses, strict=True)]
    write_film(args.out, images, fps=args.fps)
    print(args.out)


def _tell_of_gaps(path: Path, frames: "Mapping[str, Bytes]", poses: "Sequence[Photograph]") -> None:
    found = {pose.name for pose in poses}
    missing = [name for name in frames if name not in found]
    if not found:
        raise UserError(f"--poses {path}: nobody was found in it; give a clip that shows one person well")
    if missing:
        say(f"nobody was found in {len(missing)} of {len(frames)} frames, which are left out: {', '.join(missing[:5])}")
