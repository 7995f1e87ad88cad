"""Torch tensors, alone or as a dict of them (a model's state), in torch's own file format, read with `weights_only`."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import Any

from tidemill.artifacts.codecs.form import Schema, Source, Unfit, Written
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import LibraryMissing


class Torch:
    """The codec "torch": Tensor, Parameter, dict or OrderedDict of tensors. They come back on the CPU."""

    name = "torch"
    version = 1

    def write(self, value: Any, location: Location) -> Written:
        """See `Codec`."""
        torch = _library()
        if isinstance(value, torch.Tensor):
            schema: Schema = (("shape", "×".join(map(str, value.shape)) or "number"), ("dtype", str(value.dtype)))
            preview = _summary(value)
        elif is_state(value):
            schema = tuple((name, f"{tensor.dtype} {'×'.join(map(str, tensor.shape))}") for name, tensor in value.items())
            preview = "\n".join(f"{name}: {_summary(tensor)}" for name, tensor in list(value.items())[:50])
        else:
            raise Unfit("only tensors and dicts of tensors have a form of their own")
        draft = location.draft()
        try:
            torch.save(value, draft)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return Written(draft=draft, schema=schema, preview=preview)

    def read(self, source: Source) -> object:
        """See `Codec`."""
        torch = _library()
        if source.path is None:
            return torch.load(io.BytesIO(source.bytes()), map_location="cpu", weights_only=True)
        return torch.load(source.path, map_location="cpu", weights_only=True, mmap=True)  # mapped privately: the file never changes


def is_state(value: object) -> bool:
    """Whether `value` is a dict of tensors by name. Looks at types only."""
    if type(value) not in (dict, OrderedDict):
        return False
    assert isinstance(value, dict)
    return bool(value) and all(type(name) is str and _is_tensor(type(part)) for name, part in value.items())


def _is_tensor(kind: type) -> bool:
    return any(base.__module__ == "torch" and base.__name__ == "Tensor" for base in kind.__mro__)


def _summary(tensor: Any) -> str:
    return f"{tensor.dtype} tensor of {'×'.join(map(str, tensor.shape)) or 'no dimension'}" + (
        f": {tensor.flatten()[:10].tolist()}" if tensor.numel() else ""
    )


def _library() -> Any:
    try:
        import torch  # optional and heavy: only for values that came from it
    except ImportError:
        raise LibraryMissing("PyTorch", "torch", "a torch tensor") from None
    return torch
