"""Put a recipe's values into params.yaml: published settings, or the quick ones back; without a name, list the recipes.

A recipe is a file of recipes/: values for params.yaml and what they are for. Only the values that differ are changed,
comments stay. Several names: a later one decides. -S has the last word. `posewright use quick` brings back what the
project came with.

--dry-run writes nothing. It shows what would change and checks it: networks with their parameters, steps,
multiply-adds, and from these a projection of hours, memory and disk on one modern GPU (docs/training-cost.md says how).
With --measure some steps of every phase are taken on this machine, and hours and memory are those here.
--set prints the values as arguments of `dvc exp run`, which leaves params.yaml alone when it queues.

Examples:
  posewright use
  posewright use deepfashion-adgan --dry-run
  posewright use quick --dry-run --measure
  posewright use deepfashion-adgan -S domains.source.raw=/data/In-shop -S adgan.vgg19_weights=/data/vgg19-dcbb9e9d.pth
  dvc exp run --queue $(posewright use pg2-seed001 pg2-seed001-wgan --set)
  posewright use quick
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.recipes import Change, Plan, Recipe
    from stages.estimates import Estimate

_PARAMS = Path("params.yaml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `posewright use`."""
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names of recipes; none: list them")
    parser.add_argument(
        "-S",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value; may be repeated",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="show what would change and what training would take")
    parser.add_argument("--measure", action="store_true", help="with --dry-run: take some steps, tell hours from them")
    what.add_argument("--set", action="store_true", help="print -S arguments for `dvc exp run` and change nothing")


def run(args: argparse.Namespace) -> None:
    """List, show or write."""
    from pipeline import recipes

    if args.measure and not args.dry_run:
        raise UserError("--measure goes with --dry-run")
    if not args.recipes:
        if args.overrides or args.dry_run or args.set:
            raise UserError(f"name a recipe: {', '.join(recipes.names())}")
        _list([recipes.read(name) for name in recipes.names()])
        return
    chosen = [recipes.read(name) for name in args.recipes]
    overrides = recipes.overrides(args.overrides)
    plan = recipes.plan(chosen, overrides, _PARAMS)
    _check_systems(plan, args.recipes)
    if args.set:
        values = {key: value for recipe in chosen for key, value in recipe.values.items()} | overrides
        print(" ".join(f"-S {key}={value.replace(', ', ',')}" for key, value in values.items()))
        return
    if args.dry_run:
        _tell_changes(plan.changes, "would change")
        found = _estimate(plan, max(recipe.pictures for recipe in chosen))
        if args.measure:
            _measure(plan, found)
        _tell_needs(chosen)
    else:
        _write(plan.text)
        _tell_changes(plan.changes, "changed")
    _tell_asked(chosen, overrides, plan)
    if not args.dry_run and plan.changes and args.recipes != ["quick"]:
        print("back: `posewright use quick` for what the project came with, or `git checkout params.yaml`")


def _list(found: "list[Recipe]") -> None:
    print("posewright use RECIPE [--dry-run]; hours on one modern GPU are a projection (docs/training-cost.md)\n")
    for recipe in found:
        takes = recipe.expected
        print(f"{recipe.name}\n  {recipe.description}\n  needs: {recipe.needs}")
        print(f"  takes: {takes.hours:g} h, {takes.memory_gib:g} GiB of GPU memory, {takes.disk_gib:g} GiB of disk")


def _check_systems(plan: "Plan", names: list[str]) -> None:
    """Each system checks its own section, and the trainer its own."""
    from models.method import method_class
    from models.settings import SettingsError, read_settings
    from stages.pretrain import training_settings

    try:
        for method in plan.params.methods:
            read_settings(method_class(method).Settings, plan.params.system(method), where=method)
        for stage, method in _stages(plan):
            training_settings(plan.params, stage, method)
    except SettingsError as error:
        files = " and ".join(f"recipes/{name}.yaml" for name in names)
        raise UserError(f"{_PARAMS} with {files}: {error}") from None


def _write(text: str) -> None:
    partial = _PARAMS.with_name(_PARAMS.name + ".part")
    partial.write_bytes(text.encode())  # the ends of its lines as they are
    partial.replace(_PARAMS)


def _tell_changes(changes: "list[Change]", verb: str) -> None:
    if not changes:
        print(f"{_PARAMS} has these values already")
        return
    print(f"{len(changes)} values of {_PARAMS} {verb}:")
    wide, old = (max(len(getattr(change, name)) for change in changes) for name in ("key", "old"))
    for change in changes:
        print(f"  {change.key:{wide}}  {change.old:>{old}} -> {change.new}")


def _tell_asked(chosen: "list[Recipe]", overrides: dict[str, str], plan: "Plan") -> None:
    """What only the user knows and has not said."""
    from pipeline.recipes import leaves

    present = leaves(plan.text, _PARAMS)
    for key, text in {key: text for recipe in chosen for key, text in recipe.asks.items()}.items():
        if key in present and key not in overrides:
            print(f"still yours to give: -S {key}=..., {text} (now {present[key]})")
        elif key not in present and not Path(key).exists():
            print(f"still yours to bring: {key}, {text}")


def _estimate(plan: "Plan", pictures: int) -> "Estimate":
    from stages.estimates import SUSTAINED, estimate
    from stages.pretrain import training_settings

    found = estimate(plan.params)
    print("\nnetworks, parameters in millions (of them learning)")
    for method, networks in found.networks.items():
        for name, (count, learning) in networks.items():
            print(f"  {method}.{name:20} {count / 1e6:8.2f} ({learning / 1e6:.2f})")
    print("\ntraining, multiply-adds a step")
    for training in found.trainings:
        for phase, cost in training.phases.items():
            times = f"{training.times} x " if training.times > 1 else ""
            steps = f"{times}{cost.steps:,} steps of {training.batch}"
            print(f"  {training.name + ' ' + phase:32} {steps}: {cost.operations / 1e9:,.0f} G")
    rate = f"{2 * SUSTAINED / 1e12:g} TFLOP/s"
    print(f"\nprojected for one modern GPU that sustains {rate} in float32, without data stages and evaluation:")
    print(f"  {_spoken(found.hours)} of training, {found.memory_gib:.1f} GiB of its memory")
    print(f"  {found.disk_gib(plan.params, pictures):.0f} GiB of disk for {pictures:,} pictures and the weights")

    precision = {training_settings(plan.params, *each).precision for each in _stages(plan)} - {"32-true"}
    if precision:
        print(f"  as if it were float32: {', '.join(sorted(precision))} takes less of both")
    return found


def _measure(plan: "Plan", found: "Estimate") -> None:
    from pipeline.processes import set_up
    from stages.paces import paces

    set_up()  # as every stage does; steps take half the time
    taken, seconds = paces(plan.params, found.trainings), 0.0
    where = ", ".join(sorted({pace.device for pace in taken.values()}))
    print(f"\nmeasured here by a few steps of every phase ({where}):")
    for training in found.trainings:
        for phase, cost in training.phases.items():
            pace = taken[training.name, phase]
            seconds += training.times * cost.steps * pace.seconds
            memory = f", {pace.memory_bytes / 2**30:.1f} GiB given out" if pace.memory_bytes else ""
            print(f"  {training.name + ' ' + phase:32} {1000 * pace.seconds:,.0f} ms a step{memory}")
    print(f"  {_spoken(seconds / 3600)} of training, without data stages and evaluation")


def _stages(plan: "Plan") -> list[tuple[str, str]]:
    return [(stage, method) for stage in ("pretrain", "finetune") for method in plan.params.methods]


def _tell_needs(chosen: "list[Recipe]") -> None:
    for recipe in chosen:
        print(f"\n{recipe.name} needs: {recipe.needs}")


def _spoken(hours: float) -> str:
    return f"{hours:.0f} h" if hours >= 10 else f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
