"""What is measured beside SSIM is measured once, however many protocols ask for it."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from models.metrics.protocols import PROTOCOLS
from pipeline import params
from pipeline.imports import ROOT
from pipeline.run import Job
from stages.framed import perceptual


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    raw = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    raw["engine"]["kind"] = "inline"
    return Job("evaluate", "adgan", params.parse(raw, name="params.yaml"))


def test_distances_that_no_protocol_changes_are_measured_once(job):
    dice = np.random.default_rng(0)
    source, target, made = (dice.integers(0, 256, (40, 32, 3), np.uint8) for _ in range(3))
    pictures = {"copy_source": [source], "adgan": [made]}
    found, counts = {}, []
    for name in ("plain", "pg2", "padded"):
        found[name] = perceptual(job, PROTOCOLS[name], pictures, [source], [target])
        counts.append(job.notes["computed"])
    # Both pictures against the target by LPIPS, against source and target by the contextual distance; then no more.
    # White columns are seen by LPIPS alone.
    assert counts == [6, 6, 8]
    assert found["plain"] == found["pg2"]
    for system in pictures:
        assert found["padded"][system]["cx_gt"] == found["plain"][system]["cx_gt"]
        assert found["padded"][system]["lpips_hed"] != found["plain"][system]["lpips_hed"]
    assert found["plain"]["copy_source"]["cx_gs"] < found["plain"]["copy_source"]["cx_gt"]
