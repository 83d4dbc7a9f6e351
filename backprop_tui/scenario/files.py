"""Arrays from files beside a scenario: npy, npz and csv, never a pickle.

Every error is a ScenarioError without its place, which the caller adds. What an array takes is known and reserved
before its bytes are read.
"""

from __future__ import annotations

import os
import stat
from array import array as compact
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

import numpy as np

from backprop_tui.errors import ScenarioError, did_you_mean
from backprop_tui.ops.op import Array, Shape
from backprop_tui.scenario.document import quoted

MAX_AXES = 32
MAX_HEADER = 10_000
Reserve = Callable[[Shape], None]


def read_array(file: str, member: str | None, folder: Path | None, max_bytes: int, reserve: Reserve) -> Array:
    """The array in a file of the scenario's folder; ``member`` is the array of an npz.

    ``reserve(shape)`` is called before the values are read and raises if they would be too many. A csv is always a
    matrix: one row a line. Raises ScenarioError.
    """
    kind = PurePosixPath(file).suffix.lower()
    if kind not in (".npy", ".npz", ".csv"):
        raise _wrong(f"the file {quoted(file)} is of no known kind", "an array comes from .npy, .npz or .csv")
    if (member is not None) != (kind == ".npz"):
        if member is None:
            raise _wrong(f"no array of {quoted(file)} is named", f'write {{ file = {file!r}, array = "…" }}')
        raise _wrong(f"'array' does not belong to {quoted(file)}", "only an .npz holds several arrays")
    with _opened(file, folder) as stream:
        size = os.fstat(stream.fileno()).st_size
        if kind != ".npy" and size > max_bytes:
            raise _wrong(
                f"the file {quoted(file)} has {-(-size // 2**20):,} MiB, more than the limit of {max_bytes / 2**20:,.6g} MiB",
                "raise it with --max-bytes",
            )
        try:
            if kind == ".npy":
                return _npy(stream, file, size, reserve)
            if member is not None:
                return _npz(stream, file, member, reserve)
            return _csv(stream, file, reserve)
        except (OSError, MemoryError) as error:
            raise _wrong(f"the file {quoted(file)} cannot be read: {_reason(error)}") from None


def _wrong(message: str, hint: str | None = None) -> ScenarioError:
    return ScenarioError(message, hint=hint)


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _opened(file: str, folder: Path | None) -> IO[bytes]:
    """The file, opened once it is known to be a regular one inside the folder."""
    if folder is None:
        raise _wrong(f"the file {quoted(file)} cannot be found", "a scenario needs a folder to read from")
    outside = _wrong(f"the file {quoted(file)} lies outside the scenario's folder", "put it beside the scenario and write its name")
    if PurePosixPath(file).is_absolute() or PureWindowsPath(file).anchor:
        raise outside
    try:
        home = folder.resolve()
        path = (home / file).resolve()
        if not path.is_relative_to(home):
            raise outside
        if not path.exists():
            raise _wrong(f"there is no file {quoted(file)} in the scenario's folder")
        if not stat.S_ISREG(path.stat().st_mode):
            raise _wrong(f"{quoted(file)} is not a regular file", "name an .npy, .npz or .csv file")
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        stream = os.fdopen(os.open(path, flags), "rb")
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise _wrong(f"the file {quoted(file)} cannot be read: {_reason(error)}") from None
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise _wrong(f"{quoted(file)} is not a regular file", "name an .npy, .npz or .csv file")
    return stream


