"""Translate files, folders and globs, or a split of a data set, to image files."""

import glob
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pix2pix.config import Config
from pix2pix.data.dataset import open_split
from pix2pix.data.discovery.folders import CONVERT, by_suffix, show_counts
from pix2pix.data.formats import convert
from pix2pix.data.formats.image_format import PairFormat
from pix2pix.data.images.files import is_image, read_image, write_image
from pix2pix.data.images.settings import at_most
from pix2pix.data.images.tags import TiffTags, read_tags
from pix2pix.data.index import DatasetIndex
from pix2pix.errors import ConfigError, DataError
from pix2pix.inference.pipeline import Arrays, Job, translate_all
from pix2pix.inference.translator import Translator
from pix2pix.runtime.io import prepare_folder, replace_atomically
from pix2pix.runtime.ownership import claim_outputs, is_run, made_files
from pix2pix.visualization import comparison_grid, titles

_GRID_PAIRS = 16  # rows of the comparison image of a split


def find_images(source: str) -> tuple[Path, list[Path], list[DataError]]:
    """Find the images of a file, a folder with its subfolders, or a glob.

    Returns the folder that their names are relative to, the images, and an error for each subfolder that cannot be
    read. Runs and the files of earlier translations in the subfolders are left out. Raises DataError where there are no
    images.
    """
    path = Path(source)
    if os.path.isdir(path):  # Path.is_dir raises for a name that is too long or not accessible
        errors: list[DataError] = []
        others: list[str] = []
        images = sorted(_walk(source, errors, others))
        if not images:
            if errors:
                raise errors[0]
            if others:
                reason = f"holds no image of a format that is read, but {show_counts(by_suffix(others))}"
                raise DataError(reason, path=path, remedy=f"{CONVERT}, or give other images")
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


def _walk(folder: str, errors: list[DataError], others: list[str]) -> Iterator[Path]:
    """Yield the images of a folder and its subfolders; append an error for each folder that cannot be read.

    The names of other files are appended to `others`. Links to folders are not followed.
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
    for parent, folders, names in os.walk(folder, onerror=fail):
        if parent != folder:
            made |= made_files(parent)
        folders[:] = [name for name in folders if not is_run(os.path.join(parent, name))]
        for path in (Path(parent, name) for name in names):
            if is_image(path) and str(path) not in made and path.is_file():
                yield path
            elif not is_image(path) and not path.name.startswith("."):
                others.append(path.name)


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
    by_folder: list[dict[Path, Path]] = []
    for folder in folders:
        _, images, errors = find_images(str(folder))
        if errors:
            raise errors[0]
        by_folder.append({path.relative_to(folder).with_suffix(""): path for path in images})
    for name in set[Path]().union(*by_folder):
        if missing := [str(folder) for folder, images in zip(folders, by_folder, strict=True) if name not in images]:
            raise DataError(
                f"has no image {name}, which is stacked with the others", path=" and ".join(missing), remedy="add it"
            )
    return folders[0], [tuple(images[name] for images in by_folder) for name in by_folder[0]], []


def _outputs(base: Path, images: Sequence[tuple[Path, ...]], output: Path, suffix: str) -> list[Path]:
    """Name each translation by its first image's relative path; names that would clash keep the old suffix as well."""
    relative = [image.relative_to(base) for image, *_ in images]
    long = [path.with_name(path.name + suffix) for path in relative]
    short = [path.with_suffix(suffix) for path in relative]
    counts = Counter(short)
    names = [
        short_name if counts[short_name] == 1 else long_name for short_name, long_name in zip(short, long, strict=True)
    ]
    if len(set(names)) < len(names):  # a.png.jpg still clashes with a.png
        names = long
    return [output / name for name in names]


