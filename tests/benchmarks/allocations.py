"""How many bytes NumPy asks for, OpenCV's results included: its allocator, counted."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

_SET_HANDLER = 304
"""Place of ``PyDataMem_SetHandler`` in NumPy's table of functions; the same since 1.22."""

_NAME = b"mem_handler"
_Malloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_Calloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
_Realloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_Free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Handler(ctypes.Structure):
    """``PyDataMem_Handler`` of numpy/ndarraytypes.h, version 1."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("ctx", ctypes.c_void_p),
        ("malloc", _Malloc),
        ("calloc", _Calloc),
        ("realloc", _Realloc),
        ("free", _Free),
    )


class _Counter:
    """Counts and passes on to the C library. Arrays may outlive it: it is never given back."""

    def __init__(self) -> None:
        self.bytes = 0
        libc = ctypes.CDLL(None)
        for name in ("malloc", "calloc", "realloc"):
            getattr(libc, name).restype = ctypes.c_void_p
        self._libc = libc
        self.handler = _Handler(
            b"counting",
            1,
            None,
            _Malloc(lambda _, size: self._count(size, libc.malloc(ctypes.c_size_t(size)))),
            _Calloc(
                lambda _, n, size: self._count(
                    n * size, libc.calloc(ctypes.c_size_t(n), ctypes.c_size_t(size))
                )
            ),
            _Realloc(
                lambda _, old, size: self._count(
                    size, libc.realloc(ctypes.c_void_p(old), ctypes.c_size_t(size))
                )
            ),
            _Free(lambda _, old, size: libc.free(ctypes.c_void_p(old))),
        )
        make = ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.capsule = make(ctypes.addressof(self.handler), _NAME, None)

    def _count(self, size: int, address: int | None) -> int | None:
        self.bytes += size
        return address


_counter: list[_Counter] = []


def count_array_bytes(work: Callable[[], object]) -> int:
    """Bytes of all arrays that ``work`` allocates in this thread, also those it frees again."""
    if not _counter:
        _counter.append(_Counter())
    before = _set_handler(_counter[0].capsule)
    _counter[0].bytes = 0
    try:
        work()
    finally:
        _set_handler(before)
    return _counter[0].bytes


def _set_handler(capsule: object) -> object:
    api = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined] # not in the stubs
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype = ctypes.c_void_p
    get.argtypes = [ctypes.py_object, ctypes.c_char_p]
    table = ctypes.cast(get(api, None), ctypes.POINTER(ctypes.c_void_p))
    function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[_SET_HANDLER])
    return function(capsule)
