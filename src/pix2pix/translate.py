"""Any picture in, its translation out at the same size; files, folders and the pairs of a data set."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from pix2pix.config import Config
from pix2pix.data.augment import to_float, to_pixels
from pix2pix.data.dataset import open_split
from pix2pix.data.forms import RGB, Form, Forms, preview, written
from pix2pix.data.images import is_image, read_picture, write_picture
from pix2pix.data.pictures import Picture, as_pil, picture_of, resize
from pix2pix.errors import ConfigError, DataError, is_out_of_memory
from pix2pix.grids import comparison_grid, titles
from pix2pix.models import inference
from pix2pix.runtime.acceleration import pick_device
from pix2pix.runtime.files import prepare_folder, replace_atomically
from pix2pix.runtime.ownership import claim_outputs, is_run, made_files
from pix2pix.runtime.signals import unless_stopped
from pix2pix.weights import load_generator_file

GRID_PAIRS = 16


class Translator:
    """A trained generator as a function of pictures.

    `translator(image)` takes a PIL image, an array [H, W, C] or a file's path, of any size, and returns the translation
    as a PIL image of that size; a generator of stacked inputs takes several. Always the one inference mode: no dropout,
    and no picture depends on another. `resize=True` resizes each picture to the training size instead of padding it,
    and the translation has that size. `forms`: what inputs and targets are.
    """

    def __init__(
        self, generator: nn.Module, config: Config, forms: Forms = RGB, device: str = "auto", resize: bool = False
    ):
        self.device, self.config, self.forms, self.resize = pick_device(device), config, forms, resize
        self.generator = generator.to(self.device)

    def __call__(self, *images: Image.Image | np.ndarray | str | Path) -> Image.Image:
        """Raises DataError where they are not what the generator was trained on, or the translation is no PIL image."""
        from_files = [isinstance(image, str | Path) for image in images]
        names = [image if file else "the picture" for image, file in zip(images, from_files, strict=True)]
        pictures = [
            read_picture(image) if file else picture_of(image) for image, file in zip(images, from_files, strict=True)
        ]
        pixels = self.translate(*self.decode(pictures, names))
        return as_pil(*written(pixels, self.forms.target, self.forms.target.suffix))

    def decode(self, pictures: Sequence[Picture], names: Sequence[object]) -> list[np.ndarray]:
        """The inputs as `translate` takes them. Raises DataError, calling them by `names`."""
        forms = self.forms.input
        if len(pictures) != len(forms):
            raise DataError(f"the generator takes {len(forms)} stacked inputs, and {len(pictures)} were given")
        sizes = [f"{picture.pixels.shape[1]}x{picture.pixels.shape[0]}" for picture in pictures]
        for name, size in zip(names, sizes, strict=True):
            if size != sizes[0]:
                raise DataError(
                    f"{name} is {size} but {names[0]} is {sizes[0]}; stacked inputs need one size: resize one"
                )
        return [form.decode(*named) for form, *named in zip(forms, pictures, names, strict=True)]

    def translate(self, *inputs: np.ndarray) -> np.ndarray:
        """[H, W, C] each, as the forms of the inputs keep them, to [H, W, C] as that of the target does.

        Raises DataError for other shapes or types.
        """
        for form, pixels in zip(self.forms.input, inputs, strict=True):
            wrong = pixels.ndim != 3 or pixels.shape[2:] != (form.channels,) or pixels.dtype != form.dtype
            if wrong or not pixels.size or pixels.shape[:2] != inputs[0].shape[:2]:
                raise DataError(
                    f"a picture is {form.dtype} [H, W, {form.channels}], not {pixels.dtype} {list(pixels.shape)}; "
                    "convert it first"
                )
        height, width = self.config.data.crop if self.resize else inputs[0].shape[:2]
        x = torch.cat([self._to_network(*part) for part in zip(inputs, self.forms.input, strict=True)], 1)
        with inference(self.generator) as generator:
            y = to_pixels(generator(x.to(self.device)), self.forms.target)[0, :, :height, :width]
        return y.permute(1, 2, 0).cpu().numpy()

    def _to_network(self, pixels: np.ndarray, form: Form) -> Tensor:
        """[1, C, h, w] in [-1, 1]."""
        data = self.config.data
        if self.resize:
            pixels = resize(pixels, data.crop, form.interpolation or data.interpolation, form.alpha)
        return to_float(torch.from_numpy(self._pad(pixels).transpose(2, 0, 1).copy())[None], form)

    def _pad(self, pixels: np.ndarray) -> np.ndarray:
        """Grown below and to the right by reflection, as often as it takes, to what the generator can halve."""
        step, least = self.generator.multiple, self.generator.min_size
        missing = [max(-side % step, least - side) for side in pixels.shape[:2]]
        return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect") if any(missing) else pixels


def load_generator(weights: str | Path, device: str = "auto", resize: bool = False) -> Translator:
    """Reads a `gen.pt` (or `best.pt`) and returns its `Translator`; the file is all that is needed.

    Raises CheckpointError where it cannot be read, ConfigError where the device is not there.
    """
    file = load_generator_file(weights)
    return Translator(file.generator, file.config, file.forms, device, resize)


def find_images(source: str, failed: list[DataError] | None = None) -> tuple[Path, list[Path]]:
    """The images of a file, a folder (with its subfolders) or a glob, and the folder their names are relative to.

    In the subfolders, runs and the files of earlier translations are left out. Raises DataError where there are none,
    and for a subfolder that cannot be read, unless there is a list of what `failed` to put that in.
    """
    path = Path(source)
    if os.path.isdir(path):  # Path's own methods raise for a name that is too long or out of reach
        errors: list[DataError] = []
        images = sorted(_walk(source, errors))
        if errors and (failed is None or not images):
            raise errors[0]
        if failed is not None:
            failed += errors
        if not images:
            raise DataError(f"{path}: holds no images; give a folder that does, a file or a glob")
        return path, images
    if os.path.exists(path):
        return path.parent, [path]
    images = sorted(Path(p) for p in glob.glob(source, recursive=True) if Path(p).is_file() and is_image(Path(p)))
    if not images:
        raise DataError(f"{source}: no such file or folder, and no image matches it; give a file, a folder or a glob")
    return Path(os.path.commonpath([image.parent for image in images])), images


def _walk(folder: str, errors: list[DataError]) -> Iterator[Path]:
    """The images of a folder and its subfolders, links not followed. Subfolders that cannot be read give `errors`."""

    def fail(error: OSError) -> None:
        where = f"{error.filename}: cannot be read ({error.strerror})"
        errors.append(DataError(f"{where}; fix its permissions, or give other pictures with --input"))

    made: set[str] = set()
    for here, folders, names in os.walk(folder, onerror=fail):
        made |= made_files(here) if here != folder else set()
        folders[:] = [name for name in folders if not is_run(os.path.join(here, name))]
        for path in (Path(here, name) for name in names):
            if is_image(path) and str(path) not in made and path.is_file():
                yield path


def _find_inputs(translator: Translator, source: str, failed: list[DataError]) -> tuple[Path, list[tuple[Path, ...]]]:
    """The files of each translation, and the folder their names are relative to. Raises DataError.

    `failed` as for `find_images`. Of stacked inputs `source` is a folder that holds one for each, called as in
    training.
    """
    count = len(translator.forms.input)
    if count == 1:
        base, images = find_images(source, failed)
        return base, [(image,) for image in images]
    names = [Path(folder).name for folder in translator.config.data.inputs]
    folders = [Path(source, name) for name in names]
    if len(names) != count or not all(map(os.path.isdir, folders)):
        raise DataError(
            f"{source}: should hold the folders {', '.join(names)}, whose pictures are stacked as in training"
        )
    found = [
        {path.relative_to(folder).with_suffix(""): path for path in find_images(str(folder))[1]} for folder in folders
    ]
    for name in set().union(*found):
        if missing := [str(folder) for folder, some in zip(folders, found, strict=True) if name not in some]:
            raise DataError(f"{' and '.join(missing)}: has no picture {name}, which is stacked with the others; add it")
    return folders[0], [tuple(some[name] for some in found) for name in found[0]]


def _outputs(base: Path, images: Sequence[tuple[Path, ...]], output: Path, suffix: str) -> list[Path]:
    """Where each translation goes: the first image's relative name. Where two would share one, all their name."""
    relative = [image.relative_to(base) for image, *_ in images]
    whole = [path.with_name(path.name + suffix) for path in relative]
    short = [path.with_suffix(suffix) for path in relative]
    sharing = Counter(short)
    names = [one if sharing[one] == 1 else other for one, other in zip(short, whole, strict=True)]
    if len(set(names)) < len(names):  # a.png.jpg is still in the way of a.png
        names = whole
    return [output / name for name in names]


