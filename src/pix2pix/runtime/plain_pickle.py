"""Read the pickle of a torch archive as data. No unpickler runs, so nothing that the pickle names is imported."""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

# A checkpoint of 400 tensors takes 80 KB and 20,000 operations. Reading the largest allowed one takes two seconds.
LONGEST, MOST_OPERATIONS = 4 << 20, 500_000  # bytes, operations
MOST_VALUES, DEEPEST = 500_000, 32

_DTYPES = {
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"


class Storage(NamedTuple):
    """The numbers of one or several tensors; `key` names the entry of the archive that holds them."""

    key: str
    dtype: torch.dtype


class _Named(NamedTuple):
    """A class or function that a pickle names."""

    name: str


TensorMaker = Callable[[Storage, int, tuple[int, ...], tuple[int, ...]], torch.Tensor]


def parse(data: bytes, make_tensor: TensorMaker) -> Any:
    """Return the value in a pickle of plain values, lists, tuples, dicts and tensors.

    `make_tensor(storage, offset, size, stride)` is called for each tensor. Raises ValueError where the pickle holds
    anything else, or is too large: in bytes, operations or depth, or after its references are followed.
    """
    if len(data) > LONGEST:
        raise ValueError(f"its pickle has {len(data):,} bytes, more than {LONGEST:,}")
    reader = _Reader(make_tensor)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MOST_OPERATIONS:
                raise ValueError(f"its pickle has more than {MOST_OPERATIONS:,} operations")
            _STEPS[operation.name](reader, argument)
        (value,) = reader.stack
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its pickle is not that of a file of tensors ({error!r:.100})") from None
    if reader.marks:
        raise ValueError("its pickle ends within a value")
    _require_bounded(value)
    return value


class _Reader:
    """The stack and the memo of a pickle."""

    def __init__(self, make_tensor: TensorMaker):
        self.make_tensor = make_tensor
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: None) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.marks.pop()
        return values

    def last(self, count: int) -> tuple[Any, ...]:
        values = [self.stack.pop() for _ in range(count)]
        return tuple(reversed(values))

    def put(self, slot: int) -> None:
        self.memo[slot] = self.stack[-1]

    def append(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("appends to a value that is not a list")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target, keys = self.stack[-1], values[::2]
        # A key such as a nested tuple could take forever to hash.
        if type(target) is not dict or any(type(key) not in (str, int) for key in keys) or len(values) % 2:
            raise TypeError("sets items of a value that is not a dict, or keys that are neither text nor whole numbers")
        target.update(zip(keys, values[1::2], strict=True))

    def named(self, name: str) -> None:
        if name not in (_DICT, _TENSOR, *_DTYPES):
            raise ValueError(f"its pickle names {name:.100}, which a file of tensors does not need")
        self.push(_Named(name))

    def storage(self, _: None) -> None:
        kind, named, key, _, _ = self.stack.pop()
        if kind != "storage" or type(named) is not _Named or type(key) is not str:
            raise TypeError("a storage is described wrongly")
        self.push(Storage(key, _DTYPES[named.name]))

    def call(self, _: None) -> None:
        named, arguments = self.last(2)
        if named == _Named(_DICT) and arguments == ():
            self.push({})
            return
        storage, offset, size, stride, _, hooks = arguments
        if named != _Named(_TENSOR) or type(storage) is not Storage or hooks != {}:
            raise TypeError("a tensor is described wrongly")
        if type(size) is not tuple or type(stride) is not tuple:
            raise TypeError("a tensor's shape is described wrongly")
        if any(type(number) is not int or not 0 <= number < 2**63 for number in (offset, *size, *stride)):
            raise TypeError("a tensor's shape is described wrongly")
        self.push(self.make_tensor(storage, offset, size, stride))

    def set_state(self, _: None) -> None:
        """Drop the attributes of an OrderedDict, where a state_dict stores the versions of its modules."""
        target, _ = self.last(2)
        if type(target) is not dict:
            raise TypeError("sets attributes of a value that is not an OrderedDict")
        self.push(target)


def _constant(value: Any) -> Callable[[_Reader, None], None]:
    return lambda reader, _: reader.push(value)


# All operations that torch.save writes; it uses pickle protocol 2.
_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "PROTO": lambda reader, _: None,
    "STOP": lambda reader, _: None,
    "MARK": _Reader.mark,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"), _Reader.push),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": lambda reader, _: reader.push([]),
    "EMPTY_DICT": lambda reader, _: reader.push({}),
    "TUPLE": lambda reader, _: reader.push(tuple(reader.since_mark())),
    "TUPLE1": lambda reader, _: reader.push(reader.last(1)),
    "TUPLE2": lambda reader, _: reader.push(reader.last(2)),
    "TUPLE3": lambda reader, _: reader.push(reader.last(3)),
    "APPEND": lambda reader, _: reader.append([reader.stack.pop()]),
    "APPENDS": lambda reader, _: reader.append(reader.since_mark()),
    "SETITEM": lambda reader, _: reader.set_items(list(reader.last(2))),
    "SETITEMS": lambda reader, _: reader.set_items(reader.since_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Reader.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda reader, slot: reader.push(reader.memo[slot])),
    "GLOBAL": _Reader.named,
    "BINPERSID": _Reader.storage,
    "REDUCE": _Reader.call,
    "BUILD": _Reader.set_state,
}


def _require_bounded(value: Any) -> None:
    """Raise ValueError where a value is too large or too deep after all its references are followed."""
    rest, count = [(value, 0)], 0
    while rest:
        value, depth = rest.pop()
        count += 1 + (len(value) // 16 if type(value) is str else 0)
        if type(value) in (_Named, Storage):
            raise ValueError("its pickle holds a class")
        if type(value) is dict:
            rest += [(item, depth + 1) for pair in value.items() for item in pair]
        elif type(value) in (list, tuple):
            rest += [(item, depth + 1) for item in value]
        if depth > DEEPEST or count + len(rest) > MOST_VALUES:
            raise ValueError("its pickle holds values that are nested deeply or repeated very often")
