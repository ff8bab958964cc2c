"""Which of the project's own modules a module is made of: read from the source, nothing is imported."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("pipeline", "stages", "models", "experiments")

# Modules that spread and time the work but never change a result; their own tests prove it.
NEUTRAL = (
    "pipeline.params",
    "pipeline.run",
    "pipeline.engine",
    "pipeline.memo",
    "pipeline.content",
    "pipeline.imports",
    "pipeline.errors",
    "experiments.settings",
)

# Modules that draw for people: a stage depends on them, the result of an item does not.
DRAWING = ("stages.sheets", "stages.drawing")


@cache
def file_of(module: str) -> Path | None:
    """The source file of one of our modules, or None."""
    path = ROOT / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.split(".")[0] in ROOMS and candidate.is_file():
            return candidate
    return None


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of ours that `module` imports itself, anywhere in its source."""
    path = file_of(module)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())) if path else ():
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if file_of(name))


@cache
def modules_of(module: str) -> frozenset[str]:
    """`module` and all it imports, directly or not, the neutral ones left out."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name in NEUTRAL:
            continue
        seen.add(name)
        waiting += imports_of(name)
    return frozenset(seen)


@cache
def code_of(module: str) -> bytes:
    """A digest of the source of `module` and of all it imports, as far as an item's result may depend on it."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(modules_of(module) - set(DRAWING)):
        path = file_of(name)
        assert path is not None
        state.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return state.digest()
