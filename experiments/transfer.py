"""Question 1: does it carry over to other pictures, and how many of them does it take?

Run as `python -m experiments.transfer`. The domain is the drawn 3D characters; every target picture was held out.
"""

from experiments import plots, settings
from experiments.scores import Scores, read_scores
from experiments.settings import Settings, scored_folder
from experiments.tables import Result, Table, cell, holds_zero, said, verdict
from models.metrics.intervals import Interval

METRICS = {"ssim_mask": "SSIM in the person's mask", "joint_error_px": "joints found again, px away"}
SCRATCH, ALL, FROZEN = "scratch", "finetune all", "frozen encoders"

Ways = dict[str, dict[int, Scores]]


def read_ways(found: Settings) -> tuple[Ways, Scores]:
    """The scores by way and number of pictures, and those of the pretrained weights as they are.

    DVC asks for this when every row has been scored; asked by hand before, it takes those that have been.
    """
    ways: Ways = {SCRATCH: {}, ALL: {}, FROZEN: {}}
    for name in scored(found):
        row = found.rows["carried"][name]
        ways[row.title][row.pictures] = read_scores("carried", name)
    return ways, read_scores("carried", "pretrained")


def scored(found: Settings) -> list[str]:
    """The rows that have scores, the pretrained weights as they are left out."""
    rows = found.of("transfer")
    return [name for name in rows if rows[name].pictures and (scored_folder("carried", name) / "scores.json").is_file()]


def intervals(found: Settings, ways: Ways, metric: str) -> dict[str, dict[float, Interval]]:
    """A metric's curve over the number of pictures, by way."""
    return {
        way: {float(count): scores.interval(metric, found) for count, scores in by_count.items()}
        for way, by_count in ways.items()
    }


def gains(found: Settings, ways: Ways, metric: str, better: str, worse: str) -> dict[int, Interval]:
    """The difference of two ways, pair by pair, at each number of pictures."""
    both = sorted(ways[better].keys() & ways[worse].keys())
    return {count: ways[better][count].minus(ways[worse][count], metric, found) for count in both}


def tables(found: Settings, ways: Ways, still: Scores) -> dict[str, Table]:
    """Curves and differences as tables."""
    compared = {name: read_scores("target", name) for name in ("copy_source", "oracle")}
    made: dict[str, Table] = {}
    for metric, title in METRICS.items():
        table: Table = {
            way: {f"{count:g}": cell(value) for count, value in curve.items()}
            for way, curve in intervals(found, ways, metric).items()
        }
        for name, other in {"pretrained alone": still, "copy the source": compared["copy_source"]}.items():
            table[name] = {"none": cell(other.interval(metric, found))}
        made[f"{title}, by number of pictures"] = table
        made[f"{title}: difference pair by pair"] = {
            f"{one} minus {other}": {
                str(count): cell(value) for count, value in gains(found, ways, metric, one, other).items()
            }
            for one, other in ((ALL, SCRATCH), (FROZEN, ALL))
        }
    return made


def reading(found: Settings, ways: Ways, still: Scores) -> list[str]:
    """What the numbers say, and what they do not."""
    most = max(ways[ALL])
    told = []
    pretraining = gains(found, ways, "ssim_mask", ALL, SCRATCH)
    last = max(pretraining)
    sure = [count for count, value in pretraining.items() if value.low > 0]
    told.append(
        "What the pretraining is worth: against the same steps from random weights, fine-tuning everything draws the "
        f"person clearly better with {_counts(sure)} pictures (SSIM in the mask; with {last}: "
        f"{verdict(pretraining[last])})."
    )
    first = ways[ALL][most].minus(still, "ssim_mask", found)
    fewest = ways[ALL][min(ways[ALL])].minus(still, "ssim_mask", found)
    told.append(
        f"What the pictures are worth: against the pretrained weights as they are, fine-tuning with {most} pictures "
        f"changes SSIM in the mask by {verdict(first)}, with one by {verdict(fewest)}."
    )
    longer = ways[ALL][most].minus(ways[ALL][min(ways[ALL])], "ssim_mask", found)
    told.append(f"From one picture to {most}, fine-tuning everything gains {verdict(longer)}.")
    frozen = gains(found, ways, "ssim_mask", FROZEN, ALL)
    apart = [count for count, value in frozen.items() if not holds_zero(value)]
    if frozen:
        told.append(
            f"Frozen encoders minus all, with {max(frozen)} pictures: {verdict(frozen[max(frozen)])}; "
            + (f"the two differ clearly with {_counts(apart)} pictures." if apart else "they differ clearly nowhere.")
        )
    if missing := [name for name in found.of("transfer") if name not in scored(found) and name != "pretrained"]:
        told.append(f"Not trained yet: {', '.join(missing)}; `make questions` goes on with them.")
    copied = read_scores("target", "copy_source")
    joints, drift = (ways[ALL][most].minus(other, "joint_error_px", found) for other in (copied, still))
    away = ways[ALL][most].interval("joint_error_px", found)
    told.append(
        f"Poses: with {most} pictures joints are found again {said(away)} px away from where they were asked for; that "
        f"is {verdict(joints)} px against copying the source, and {verdict(drift)} px against the pretrained weights."
    )
    return told


def _counts(counts: list[int]) -> str:
    return ", ".join(map(str, counts)) or "no number of"


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
        axis.set_xticks(sorted(ways[SCRATCH]), [str(count) for count in sorted(ways[SCRATCH])])
    some = next(iter(ways[ALL].values()))
    strips = {"target": plots.shown("target", "oracle"), "pretrained alone": plots.shown("carried", "pretrained")}
    strips |= {
        f"{row.title}, {row.pictures}": plots.shown("carried", name)
        for name, row in found.of("transfer").items()
        if row.pictures in (1, 14) and name in scored(found)
    }
    Result(
        "1. Does it carry over, and from how many pictures?",
        f"ADGAN, drawn 3D characters, {len(some.groups)} pairs with held-out target pictures, protocol plain; 95 % "
        f"intervals drawn over {some.resampled}: they hold for these two characters alone.",
        reading(found, ways, still),
        tables(found, ways, still),
        {
            plots.write(figure, "transfer"): "Quality against the number of pictures, with 95 % bands",
            plots.write_strips(strips, "transfer_pictures"): "The same held-out pairs, by way and number of pictures",
        },
    ).write("transfer")


if __name__ == "__main__":
    main()