def _header(stream: IO[bytes], file: str) -> tuple[Shape, bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype of an npy stream, which then stands at the values."""
    import io

    try:
        version = np.lib.format.read_magic(stream)
        width = 2 if version == (1, 0) else 4
        if version not in ((1, 0), (2, 0)):
            raise _wrong(f"{quoted(file)} is of npy version {version[0]}.{version[1]}", "versions 1.0 and 2.0 are read")
        length = stream.read(width)
        if int.from_bytes(length, "little") > MAX_HEADER:
            raise _wrong(f"{quoted(file)} has an npy header of more than {MAX_HEADER:,} bytes")
        text = io.BytesIO(length + stream.read(int.from_bytes(length, "little")))
        read = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
        header = read(text)
    except ScenarioError:
        raise
    except Exception as error:  # whatever NumPy makes of a file that is not what it says
        reason = next(iter(str(error).splitlines()), "damaged")
        raise _wrong(f"{quoted(file)} is not an npy file: {reason}") from None
    shape, fortran, dtype = header
    if dtype.hasobject:
        raise _wrong(f"{quoted(file)} holds Python objects", "they would need pickle; save an array of numbers")
    if dtype.kind not in "biuf":
        raise _wrong(f"{quoted(file)} holds {dtype.name}, not real numbers", "save it as float64 or float32")
    if len(shape) > MAX_AXES or any(size < 0 for size in shape):
        raise _wrong(f"{quoted(file)} has a shape that cannot be read")
    return tuple(int(size) for size in shape), bool(fortran), dtype


def _body(data: bytes, shape: Shape, fortran: bool, dtype: np.dtype[Any], file: str) -> Array:
    wanted = _nbytes(shape, dtype)
    if len(data) < wanted:
        raise _wrong(f"{quoted(file)} ends after {len(data):,} of {wanted:,} bytes of values")
    if not wanted:
        return np.zeros(shape)
    flat = np.frombuffer(data, dtype=dtype, count=wanted // dtype.itemsize)
    return flat.reshape(shape, order="F" if fortran else "C")


def _nbytes(shape: Shape, dtype: np.dtype[Any]) -> int:
    count = dtype.itemsize
    for size in shape:
        count *= size
    return count


def _npy(stream: IO[bytes], file: str, size: int, reserve: Reserve) -> Array:
    shape, fortran, dtype = _header(stream, file)
    reserve(shape)
    there, wanted = size - stream.tell(), _nbytes(shape, dtype)
    if there < wanted:
        raise _wrong(f"{quoted(file)} ends after {there:,} of {wanted:,} bytes of values")
    return _body(stream.read(wanted), shape, fortran, dtype, file)


def _npz(stream: IO[bytes], file: str, member: str, reserve: Reserve) -> Array:
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(stream) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if member not in names:
                raise _wrong(f"{quoted(file)} has no array {quoted(member)}", did_you_mean(member, names))
            info = archive.infolist()[names.index(member)]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
                raise _wrong(f"{quoted(file)} is packed in a way that is not read", "save it with numpy.savez")
            with archive.open(info) as inner:
                shape, fortran, dtype = _header(inner, file)
                reserve(shape)
                wanted = _nbytes(shape, dtype)
                if info.file_size < wanted:
                    raise _wrong(f"{quoted(file)} ends before the values of {quoted(member)} do")
                return _body(inner.read(wanted), shape, fortran, dtype, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, LookupError) as error:
        raise _wrong(f"{quoted(file)} is not an npz file: {_reason(error)}") from None


def _csv(stream: IO[bytes], file: str, reserve: Reserve) -> Array:
    """A matrix from lines of numbers with commas between them; blank lines are passed over."""
    import io

    values = compact("d")
    columns = rows = 0
    try:
        for number, line in enumerate(io.TextIOWrapper(stream, "utf-8-sig"), 1):
            if not line.strip():
                continue
            count = line.count(",") + 1
            if rows and count != columns:
                there = f"{count:,} {'entry' if count == 1 else 'entries'}"
                raise _wrong(
                    f"row {number} of {quoted(file)} has {there}, but the first has {columns:,}",
                    "the rows of an array have one length",
                )
            rows, columns = rows + 1, count
            reserve((count,))
            try:
                values.extend(map(float, _fields(line)))
            except ValueError:
                raise _not_a_number(line, number, file) from None
    except UnicodeDecodeError:
        raise _wrong(f"{quoted(file)} is not text in UTF-8", "save it as UTF-8") from None
    if not rows:
        raise _wrong(f"{quoted(file)} has no rows", "one row of numbers a line, with commas between them")
    return np.frombuffer(values, dtype=np.float64).reshape(rows, columns)


def _fields(line: str) -> Iterator[str]:
    """The parts of a line between commas, one at a time: a line may be very long."""
    at = 0
    while (end := line.find(",", at)) >= 0:
        yield line[at:end]
        at = end + 1
    yield line[at:]


def _not_a_number(line: str, row: int, file: str) -> ScenarioError:
    for column, part in enumerate(_fields(line), 1):
        try:
            float(part)
        except ValueError:
            shown = quoted(part.strip()) if part.strip() else "nothing"
            message = f"row {row}, column {column} of {quoted(file)} is {shown}, not a number"
            return _wrong(message, "write numbers with commas between them")
    return _wrong(f"row {row} of {quoted(file)} is not all numbers")
