"""A user's own faults and scenarios: in Python files, named `path/to/file.py:Name`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from blake3 import blake3

from nectar_node.base.errors import BadInput
from testnet.model.travelled import local


def load(path: Path, name: str) -> type:
    """Run the file at `path` and return its class `name`. Raises BadInput if there is none, or the file cannot run."""
    module = load_module(local(path))
    found = getattr(module, name, None)
    if isinstance(found, type):
        return found
    here = [each for each, value in vars(module).items() if _is_of(module, value)]
    raise BadInput(f"{path} has no class {name!r}; it has {', '.join(here) or 'none'}.")


def _is_of(module: ModuleType, value: object) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


def load_module(path: Path) -> ModuleType:
    """Run the file at `path`, once, and return the module. Raises BadInput."""
    if path.suffix != ".py":
        raise BadInput(f"{path} is not a Python file: its name must end with .py.")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # its name contains a zero byte
        raise BadInput(f"{str(path)!r} is not a file: {error}.") from error
    # Named by its content: the same file gives the same classes, an edited one new classes.
    name = f"own_{blake3(bytes(path.resolve()) + b'=' + source).hexdigest(8)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # a dataclass looks for its module there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BadInput(f"{path} cannot be loaded: {_words(path, error)}.") from error
    return module


def _words(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}" if error.lineno else error.msg
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1] if lines else 1}: {type(error).__name__}: {error}"
