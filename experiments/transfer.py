"""Question 1: does it carry over to other pictures, and how many of them does it take?

Run as `python -m experiments.transfer`. The domain is the drawn 3D characters; every picture that is scored was held out.
"""

from experiments import plots, settings
from experiments.scores import Scores, read_scores
from experiments.settings import Settings
from experiments.tables import Result, Table, cell, holds_zero, said, verdict
from models.metrics.intervals import Interval

METRICS = {"ssim_mask": "SSIM in the person's mask", "joint_error_px": "joints found again, px away"}
SCRATCH, ALL, FROZEN = "scratch", "finetune all", "frozen encoders"

Ways = dict[str, dict[int, Scores]]


def read_ways(found: Settings) -> tuple[Ways, Scores]:
    """The scores by way and number of pictures, and those of the pretrained weights as they are."""
    rows = found.of("transfer")
    ways: Ways = {}
    for name, row in rows.items():
        if row.pictures:
            ways.setdefault(row.title, {})[row.pictures] = read_scores("carried", name)
    return ways, read_scores("carried", "pretrained")


def intervals(found: Settings, ways: Ways, metric: str) -> dict[str, dict[float, Interval]]:
    """A metric's curve over the number of pictures, by way."""
    return {
        way: {float(count): scores.interval(metric, found) for count, scores in by_count.items()}
        for way, by_count in ways.items()
    }


def gains(found: Settings, ways: Ways, metric: str, better: str, worse: str) -> dict[int, Interval]:
    """The difference of two ways, pair by pair, at each number of pictures."""
    return {count: ways[better][count].minus(ways[worse][count], metric, found) for count in ways[better]}


def tables(found: Settings, ways: Ways, still: Scores) -> dict[str, Table]:
    """Curves and differences as tables."""
    compared = {name: read_scores("target", name) for name in ("copy_source", "oracle")}
    made: dict[str, Table] = {}
    for metric, title in METRICS.items():
        table: Table = {
            way: {f"{count:g} pictures": cell(value) for count, value in curve.items()}
            for way, curve in intervals(found, ways, metric).items()
        }
        for name, other in {"pretrained alone": still, "copy the source": compared["copy_source"]}.items():
            table[name] = {"1 pictures": cell(other.interval(metric, found))}
        made[title] = table
        made[f"{title}: difference pair by pair"] = {
            f"{one} minus {other}": {
                f"{count} pictures": cell(value) for count, value in gains(found, ways, metric, one, other).items()
            }
            for one, other in ((ALL, SCRATCH), (FROZEN, ALL))
        }
    return made


def reading(found: Settings, ways: Ways, still: Scores) -> list[str]:
    """What the numbers say, and what they do not."""
    most = max(ways[ALL])
    told = []
    pretraining = gains(found, ways, "ssim_mask", ALL, SCRATCH)
    sure = [count for count, value in pretraining.items() if value.low > 0]
    told.append(
        f"What the pretraining is worth: fine-tuning everything draws more of the person right than the same steps from "
        f"random weights with {_counts(sure)} pictures (SSIM in the mask; with {most}: {verdict(pretraining[most])})."
        if sure
        else "Fine-tuning everything is at no number of pictures clearly better than the same steps from random weights "
        f"(SSIM in the mask; with {most}: {verdict(pretraining[most])})."
    )
    first = ways[ALL][most].minus(still, "ssim_mask", found)
    fewest = ways[ALL][min(ways[ALL])].minus(still, "ssim_mask", found)
    told.append(
        f"What the pictures are worth: against the pretrained weights as they are, fine-tuning with {most} pictures changes "
        f"SSIM in the mask by {verdict(first)}, with one by {verdict(fewest)}."
    )
    longer = ways[ALL][most].minus(ways[ALL][min(ways[ALL])], "ssim_mask", found)
    told.append(f"From one picture to {most}, fine-tuning everything gains {verdict(longer)}.")
    frozen = gains(found, ways, "ssim_mask", FROZEN, ALL)
    apart = [count for count, value in frozen.items() if not holds_zero(value)]
    told.append(
        f"Frozen encoders minus all, with {most} pictures: {verdict(frozen[most])}; "
        + (f"the two differ clearly with {_counts(apart)} pictures." if apart else "they differ clearly nowhere.")
    )
    copied = read_scores("target", "copy_source")
    joints = ways[ALL][most].minus(copied, "joint_error_px", found)
    away = ways[ALL][most].interval("joint_error_px", found)
    told.append(
        f"Poses: with {most} pictures joints are found again {said(away)} px away from where they were asked for, which is "
        f"{verdict(joints)} px against copying the source."
    )
    return told


def _counts(counts: list[int]) -> str:
    return ", ".join(map(str, counts))


def main() -> None:
    """Write results/transfer.json and its figures."""
    found = settings.read()
    ways, still = read_ways(found)
    figure, axes = plots.panels(2)
    copied = read_scores("target", "copy_source")
    for axis, (metric, title) in zip(axes, METRICS.items(), strict=True):
        level = {"pretrained alone": still, "copy the source": copied}
        plots.draw_curves(
            axis,
            intervals(found, ways, metric),
            x="pictures of the new characters",
            y=title,
            level={name: scores.interval(metric, found).value for name, scores in level.items()},
        )
        axis.set_xscale("log", base=2)
        axis.set_xticks(list(ways[ALL]), [str(count) for count in ways[ALL]])
    some = next(iter(ways[ALL].values()))
    strips = {"target": plots.shown("target", "oracle"), "pretrained alone": plots.shown("carried", "pretrained")}
    strips |= {
        f"{row.title}, {row.pictures}": plots.shown("carried", name)
        for name, row in found.of("transfer").items()
        if row.pictures in (1, 14)
    }
    Result(
        "1. Does it carry over, and from how many pictures?",
        f"ADGAN, drawn 3D characters, {len(some.groups)} pairs with held-out target pictures, protocol plain; 95 % intervals "
        f"drawn over {some.resampled}: they hold for these two characters alone.",
        reading(found, ways, still),
        tables(found, ways, still),
        {
            plots.write(figure, "transfer"): "Quality against the number of pictures, with 95 % bands",
            plots.write_strips(strips, "transfer_pictures"): "The same held-out pairs, by way and number of pictures",
        },
    ).write("transfer")


if __name__ == "__main__":
    main()
