"""How a process is started: the module that componentize-py compiles asks for its `WitWorld` here."""

from __future__ import annotations

import importlib

import wit_world
from componentize_py_types import Err
from wit_world.imports import standard
