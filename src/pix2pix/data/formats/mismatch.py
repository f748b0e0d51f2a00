"""The error for an image that does not have the expected format."""

import numpy as np

from pix2pix.errors import DataError


class Mismatch(ValueError):
    """An image does not have the format that is expected.

    `found` describes the image, such as "has 4 channels". In a data set, `wanted` says what is expected and `remedy`
    what to change. For a trained generator, whose format is fixed, these are `trained_on` and `conversion`.
    """

    def __init__(self, found: str, wanted: str, remedy: str, *, trained_on: str = "", conversion: str = ""):
        super().__init__(found)
        self.found, self.wanted, self.remedy = found, wanted, remedy
        self.trained_on, self.conversion = trained_on, conversion or remedy

    def error(self, name: object, fixed: bool) -> DataError:
        """Return the DataError about the file `name`; `fixed`: whether a trained generator determines the format."""
        if fixed and self.trained_on:
            wanted, remedy = f"the generator was trained on {self.trained_on}", self.conversion
        else:
            wanted, remedy = self.wanted, self.remedy
        reason = f"{self.found}, and {wanted}" if wanted else self.found
        return DataError(reason, path=str(name), remedy=remedy)


def require_finite(pixels: np.ndarray, missing: np.ndarray | None = None, key: str = "") -> None:
    """Raise Mismatch if pixels [H, W, C] that are not `missing` are NaN or infinite, naming the first such place.

    `key` is the setting that says which value means "missing", for the message.
    """
    if pixels.dtype.kind != "f" or np.isfinite(pixels).all():
        return
    wrong = ~np.isfinite(pixels) if missing is None else ~np.isfinite(pixels) & ~missing
    if wrong.any():
        row, column = np.argwhere(wrong.any(-1))[0]
        remedy = f"fix or remove it; if NaN marks missing values, set {key}: nan" if key else "fix or remove it"
        raise Mismatch(f"holds a non-finite number at row {row}, column {column}", "", remedy, conversion="fix it")
