"""Translate files, folders and globs, or a split of a data set, to image files."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from pix2pix.config import Config
from pix2pix.data.dataset import open_split
from pix2pix.data.formats import convert
from pix2pix.data.images.files import is_image, read_image, write_image
from pix2pix.data.images.tags import TiffTags, read_tags
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import ConfigError, DataError, is_out_of_memory
from pix2pix.inference.translator import Translator
from pix2pix.runtime.io import prepare_folder, replace_atomically
from pix2pix.runtime.log import bar_disabled
from pix2pix.runtime.ownership import claim_outputs, is_run, made_files
from pix2pix.runtime.signals import stoppable
from pix2pix.visualization import comparison_grid, titles

_GRID_PAIRS = 16  # rows of the comparison image of a split

_Item = TypeVar("_Item")


def find_images(source: str) -> tuple[Path, list[Path], list[DataError]]:
    """Find the images of a file, a folder with its subfolders, or a glob.

    Returns the folder that their names are relative to, the images, and an error for each subfolder that cannot be
    read. Runs and the files of earlier translations in the subfolders are left out. Raises DataError where there are no
    images.
    """
    path = Path(source)
    if os.path.isdir(path):  # Path.is_dir raises for a name that is too long or not accessible
        errors: list[DataError] = []
        images = sorted(_walk(source, errors))
        if not images:
            if errors:
                raise errors[0]
            raise DataError("holds no images", path=path, remedy="give a folder that does, a file or a glob")
        return path, images, errors
    if os.path.exists(path):
        return path.parent, [path], []
    images = sorted(Path(p) for p in glob.glob(source, recursive=True) if Path(p).is_file() and is_image(Path(p)))
    if not images:
        raise DataError(
            "no such file or folder, and no image matches it", path=source, remedy="give a file, a folder or a glob"
        )
    return Path(os.path.commonpath([image.parent for image in images])), images, []


def _walk(folder: str, errors: list[DataError]) -> Iterator[Path]:
    """Yield the images of a folder and its subfolders; append an error for each folder that cannot be read.

    Links to folders are not followed.
    """

    def fail(error: OSError) -> None:
        errors.append(
            DataError(
                f"cannot be read ({error.strerror})",
                path=error.filename,
                remedy="fix its permissions, or give other images with --input",
            )
        )

    made: set[str] = set()
    for here, folders, names in os.walk(folder, onerror=fail):
        if here != folder:
            made |= made_files(here)
        folders[:] = [name for name in folders if not is_run(os.path.join(here, name))]
        for path in (Path(here, name) for name in names):
            if is_image(path) and str(path) not in made and path.is_file():
                yield path


def _find_inputs(translator: Translator, source: str) -> tuple[Path, list[tuple[Path, ...]], list[DataError]]:
    """Find the files of each translation, as `find_images` does.

    For stacked inputs `source` is a folder that holds one folder for each input, with the names used in training.
    Raises DataError.
    """
    count = len(translator.formats.input)
    if count == 1:
        base, images, errors = find_images(source)
        return base, [(image,) for image in images], errors
    names = [Path(folder).name for folder in translator.config.data.input_names]
    folders = [Path(source, name) for name in names]
    if len(names) != count or not all(map(os.path.isdir, folders)):
        raise DataError(f"should hold the folders {', '.join(names)}, stacked as in training", path=source)
    found: list[dict[Path, Path]] = []
    for folder in folders:
        _, images, errors = find_images(str(folder))
        if errors:
            raise errors[0]
        found.append({path.relative_to(folder).with_suffix(""): path for path in images})
    for name in set[Path]().union(*found):
        if missing := [str(folder) for folder, images in zip(folders, found, strict=True) if name not in images]:
            raise DataError(
                f"has no image {name}, which is stacked with the others", path=" and ".join(missing), remedy="add it"
            )
    return folders[0], [tuple(images[name] for images in found) for name in found[0]], []


def _outputs(base: Path, images: Sequence[tuple[Path, ...]], output: Path, suffix: str) -> list[Path]:
    """Name each translation by its first image's relative path; names that would clash keep the old suffix as well."""
    relative = [image.relative_to(base) for image, *_ in images]
    long = [path.with_name(path.name + suffix) for path in relative]
    short = [path.with_suffix(suffix) for path in relative]
    counts = Counter(short)
    names = [one if counts[one] == 1 else other for one, other in zip(short, long, strict=True)]
    if len(set(names)) < len(names):  # a.png.jpg still clashes with a.png
        names = long
    return [output / name for name in names]


