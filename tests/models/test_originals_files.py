import io
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.originals import read_checkpoint
from pipeline.errors import UserError


@pytest.mark.parametrize("name", ["d.safetensors", "d.pth", "d.PT", "nested.pth"])
def test_checkpoints_are_read(tmp_path, name):
    state, path = {"a": torch.arange(3.0)}, tmp_path / name
    if name.endswith(".safetensors"):
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if "nested" in name else state, path)
    assert torch.equal(read_checkpoint(path)["a"], state["a"])


class _Code:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def _torn():
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1000)}, buffer)
    return buffer.getvalue()[:700]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("absent.pth", None, "there is no such file"),
        ("weights.onnx", b"", "ends in .safetensors, .pth or .pt"),
        ("code.pth", pickle.dumps(_Code(), 2), "holds code, which is not run"),
        ("text.pth", b"hello", "it is damaged"),
        ("empty.pth", b"", "it is damaged"),
        ("torn.pt", _torn(), "it is damaged"),
        ("text.safetensors", b"hello, this is no header", "it is damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, monkeypatch, name, data, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(str(path))
    assert not Path("made-by-a-checkpoint").exists()


def test_a_tensor_alone_is_no_checkpoint(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "a.pth")
    with pytest.raises(UserError, match="holds a Tensor; expected a state dict"):
        read_checkpoint(tmp_path / "a.pth")
