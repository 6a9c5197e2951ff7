"""Makes orquesta 1.2.0 importable on Python 3.10 to 3.13; ``prepare()`` comes before its import.

What stands in the way, all of it in orquesta 1.2.0 and the networkx 1.11 it pins:

- ``collections.MutableSequence`` and friends left for ``collections.abc`` in Python 3.10;
- ``fractions.gcd`` left for ``math`` in 3.9 (networkx.algorithms.dag);
- ``lib2to3`` is gone from 3.13 and warns before (networkx.readwrite.gml, which nothing here calls);
- ``(?i)`` in the middle of a regular expression is an error since 3.11 (orquesta.utils.parameters).

A newer orquesta is left alone.
"""

from __future__ import annotations

import collections
import collections.abc
import fractions
import importlib
import math
import sys
import types
from importlib import metadata
from typing import Any

_LAST_OLD_RELEASE = (1, 2, 0)
_OLD_COLLECTIONS = ("Mapping", "MutableMapping", "MutableSequence", "Sequence")
_OLD_FLAGS = {r"(?i)true": r"(?i:true)", r"(?i)false": r"(?i:false)"}


def prepare() -> None:
    """Put back what orquesta 1.2.0 misses. Safe to call more than once."""
    if _release(metadata.version("orquesta")) > _LAST_OLD_RELEASE:
        return
    for name in _OLD_COLLECTIONS:
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    if not hasattr(fractions, "gcd"):
        fractions.gcd = math.gcd  # type: ignore[attr-defined]
    _import_networkx()
    _mend_inline_parameters()


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``"1.2.0.dev3"`` is ``(1, 2, 0)``."""
    numbers: list[int] = []
    for part in version.split(".")[:3]:
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _import_networkx() -> None:
    """Import networkx with empty shells in the place of lib2to3, and take the shells away again."""
    if "networkx" in sys.modules or "lib2to3" in sys.modules:
        return
    names: dict[str, dict[str, Any]] = {
        "lib2to3": {},
        "lib2to3.pgen2": {},
        "lib2to3.pgen2.parse": {"ParseError": ValueError},
        "lib2to3.pgen2.tokenize": {"TokenError": ValueError},
        "lib2to3.refactor": {"RefactoringTool": None},
    }
    for name, attributes in names.items():
        shell = types.ModuleType(name)
        vars(shell).update(attributes)
        sys.modules[name] = shell
    try:
        importlib.import_module("networkx")
    finally:
        for name in names:
            del sys.modules[name]


def _mend_inline_parameters() -> None:
    parameters: Any = importlib.import_module("orquesta.utils.parameters")
    variations = [_OLD_FLAGS.get(v, v) for v in parameters.REGEX_INLINE_PARAM_VARIATIONS]
    parameters.REGEX_INLINE_PARAM_VARIATIONS = variations
    parameters.REGEX_INLINE_PARAMS = r"([\w]+)=({})".format("|".join(variations))