def translate_files(
    translator: Translator, source: str, output: Path, stop: Callable[[], bool] = lambda: False
) -> tuple[int, list[DataError]]:
    """Translates every image that `source` names into `output`. Returns how many, and the errors of those that failed.

    Raises DataError where there are no images, ConfigError where a file would be replaced that is an input or that
    pix2pix did not make, CheckpointError where `output` cannot be written, Stopped once `stop()` is true.
    """
    failed: list[DataError] = []
    base, images = _find_inputs(translator, source, failed)
    outputs = _outputs(base, images, output, translator.forms.target.suffix)
    prepare_folder(output)
    claim_outputs(output, outputs, [path for files in images for path in files])
    unread = len(failed)
    for files, target in _progress(list(zip(images, outputs, strict=True)), stop):
        try:
            with _in_memory(files[0]):
                fake = translator.translate(*translator.decode([read_picture(file) for file in files], files))
        except DataError as error:  # the others are still wanted
            failed.append(error)
            continue
        _write(target, *written(fake, translator.forms.target, target.suffix))
    return len(images) - len(failed) + unread, failed


@contextmanager
def _in_memory(name: object) -> Iterator[None]:
    """Turns running out of memory into a DataError that names the picture, so that the others are still translated."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        error.__traceback__ = None  # its frames hold the tensors
        raise DataError(
            f"{name}: is too large for the memory of this machine; make it smaller, or translate it with --resize or "
            "on another --device"
        ) from None


def translate_split(
    translator: Translator, config: Config, split: str, output: Path, stop: Callable[[], bool] = lambda: False
) -> tuple[int, Path, list[DataError]]:
    """Translates the inputs of a split of the config's data into `output/<split>/`, at their own size.

    Returns how many, where the comparison grid of the first of them is, and the errors of those that failed. Raises
    DataError where there are none, or none can be read; ConfigError where `output` holds the pairs, or a file would be
    replaced that pix2pix did not make; CheckpointError; Stopped once `stop()` is true.
    """
    data, forms = config.data.model_copy(update={"cache": "off"}), translator.forms  # each is read once
    dataset = open_split(data, split, None, forms=forms, stop=stop)
    grid, suffix = output / f"{split}_comparison.png", forms.target.suffix
    read = [file for pair in dataset.pairs for file in pair.files]
    _require_apart(output, read)
    prepare_folder(output)
    outputs = [output / split / f"{pair.name}{suffix}" for pair in dataset.pairs]
    claim_outputs(output, [*outputs, grid], read)
    rows, failed = [], list(dataset.skipped)
    for index in _progress(range(len(dataset)), stop):
        try:
            with _in_memory(dataset.pairs[index].names[0]):
                pair = dataset[index]
                *inputs, target = (pair[key].permute(1, 2, 0).numpy() for key in forms.parts)
                fake = translator.translate(*inputs)
        except DataError as error:  # the others are still wanted
            failed.append(error)
            continue
        path = outputs[index]
        _write(path, *written(fake, forms.target, path.suffix))
        if len(rows) < GRID_PAIRS:
            pictures = zip([*inputs, fake, target], [*forms.input, forms.target, forms.target], strict=True)
            rows.append([preview(*picture) for picture in pictures])
    if not rows:
        raise failed[0]
    _write(grid, comparison_grid(rows, titles(len(forms.input))))
    return len(dataset) + len(dataset.skipped) - len(failed), grid, failed


def _require_apart(output: Path, files: Sequence[Path]) -> None:
    """Raises ConfigError where the pairs lie in the output folder: its new folders would count as a part of them."""
    folder = os.path.join(os.path.realpath(output), "")
    for place in {file.parent for file in files}:
        if os.path.join(os.path.realpath(place), "").startswith(folder):
            raise ConfigError(f"{output}: holds the pairs that are read, in {place}; choose another --output")


def _write(path: Path, pixels: np.ndarray, palette: np.ndarray | None = None) -> None:
    replace_atomically(path, lambda temporary: write_picture(temporary, pixels, palette))


def _progress(items: Sequence, stop: Callable[[], bool]) -> Iterator:
    return unless_stopped(tqdm(items, desc="translating", unit="image", disable=None, leave=False), stop)