def translate_files(translator: Translator, source: str, output: Path) -> tuple[int, list[DataError]]:
    """Translate every image of a file, a folder or a glob into the folder `output`, or one image to the file `output`.

    Returns the number of translations and the errors of the images that failed. Raises DataError where there are no
    images, ConfigError where an output would replace an input or a file that pix2pix did not make, CheckpointError
    where `output` cannot be written, and Stopped.
    """
    base, images, failed = _find_inputs(translator, source)
    if is_image(output) and not output.is_dir():
        if len(images) > 1:
            raise ConfigError(f"{output}: names one image, and {source} holds {len(images)}; give a folder")
        folder, outputs = output.parent, [output]
    else:
        folder, outputs = output, _outputs(base, images, output, translator.formats.target.suffix)
    prepare_folder(folder)
    claim_outputs(folder, outputs, [path for files in images for path in files])
    count = 0
    for files, path in _progress(list(zip(images, outputs, strict=True))):
        try:
            with _limited_memory(files[0]):
                fake = translator.translate(*translator.decode([read_image(file) for file in files], files))
        except DataError as error:  # one broken image does not end the others
            failed.append(error)
            continue
        _write(path, *convert.encode(fake, translator.formats.target, path.suffix), _tags(translator, files[0]))
        count += 1
    return count, failed


@contextmanager
def _limited_memory(name: str | Path) -> Iterator[None]:
    """Turn running out of memory into a DataError that names the image, so that the others are still translated."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        error.__traceback__ = None  # releases the tensors that its frames refer to
        raise DataError(
            "is too large for the memory of this machine",
            path=name,
            remedy="make it smaller, or translate it with --resize or on another --device",
        ) from None


def translate_split(
    translator: Translator, config: Config, split: str, output: Path, index: DatasetIndex | None = None
) -> tuple[int, Path, list[DataError]]:
    """Translate the inputs of a split of the config's data into `output/<split>/`, at their own size.

    `index`: the index of the data set, if the disk was scanned already.

    Returns the number of translations, the file that compares the first of them with their targets, and the errors of
    the pairs that failed. Raises DataError where there are no pairs or none can be read; ConfigError where `output`
    holds the pairs, or a file that pix2pix did not make would be replaced; CheckpointError; Stopped.
    """
    formats = translator.formats
    data = config.data.model_copy(update={"cache": "off", "skip_broken": False})  # each pair is read once
    dataset = open_split(data, split, None, index=index, formats=formats)
    grid, suffix = output / f"{split}_comparison.png", formats.target.suffix
    sources = [file for pair in dataset.pairs for file in pair.files]
    _require_apart(output, sources)
    prepare_folder(output)
    outputs = [output / split / f"{pair.name}{suffix}" for pair in dataset.pairs]
    claim_outputs(output, [*outputs, grid], sources)
    rows: list[list[np.ndarray]] = []
    failed: list[DataError] = []
    count = 0
    for number in _progress(range(len(dataset))):
        try:
            with _limited_memory(dataset.pairs[number].names[0]):
                pair = dataset[number]
                *inputs, target = (pair[key].permute(1, 2, 0).numpy() for key in formats.parts)  # [H, W, C]
                fake = translator.translate(*inputs)
        except DataError as error:  # one broken pair does not end the others
            failed.append(error)
            continue
        files = dataset.pairs[number].files
        tags = _tags(translator, files[0]) if len(files) > 1 else None  # halves of an image have no place of their own
        _write(outputs[number], *convert.encode(fake, formats.target, suffix), tags)
        count += 1
        if len(rows) < _GRID_PAIRS:
            images = zip([*inputs, fake, target], [*formats.input, formats.target, formats.target], strict=True)
            rows.append([convert.preview(pixels, fmt) for pixels, fmt in images])
    if not rows:
        raise failed[0]
    _write(grid, comparison_grid(rows, titles(len(formats.input))))
    return count, grid, failed


def _require_apart(output: Path, files: Sequence[Path]) -> None:
    """Raise ConfigError where the pairs are inside the output folder: outputs would join the data set."""
    folder = os.path.join(os.path.realpath(output), "")
    for place in {file.parent for file in files}:
        if os.path.join(os.path.realpath(place), "").startswith(folder):
            raise ConfigError(f"{output}: holds the pairs that are read, in {place}; choose another --output")


def _tags(translator: Translator, file: Path) -> TiffTags:
    """Return the georeference and resolution of an input for its translation, and which value means "missing"."""
    tags = TiffTags({}) if translator.resize else read_tags(file)  # they do not fit pixels of another size
    return tags.with_nodata(translator.output_nodata)


def _write(path: Path, pixels: np.ndarray, palette: np.ndarray | None = None, tags: TiffTags | None = None) -> None:
    replace_atomically(path, lambda temporary: write_image(temporary, pixels, palette, tags=tags))


def _progress(items: Sequence[_Item]) -> Iterator[_Item]:
    return stoppable(tqdm(items, desc="translating", unit="image", disable=bar_disabled(), leave=False))
