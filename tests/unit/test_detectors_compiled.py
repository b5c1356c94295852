"""What is compiled, and kept from one start to the next."""

from __future__ import annotations

import importlib
import pkgutil

import detectors
from detectors.compiled import Compiled


def compiled_functions() -> list[Compiled]:
    modules = [importlib.import_module(f"detectors.{each.name}") for each in pkgutil.iter_modules(detectors.__path__)]
    return [each for module in modules for each in vars(module).values() if isinstance(each, Compiled)]


def test_compiled_functions_call_none_of_other_files() -> None:
    """What is kept of a caller would go on with the old version of what it calls."""
    assert compiled_functions()
    for caller in compiled_functions():
        function = caller.function
        called = [function.__globals__.get(name) for name in function.__code__.co_names]
        for callee in called:
            if isinstance(callee, Compiled):
                assert callee.function.__code__.co_filename == function.__code__.co_filename, function.__qualname__
