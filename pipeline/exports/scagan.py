"""SCA-GAN: pictures, pose maps as Gaussians of 12 px, lists, and edge maps of all phases in `trainE/diff`."""

from pipeline.exports.folders import Folder
from pipeline.exports.phases import gaussian, write_phases
from pipeline.exports.selection import Selection, Track
from pipeline.pictures import encode_png


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """For `--dataroot DIR --pairLst DIR/fashion-resize-pairs-train.csv`; 3.2 MB a picture for its pose maps."""
    chosen.check_size("scagan")

    def edges(phase: str, row: int, name: str) -> None:
        # In its tests, too, the program looks here.
        folder.write(f"trainE/diff/{name.replace('fashion', '')}.png", encode_png(chosen.pack.edges(row)))

    size, names = chosen.pack.size, chosen.fashion_names
    write_phases(chosen, folder, track, names=names, lists="fashion-resize", pose_map=gaussian(size, 12), each=edges)
