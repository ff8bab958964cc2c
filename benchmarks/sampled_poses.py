"""How many of the poses that DPIG draws at random could be a body's, and how far its pose branch is off on real ones.

    python -m benchmarks.sampled_poses [--checkpoint FILE] [--pack data/pack/source.h5] [--count 500] [--seed 0]

A pose counts where its limbs are as long as those of the training's poses are (`models.sampling.is_body`). Poses that
are all much the same pass easily: look at how far two of them are apart, too. The Gaussian has the mean and the
covariance of the codes of the training's poses; what stage II learns should do better.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.people import print_table
from models.data import is_present
from models.dpig import Dpig
from models.dpig_codes import POSE
from models.dpig_networks import POSE_NUMBERS
from models.method import load
from models.regions import pose_joints, pose_vector
from models.sampling import is_body, sampled
from pipeline.packed import Pack


def poses_of(pack: Pack, *splits: str) -> Tensor:
    """(N, 18, 3) the poses in the pairs of the splits, each once."""
    rows = sorted({int(row) for split in splits for row in pack.pairs(split).ravel()})
    return torch.from_numpy(pack.keypoints[rows])


def apart_px(joints_BJ3: Tensor) -> float:
    """How far the joints of one pose are from those of another, at the mean over many pairs drawn at random."""
    one, other = joints_BJ3[torch.randint(len(joints_BJ3), (2, 4000), generator=torch.Generator().manual_seed(1))]
    both = is_present(one) & is_present(other)
    return float((one - other)[..., :2].norm(dim=2)[both].mean())


def gaussian(code_BN: Tensor, count: int, seed: int) -> Tensor:
    """(count, N) drawn from the Gaussian with the mean and the covariance of the codes."""
    dice = torch.Generator().manual_seed(seed)
    values, axes = torch.linalg.eigh(torch.cov(code_BN.T))
    noise = torch.randn(count, code_BN.shape[1], generator=dice)
    return code_BN.mean(0) + noise * values.clamp_min(0).sqrt() @ axes.T


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("data/pretrain/dpig/weights.safetensors"))
    parser.add_argument("--pack", type=Path, default=Path("data/pack/source.h5"))
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    method, pack = load(args.checkpoint), Pack(args.pack)
    assert isinstance(method, Dpig)
    size = pack.size[::-1]
    known, unseen = poses_of(pack, "train"), poses_of(pack, "val", "test")
    known_codes, codes = (
        method.pose_encoder(pose_vector(poses, size).flatten(1))[:, :POSE_NUMBERS] for poses in (known, unseen)
    )
    by_chance = gaussian(known_codes, args.count, args.seed)
    drawn_codes = sampled(method, [POSE], args.count, seed=args.seed)[POSE]
    again, blind, drawn = (pose_joints(method.pose_decoder(code), size) for code in (codes, by_chance, drawn_codes))
    both = is_present(again) & is_present(unseen)
    away_px = (again - unseen)[..., :2].norm(dim=2)[both].mean()
    rows = {
        "held-out poses": unseen,
        "the same through the code": again,
        "drawn from a Gaussian": blind,
        "drawn at random": drawn,
    }
    print_table(
        ["poses", "count", "could be a body's", "joints shown", "px apart"],
        [
            [name, str(len(poses)), f"{float(is_body(poses, known).float().mean()):.1%}",
             f"{float(is_present(poses).sum(1).float().mean()):.1f}", f"{apart_px(poses):.1f}"]
            for name, poses in rows.items()
        ],
    )  # fmt: skip
    print(f"joints through the code: {float(away_px):.1f} px away")


if __name__ == "__main__":
    main()
