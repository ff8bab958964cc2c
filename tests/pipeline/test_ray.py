"""Ray: the same bytes as inline, from a cluster of two nodes; lost actors; what is told when it cannot be used."""

import json
import subprocess
import sys

import pytest
import ray
from ray.cluster_utils import Cluster

from pipeline.engine import Engine
from pipeline.errors import UserError
from pipeline.imports import ROOT
from pipeline.memo import Memo
from tests.pipeline.test_engine import ITEMS, contents, lose_a_worker, work
from tests.stages.conftest import Project


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def test_a_cluster_gives_what_inline_gives(cluster, tmp_path):
    inline = work(Memo(tmp_path / "a.sqlite"))
    spread = work(Memo(tmp_path / "b.sqlite"), engine=Engine("ray", address=cluster.address), batch=2)
    assert contents(inline) == contents(spread)
    assert not ray.is_initialized()


def test_a_stage_writes_the_same_shards_on_a_cluster(cluster, tmp_path):
    few = {"domains.source.figures.people": 2}
    inline = Project(tmp_path / "inline", **few)
    inline.run("figures@source")
    spread = Project(tmp_path / "ray", **few, **{"engine.kind": "ray", "engine.address": cluster.address})
    spread.run("figures@source")
    assert json.loads((spread.folder / "runs.jsonl").read_text())["computed"] == 4
    assert spread.files("figures") == inline.files("figures")
    assert len(inline.files("figures")) > 8


def test_the_items_of_a_lost_actor_are_done_by_another(cluster, tmp_path):
    results = lose_a_worker(Memo(tmp_path / "m.sqlite"), tmp_path / "died", Engine("ray", address=cluster.address))
    assert contents(results) == contents(work(Memo(tmp_path / "inline.sqlite")))
    assert (tmp_path / "died").exists()


def test_an_item_that_always_loses_its_actor_is_named(cluster, tmp_path):
    with pytest.raises(UserError, match=r"lost 3 times while it worked on i02, i03\."):
        lose_a_worker(Memo(tmp_path / "m.sqlite"), None, Engine("ray", address=cluster.address))


def test_without_a_gpu_there_is_no_place(cluster, tmp_path):
    with pytest.raises(UserError, match=r"'GPU': 0\.5.*engine\.gpus"):
        work(Memo(tmp_path / "m.sqlite"), engine=Engine("ray", address=cluster.address, gpus=0.5))


def test_two_actors_share_one_gpu(tmp_path):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1, "include_dashboard": False})
    results = work(Memo(tmp_path / "m.sqlite"), engine=Engine("ray", address=cluster.address, gpus=0.5), batch=2)
    cluster.shutdown()
    assert results.computed == len(ITEMS)


def test_a_node_that_goes_takes_no_item_with_it(cluster, tmp_path):
    node = cluster.add_node(num_cpus=1)
    memo = Memo(tmp_path / "m.sqlite")
    items = iter(ITEMS)

    def losing():
        for place, item in enumerate(items):
            if place == 6:
                cluster.remove_node(node, allow_graceful=False)
            yield item

    results = work(memo, Lazy(losing()), engine=Engine("ray", address=cluster.address))
    assert contents(results) == contents(work(Memo(tmp_path / "inline.sqlite")))


class Lazy:
    """Items that come one by one, of a known number."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return self.items

    def __len__(self):
        return len(ITEMS)


def test_a_local_cluster_is_started_and_ended(tmp_path):
    assert work(Memo(tmp_path / "m.sqlite"), engine=Engine("ray", 1)).computed == len(ITEMS)
    assert not ray.is_initialized()


def test_an_address_where_nobody_answers_is_named(tmp_path):
    with pytest.raises(UserError, match=r"engine\.address.*127\.0\.0\.1:9"):
        work(Memo(tmp_path / "m.sqlite"), engine=Engine("ray", address="127.0.0.1:9"))


def test_without_ray_the_remedy_is_told():
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from pipeline.crews import hire; from pipeline.engine import Engine; from pipeline.errors import UserError\n"
        "try: hire(None, Engine('ray'))\n"
        "except UserError as error: print(error)"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "pip install -r requirements-ray.txt" in output