def translate_files(
    translator: Translator, source: str, output: Path, batch_size: int | None = None
) -> tuple[int, list[DataError]]:
    """Translate every image of a file, a folder or a glob into the folder `output`, or one image to the file `output`.

    `batch_size`: the most images of one size in a batch, chosen by their pixels where it is None. Returns the number of
    translations and the errors of the images that failed. Raises DataError where there are no images, ConfigError
    where an output would replace an input or a file that pix2pix did not make, CheckpointError where `output` cannot
    be written, and Stopped.
    """
    base, images, unreadable = _find_inputs(translator, source)
    target = translator.formats.target
    if is_image(output) and not output.is_dir():
        if len(images) > 1:
            raise ConfigError(f"{output}: names one image, and {source} holds {len(images)}; give a folder")
        folder, outputs = output.parent, [output]
    else:
        folder, outputs = output, _outputs(base, images, output, target.suffix)
    prepare_folder(folder)
    claim_outputs(folder, outputs, [path for files in images for path in files])

    def read(files: tuple[Path, ...]) -> Arrays:
        with at_most(translator.config.data.max_pixels):
            return translator.decode([read_image(file) for file in files], files)

    def job(files: tuple[Path, ...], path: Path) -> Job:
        def write(_: Arrays, fake: np.ndarray) -> None:
            _write(path, *convert.encode(fake, target, path.suffix), _tags(translator, files[0]))

        return Job(files[0], lambda: read(files), write)

    failed = translate_all(translator, list(map(job, images, outputs)), batch_size)
    return len(images) - len(failed), unreadable + failed


def translate_split(
    translator: Translator,
    config: Config,
    split: str,
    output: Path,
    index: DatasetIndex | None = None,
    batch_size: int | None = None,
) -> tuple[int, Path, list[DataError]]:
    """Translate the inputs of a split of the config's data into `output/<split>/`, at their own size.

    `index`: the index of the data set, if the disk was scanned already. `batch_size` as for `translate_files`.

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
    rows = _FirstRows(formats)

    def job(number: int) -> Job:
        files = dataset.pairs[number].files

        def read() -> Arrays:
            pair = dataset[number]
            return [pair[key].permute(1, 2, 0).numpy() for key in formats.parts]  # [H, W, C]

        def write(arrays: Arrays, fake: np.ndarray) -> None:
            tags = _tags(translator, files[0]) if len(files) > 1 else None  # halves of an image have no place
            _write(outputs[number], *convert.encode(fake, formats.target, suffix), tags)
            rows.add(number, arrays, fake)

        return Job(dataset.pairs[number].names[0], read, write)

    failed = translate_all(translator, [job(number) for number in range(len(dataset))], batch_size)
    if not rows.images:
        raise failed[0]
    _write(grid, comparison_grid([rows.images[n] for n in sorted(rows.images)], titles(len(formats.input))))
    return len(dataset) - len(failed), grid, failed


class _FirstRows:
    """The rows of the comparison image: previews of the first pairs that were translated, by their number."""

    def __init__(self, formats: PairFormat):
        self.formats, self.images, self._lock = formats, dict[int, list[np.ndarray]](), threading.Lock()

    def add(self, number: int, arrays: Arrays, fake: np.ndarray) -> None:
        """Add a pair, unless enough earlier ones are there; threads may add them in any order."""
        with self._lock:
            if len(self.images) == _GRID_PAIRS:
                last = max(self.images)
                if number > last:
                    return
                del self.images[last]
            *inputs, target = arrays
            fmt = self.formats
            images = zip([*inputs, fake, target], [*fmt.input, fmt.target, fmt.target], strict=True)
            self.images[number] = [convert.preview(pixels, form) for pixels, form in images]


def _require_apart(output: Path, files: Sequence[Path]) -> None:
    """Raise ConfigError where the pairs are inside the output folder: outputs would join the data set."""
    folder = os.path.join(os.path.realpath(output), "")
    for source in {file.parent for file in files}:
        if os.path.join(os.path.realpath(source), "").startswith(folder):
            raise ConfigError(f"{output}: holds the pairs that are read, in {source}; choose another --output")


def _tags(translator: Translator, file: Path) -> TiffTags:
    """Return the georeference and resolution of an input for its translation, and which value means "missing"."""
    tags = TiffTags({}) if translator.resize else read_tags(file)  # they do not fit pixels of another size
    return tags.with_nodata(translator.output_nodata)


def _write(path: Path, pixels: np.ndarray, palette: np.ndarray | None = None, tags: TiffTags | None = None) -> None:
    replace_atomically(path, lambda temporary: write_image(temporary, pixels, palette, tags=tags))
