# SPDX-License-Identifier: Apache-2.0
import ctypes
import os
import pathlib
import queue
import subprocess
import tempfile
import threading

import numpy as np

CORE_BYTES = 64 * 1024
MEMORY_TILE_BYTES = 512 * 1024
CORES_OF_COLUMN = 4
CHANNELS = 2  # of a core, and of a column's shim: in, and as many out
ALIGNMENT = 64
SECONDS = 300  # after which a design hangs

In = Out = object
_device = None
_names = set()


def set_current_device(device):
    global _device
    _device = device
    _names.clear()


def get_current_device():
    return _device


def _shape(array_type):
    shape, dtype = array_type.__args__
    return int(np.prod(shape)), np.dtype(dtype.__args__[0])


def _bytes(array_type):
    elements, dtype = _shape(array_type)
    return elements * dtype.itemsize


def _new(array_type):
    """An array at a multiple of the alignment, full of what no result is by chance."""
    size = _bytes(array_type)
    memory = np.full(size + ALIGNMENT, 0x55, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + size].view(_shape(array_type)[1])


def _check(array, array_type, what):
    elements, dtype = _shape(array_type)
    if array.size != elements or array.dtype != dtype:
        raise TypeError(f"{what}: {array.size} of {array.dtype} instead of {elements} of {dtype}")


def _name(name):
    if name in _names:
        raise ValueError(f"two of the name {name}")
    _names.add(name)


class _Tensor:
    def __init__(self, array):
        self.array = array

    def numpy(self):
        return self.array


def tensor(array, dtype, device):
    return _Tensor(np.array(array, dtype))


def zeros(elements, dtype, device):
    return _Tensor(np.zeros(elements, dtype))


class Buffer:
    def __init__(self, type=None, initial_value=None, name=None):
        _name(name)
        if type is None:
            type = np.ndarray[initial_value.shape, np.dtype[initial_value.dtype.type]]
        self.type, self.array = type, _new(type)
        if initial_value is not None:
            _check(initial_value, type, name)
            self.array[:] = initial_value


class ExternalFunction:
    def __init__(self, name, source_file, arg_types, include_dirs, compile_flags):
        self.name, self.arg_types = name, arg_types
        folder = pathlib.Path(tempfile.mkdtemp())
        # mlir-aie compiles a copy that is elsewhere.
        source, library = folder / f"{name}.cc", folder / f"{name}.so"
        source.write_text(pathlib.Path(source_file).read_text())
        subprocess.run(
            [os.environ.get("CXX", "c++"), "-O0", "-shared", "-fPIC", f"-D__AIE_ARCH__={_device.arch}", *compile_flags]
            + [f"-I{path}" for path in include_dirs]
            + [str(source), "-o", str(library)],
            check=True,
        )
        # PyDLL: one call at a time.
        self.function = getattr(ctypes.PyDLL(str(library)), name)
        self.function.restype = None

    def __call__(self, *arguments):
        if len(arguments) != len(self.arg_types):
            raise TypeError(f"{self.name}: {len(arguments)} arguments instead of {len(self.arg_types)}")
        arrays = [a.array if isinstance(a, Buffer) else a for a in arguments]
        for number, (array, array_type) in enumerate(zip(arrays, self.arg_types)):
            _check(array, array_type, f"{self.name}, argument {number}")
        self.function(*(ctypes.c_void_p(array.ctypes.data) for array in arrays))


class ObjectFifo:
    def __init__(self, obj_type, name, depth=2):
        _name(name)
        self.type, self.name, self.depth = obj_type, name, depth
        self.objects = queue.Queue(depth)
        self.parts = []

    def prod(self):
        return _Handle(self, True)

    def cons(self):
        return _Handle(self, False)

    def put(self, array):
        if not self.parts:
            self.objects.put(array, timeout=SECONDS)
        for offset, part in self.parts:
            piece = _new(part.type)
            piece[:] = array[offset : offset + piece.size]
            part.put(piece)

    def get(self):
        if not self.parts:
            return self.objects.get(timeout=SECONDS)
        return np.concatenate([part.get() for _, part in self.parts])


