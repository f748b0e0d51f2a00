"""What is looked at in a file of tensors before it is read: that it holds nothing else, and no more than it weighs."""

import pickletools
import struct
import zipfile
import zlib
from pathlib import Path

# What our own files name. PyTorch's safe unpickler calls more, some of which takes all memory: bytearray(10 ** 10).
_NAMES = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Byte", "Bool")),
}


def require_plain(path: Path, checksums: bool = True) -> None:
    """Raises ValueError where a file is no archive of tensors, and OSError where it cannot be opened.

    Nothing in it is run or unpacked: an archive that is larger inside than outside is refused unseen. `checksums`:
    whether its own are right, too, which torch.load does not ask; a file with a manifest is written without them.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > size:
                raise ValueError(f"{path}: is packed, or larger inside than outside")
            pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
            if len(pickles) != 1:
                raise ValueError(f"{path}: holds {len(pickles)} pickles, not one")
            if checksums and (damaged := archive.testzip()):
                raise ValueError(f"{path}: {damaged} is damaged")
            for entry in entries:
                del entry.CRC  # or zipfile asks for it
            for operation, argument, _ in pickletools.genops(archive.read(pickles[0])):
                named = operation.name == "GLOBAL" and argument not in _NAMES
                if named or operation.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
                    raise ValueError(f"{path}: names {argument}, which no file of tensors needs")
    except (zipfile.BadZipFile, struct.error, zlib.error, EOFError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: is no archive of tensors ({error})") from None
