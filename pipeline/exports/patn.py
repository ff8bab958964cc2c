"""PATN: pictures, pose maps and lists of fashion (176x256) or Market-1501 (64x128).

Pose maps of fashion are uint8, so that a Gaussian keeps its one peak; those of Market-1501 are Gaussians of 6 px.
"""

from pipeline.exports.folders import Folder
from pipeline.exports.phases import delta, gaussian, write_phases
from pipeline.exports.selection import Selection, Track

_MARKET_SIZE = (64, 128)


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """For `--dataroot DIR --pairLst DIR/fashion-resize-pairs-train.csv`."""
    if chosen.pack.size == _MARKET_SIZE:
        # Market-1501's own names are taken as they are.
        names = [name.rpartition("/")[2] for name in chosen.plain_names]
        names = names if len(set(names)) == len(names) else chosen.fashion_names
        write_phases(chosen, folder, track, names=names, lists="market", pose_map=gaussian(_MARKET_SIZE, 6))
        return
    chosen.check_size("patn")
    size = chosen.pack.size
    write_phases(chosen, folder, track, names=chosen.fashion_names, lists="fashion-resize", pose_map=delta(size))