class _Handle:
    def __init__(self, fifo, producer):
        self.fifo, self.producer, self.held = fifo, producer, None

    def _divide(self, offsets, obj_types, names):
        """Parts that make up the whole."""
        end = 0
        for offset, obj_type, name in zip(offsets, obj_types, names, strict=True):
            if offset != end or _shape(obj_type)[1] != _shape(self.fifo.type)[1]:
                raise ValueError(f"{name}: from {offset} on, but the part before it ends at {end}")
            end += _shape(obj_type)[0]
            self.fifo.parts.append((offset, ObjectFifo(obj_type, name, self.fifo.depth)))
        if end != _shape(self.fifo.type)[0]:
            raise ValueError(f"{self.fifo.name}: parts of {end} elements of {_shape(self.fifo.type)[0]}")
        return [part for _, part in self.fifo.parts]

    def split(self, offsets, obj_types, names):
        assert not self.producer
        return self._divide(offsets, obj_types, names)

    def join(self, offsets, obj_types, names):
        assert self.producer
        return self._divide(offsets, obj_types, names)

    def acquire(self, count):
        assert count == 1 and self.held is None
        self.held = _new(self.fifo.type) if self.producer else self.fifo.objects.get(timeout=SECONDS)
        return self.held

    def release(self, count):
        assert count == 1 and self.held is not None
        if self.producer:
            self.fifo.objects.put(self.held.copy(), timeout=SECONDS)
        self.held[:] = 0x55
        self.held = None

    def _piece(self, tensor, tap):
        assert tap.elements == tensor.array.size
        piece = tensor.array[tap.piece]
        size, dtype = _shape(self.fifo.type)
        if piece.size % size != 0 or piece.dtype != dtype:
            raise TypeError(f"{self.fifo.name}: {piece.size} of {piece.dtype} in objects of {size} of {dtype}")
        return [piece[begin : begin + size] for begin in range(0, piece.size, size)]

    def fill(self, tensor, tap, group):
        assert self.producer

        def run():
            for part in self._piece(tensor, tap):
                copy = _new(self.fifo.type)
                copy[:] = part
                self.fifo.put(copy)

        group.tasks.append(run)

    def drain(self, tensor, tap, wait, group):
        assert not self.producer and wait

        def run():
            for part in self._piece(tensor, tap):
                part[:] = self.fifo.get()

        group.tasks.append(run)


class TaskGroup:
    def __init__(self):
        self.tasks = []

    def finish(self):
        threads = [threading.Thread(target=task, daemon=True) for task in self.tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
            if thread.is_alive():
                raise RuntimeError("the design hangs")


class Worker:
    def __init__(self, core, fn_args, stack_size):
        self.core, self.arguments = core, fn_args
        handles = [a for a in fn_args if isinstance(a, _Handle)]
        for producer in (False, True):
            if sum(handle.producer is producer for handle in handles) > CHANNELS:
                raise ValueError("a core has two channels in, and two out")
        buffers = [a.type for a in fn_args if isinstance(a, Buffer)]
        sizes = [_bytes(t) for t in buffers] + [_bytes(h.fifo.type) for h in handles for _ in range(h.fifo.depth)]
        if any(size % ALIGNMENT for size in [*sizes, stack_size]):
            raise ValueError(f"no multiples of {ALIGNMENT} bytes: {sizes}, {stack_size}")
        if sum(sizes) + stack_size > CORE_BYTES:
            raise ValueError(f"{sum(sizes) + stack_size} bytes on a core, which has {CORE_BYTES}")

    def run(self):
        while True:
            self.core(*self.arguments)


class Runtime:
    def __init__(self, sequence, fn_args):
        self.sequence = sequence
        self.types = [a for a in fn_args if not isinstance(a, _Handle)]
        self.handles = fn_args[len(self.types) :]


class Program:
    def __init__(self, device, runtime, workers):
        self.device, self.runtime, self.workers = device, runtime, workers

    def resolve_program(self):
        if len(self.workers) > self.device.columns * CORES_OF_COLUMN:
            raise ValueError(f"{len(self.workers)} cores")
        for producer in (False, True):
            fifos = [handle.fifo for handle in self.runtime.handles if handle.producer is producer]
            if len(fifos) > self.device.columns * CHANNELS:
                raise ValueError(f"{len(fifos)} fifos from or to the host")
            if any(len(fifo.parts) > CORES_OF_COLUMN for fifo in fifos):
                raise ValueError("more parts than cores of a column")
            if any(fifo.depth * _bytes(fifo.type) > MEMORY_TILE_BYTES for fifo in fifos):
                raise ValueError("more than a memory tile has")
        return self


def jit(function):
    def call(*tensors):
        program = function(*tensors)
        for tensor, array_type in zip(tensors, program.runtime.types, strict=True):
            _check(tensor.array, array_type, function.__name__)
        for worker in program.workers:
            threading.Thread(target=worker.run, daemon=True).start()
        program.runtime.sequence(*tensors, *program.runtime.handles)

    return call
