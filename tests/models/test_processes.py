"""One batch worked on in parts: by two processes, or one part after the other, against the batch as a whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.adgan import Adgan
from models.data import Draws, Pairs, Share, Unpaired, recoloured, take
from models.devices import fabric_for
from models.dpig import Dpig
from models.method import Method, build
from models.pg2 import Pg2
from models.scagan import Scagan
from models.settings import SettingsError, TrainingSettings, read_settings
from models.spt import Spt
from models.training import train
from pipeline.errors import UserError
from pipeline.imports import ROOT
from tests.models.contract import TRAINING, Notebook, section

LOOKS = {"batch": 4, "log_every": 1, "sample_every": 3, "checkpoint_every": 2}
STEPS = TrainingSettings(**TRAINING | {"steps": 4, "average": 0.0, "rate": 0.02} | LOOKS)  # type: ignore[arg-type]
SYSTEMS = ("adgan", "pg2", "spt", "dpig", "scagan")
# Without what is no mean over pairs: statistics of a batch, critics of some pairs only; dice are left out by `quiet`.
MEANS: dict[str, dict[str, Any]] = {
    "adgan": {"critics_after": 0.3},
    "pg2": {"coarse": 1.0},
    "spt": {"face": 0.0, "own_until": 0.0, "pose_share": 0.2, "semantic_share": 0.2, "joint_share": 0.4},
    "dpig": {"codes": "raw", "twist": 0.0, "mapping_share": 0.0, "pose_share": 0.4},
    "scagan": {"prior_transfer": False, "critics_after": 0.3},
}


class _Calm(Method):
    """With a larger eps in Adam, or gradients that are nothing but rounding would become steps as large as any."""

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        found: dict[str, torch.optim.Optimizer] = super().optimisers(phase)  # type: ignore[safe-super]
        for optimiser in found.values():
            optimiser.param_groups[0]["eps"] = 1e-2
        return found


class CalmAdgan(_Calm, Adgan): ...


class CalmPg2(_Calm, Pg2): ...


class CalmSpt(_Calm, Spt): ...


class CalmDpig(_Calm, Dpig): ...


class CalmScagan(_Calm, Scagan): ...


CALM = {kind.name: kind for kind in (CalmAdgan, CalmPg2, CalmSpt, CalmDpig, CalmScagan)}


def system(name: str, *, quiet: bool, **changes: Any) -> Method:
    method = build(name, section(name) | {"width": 0.05} | MEANS[name] | changes)
    method.__class__ = CALM[name]
    for module in method.modules() if quiet else ():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    return method


def learn(method: Method, pairs: Pairs, folder: Path, notebook: Notebook | None = None, **changes: Any) -> Method:
    rows = pairs.rows
    if "pseudo_labels" in method.reads:
        pairs = Unpaired(pairs.pictures, rows[:3], method.reads)
    else:
        pairs = Pairs(pairs.pictures, rows, method.reads)
    settings = TrainingSettings(**vars(STEPS) | changes)
    return train(method, pairs, settings, validation=pairs, logger=notebook or Notebook(), work_dir=folder)


def assert_alike(first: Method, second: Method, *, strictly: bool = False) -> None:
    """Each tensor within float32's rounding, which every large step of so small a network multiplies: these are small.

    That is a millionth of its length, or of how far it has moved a part that other dice or another mean would exceed.
    """
    ours, theirs, fresh = first.state_dict(), second.state_dict(), build(first.name, vars(first.settings)).state_dict()
    for key, value in ours.items():
        off, moved = (float((other.double() - value.double()).norm()) for other in (theirs[key], fresh[key]))
        rounding = 1e-6 * float(value.double().norm()) + 1e-7 * value.numel() ** 0.5
        assert off <= (rounding if strictly else max(0.03 * moved, 10 * rounding)), f"{key}: {off:.1e} of {moved:.1e}"


def test_two_processes_equal_one_with_the_whole_batch(train_pairs, tmp_path):
    notebook = Notebook()
    whole = learn(system("adgan", quiet=True), train_pairs, tmp_path / "a", notebook, steps=3)
    halves = learn(system("adgan", quiet=True), train_pairs, tmp_path / "b", steps=3, devices=2)
    assert_alike(whole, halves, strictly=True)
    assert {step for step, name in notebook.values if name == "train/critic_pose"} == {2, 3}
    batch = take(train_pairs, 4, torch.device("cpu"))
    torch.testing.assert_close(halves.generate(batch), whole.generate(batch), rtol=0, atol=1e-5)


def test_two_processes_equal_one_that_accumulates_dice_included(train_pairs, tmp_path):
    notebook = Notebook()
    apart = learn(system("adgan", quiet=False), train_pairs, tmp_path / "a", devices=2)
    after = learn(system("adgan", quiet=False), train_pairs, tmp_path / "b", notebook, accumulate=2)
    assert_alike(apart, after)
    assert {name for _, name in notebook.values} >= {"train/l1", "train/gan", "train/critic_pose"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_batch_in_parts_equals_the_whole(name, train_pairs, tmp_path):
    whole, parts = Notebook(), Notebook()
    first = learn(system(name, quiet=True), train_pairs, tmp_path / "a", whole)
    second = learn(system(name, quiet=True), train_pairs, tmp_path / "b", parts, accumulate=2)
    assert_alike(first, second)
    assert parts.values == {key: pytest.approx(value, rel=1e-4) for key, value in whole.values.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_of_every_system(name, train_pairs, tmp_path):
    whole = learn(system(name, quiet=True), train_pairs, tmp_path / "a")
    halves = learn(system(name, quiet=True), train_pairs, tmp_path / "b", devices=2)
    assert_alike(whole, halves)


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_in_half_precision_equal_one_that_accumulates(name, train_pairs, tmp_path):
    """Each part is rounded as it is elsewhere; only the mean of the two is taken in another way."""
    apart = learn(system(name, quiet=True), train_pairs, tmp_path / "a", devices=2, precision="bf16-mixed")
    after = learn(system(name, quiet=True), train_pairs, tmp_path / "b", accumulate=2, precision="bf16-mixed")
    assert {value.dtype for value in apart.parameters()} == {torch.float32}
    assert_alike(apart, after)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpig", "scagan"])
def test_running_means_are_of_all_processes(name, train_pairs, tmp_path):
    """Each process sees its half; what is kept is nearer to the whole than what either has seen, in each layer.

    Not equal: a batch norm takes out the mean of its half, and the layers behind it see that.
    """
    changes = {"dpig": {"codes": "standard"}, "scagan": {"prior_transfer": True, "prior_share": 0.9}}[name]
    whole = learn(system(name, quiet=True, **changes), train_pairs, tmp_path / "a").state_dict()
    halves = learn(system(name, quiet=True, **changes), train_pairs, tmp_path / "b", devices=2).state_dict()
    # Half a batch is the first half of the pairs that the whole draws.
    alone = learn(system(name, quiet=True, **changes), train_pairs, tmp_path / "c", batch=STEPS.batch // 2).state_dict()
    means = [key for key in whole if key.endswith(("running_mean", "standard.mean"))]
    assert means
    off, off_alone = (
        [float((found[key] - whole[key]).norm() / whole[key].norm()) for key in means] for found in (halves, alone)
    )
    if name == "dpig":  # one running mean, with no layer before it
        for key in means:
            torch.testing.assert_close(halves[key], whole[key], rtol=0.05, atol=0.05 * float(whole[key].abs().max()))
    for key, both, one in zip(means, off, off_alone, strict=True):
        assert both < one, f"{key}: {both:.3f}, of one half {one:.3f}"
    assert sum(off) < 0.6 * sum(off_alone)


@pytest.mark.slow
def test_killed_processes_go_on_to_the_same_weights(train_pairs, tmp_path):
    straight = learn(system("adgan", quiet=False), train_pairs, tmp_path / "a", devices=2).state_dict()
    with pytest.raises(UserError, match="a process of the training was lost"):
        learn(system("adgan", quiet=False), train_pairs, tmp_path / "b", Notebook(stop_at=3), devices=2)
    assert [path.name for path in (tmp_path / "b").glob("step-*")] == ["step-000002.pt"]
    resumed = learn(system("adgan", quiet=False), train_pairs, tmp_path / "b", devices=2).state_dict()
    assert all(torch.equal(resumed[key], straight[key]) for key in straight)


@pytest.mark.slow
def test_an_error_of_the_processes_is_told_once(train_pairs, tmp_path):
    method = system("adgan", quiet=True)
    nn.init.constant_(method.generator.fc.fc.weight, float("nan"))
    with pytest.raises(UserError, match=r"^adgan diverged: train/l1 is nan after 1 steps") as caught:
        learn(method, train_pairs, tmp_path, devices=2)
    assert "Traceback" not in str(caught.value)


def test_shares_of_the_draws_are_those_of_the_whole():
    def draws(share: Share) -> list[list[Any]]:
        return list(Draws(50, range(3), batch=6, seed=1, mirror=True, share=share))

    whole, halves = draws(Share()), [draws(Share(place, 2)) for place in (0, 1)]
    assert [first + second for first, second in zip(*halves, strict=True)] == whole


def test_shares_are_recoloured_as_the_whole(train_pairs):
    batch = take(train_pairs, 4, torch.device("cpu"))

    def dressed(share: Share) -> Tensor:
        return recoloured(batch.part(share), torch.Generator().manual_seed(3), share).source

    halves = torch.cat([dressed(Share(place, 2)) for place in (0, 1)])
    torch.testing.assert_close(halves, dressed(Share()), rtol=0, atol=1e-6)


# What cannot be.


def test_the_batch_must_have_equal_parts():
    with pytest.raises(
        SettingsError, match=r"pretrain\.batch: 6 must be a multiple of devices x nodes x accumulate \(4\)"
    ):
        read_settings(TrainingSettings, {"batch": 6, "devices": 2, "accumulate": 2}, where="pretrain")


def test_devices_that_are_not_there_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="there is no CUDA device"):
        fabric_for(TrainingSettings(device="cuda"))
    with pytest.raises(SettingsError, match="16-mixed needs a CUDA device; on the CPU take"):
        fabric_for(TrainingSettings(precision="16-mixed"))


def test_a_launcher_and_the_settings_must_agree(monkeypatch):
    with pytest.raises(SettingsError, match=r"nodes: 2 machines need a launcher; docs/training\.md"):
        fabric_for(TrainingSettings(device="cpu", nodes=2))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(SettingsError, match="devices: 2 x nodes: 2, but the launcher started 4 x 2; set them alike"):
        fabric_for(TrainingSettings(device="cpu", devices=2, nodes=2))


FOREVER = """
import sys
from pathlib import Path
from models.data import Pairs
from pipeline.packed import Pack
from tests.models.test_processes import learn, system
if __name__ == "__main__":
    pack, folder = Path(sys.argv[1]), Path(sys.argv[2])
    learn(system("adgan", quiet=True), Pairs(Pack(pack), Pack(pack).pairs("train")), folder, devices=2, steps=100000)
"""


@pytest.mark.slow
def test_the_processes_end_with_a_killed_parent(pack, tmp_path):
    (tmp_path / "forever.py").write_text(FOREVER)
    command = [sys.executable, str(tmp_path / "forever.py"), str(pack.path), str(tmp_path / "w")]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT) as parent:
        _wait(lambda: list((tmp_path / "w").glob("step-*.pt")))
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
    _wait(lambda: not any(_is_alive(child) for child in children))


def _is_alive(process: str) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait(condition: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
