"""Lay out a synthetic facade: the place of each part, in fractions of the image, so that any size fits."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pix2pix.datasets.catalogue import FACADES_LABELS

CLASSES = FACADES_LABELS.classes


class Part(NamedTuple):
    """A rectangle of one class; fractions of the width (x) and of the height (y), (0, 0) at the top left."""

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    look: str = ""  # which of its kind it is, for the photograph: a roof and a wall are both `facade`

    def pixels(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Return its rows and columns in an image of (height, width) pixels, at least one of each."""
        sides = ((self.y0, self.y1, size[0]), (self.x0, self.x1, size[1]))
        starts = [(max(0, min(round(a * n), n - 1)), round(b * n)) for a, b, n in sides]
        rows, columns = (slice(a, max(a + 1, b)) for a, b in starts)
        return rows, columns


class Facade(NamedTuple):
    """A building: its parts in painting order, and the corners of the quadrilateral that the camera sees."""

    style: str
    wall: Part
    parts: list[Part]
    corners: np.ndarray  # [4, 2] (x, y): top left, bottom left, bottom right, top right


class Openings(NamedTuple):
    """The windows of a building's upper floors."""

    width: float
    double: bool  # two narrow ones side by side
    look: str = ""


class Style(NamedTuple):
    """How likely each element is. Material follows style, so what a map shows tells part of the wall's colour."""

    floors: tuple[int, int]  # above the ground floor, both ends included
    window: tuple[float, float]  # a window's width over the narrowest column's
    roof: float
    molding: float
    cornice: float
    sill: float
    balcony: float
    blind: float
    deco: float
    pillar: float
    shop: float


STYLES: dict[str, Style] = {
    "brick": Style((2, 3), (0.36, 0.52), 0.3, 0.35, 0.85, 0.9, 0.15, 0.1, 0.0, 0.9, 0.5),
    "stone": Style((3, 4), (0.4, 0.55), 0.5, 0.9, 0.7, 0.4, 0.5, 0.1, 0.4, 0.15, 0.55),
    "plaster": Style((2, 4), (0.38, 0.55), 0.7, 0.3, 0.5, 0.85, 0.2, 0.75, 0.6, 0.0, 0.35),
    "modern": Style((4, 5), (0.58, 0.8), 0.0, 0.0, 0.0, 0.5, 0.8, 0.35, 0.0, 0.0, 0.7),
}


def class_map(facade: Facade, size: tuple[int, int]) -> np.ndarray:
    """Return the class of every pixel, an index into `CLASSES`: uint8 [H, W], before the camera's tilt."""
    classes = np.zeros(size, np.uint8)
    for part in facade.parts:
        classes[part.pixels(size)] = CLASSES.index(part.kind)
    return classes


def lay_out(rng: np.random.Generator) -> Facade:
    """Draw a building's style, outline, storeys and camera from `rng`."""
    name = list(STYLES)[rng.integers(len(STYLES))]
    style = STYLES[name]
    left, right = (0.0 if rng.random() < 0.3 else rng.uniform(0.06, 0.2) for _ in range(2))
    x0, x1 = left, 1 - right
    top, ground = rng.uniform(0.06, 0.16), rng.uniform(0.9, 0.95)
    parts = [*_neighbour(rng, 0.0, left, ground), *_neighbour(rng, x1, 1.0, ground)]
    columns = int(rng.integers(3, 6 if name == "modern" else 8))
    widths = rng.uniform(0.8, 1.2, columns)
    widths = np.r_[0, (widths + widths[::-1]).cumsum()]  # symmetric, as most houses are
    edges = x0 + 0.015 + widths / widths[-1] * (x1 - x0 - 0.03)
    if rng.random() < style.roof:
        roof = top
        top += rng.uniform(0.09, 0.13)
        parts += _roof(rng, x0, roof, x1, top, edges)
    wall = Part("facade", x0, top, x1, ground)
    parts.append(wall)

    heights = np.r_[rng.uniform(0.8, 1.05, rng.integers(style.floors[0], style.floors[1] + 1)), rng.uniform(1.1, 1.35)]
    eave = rng.uniform(0.025, 0.045)
    levels = top + eave + np.r_[0, heights.cumsum()] / heights.sum() * (ground - top - eave)
    if name != "modern":
        parts.append(Part("facade", x0, levels[-2], x1, ground, "base"))
    if rng.random() < style.pillar:
        step = int(rng.integers(1, 3))
        half = 0.1 * (edges[1] - edges[0])
        centres = edges[::step].clip(x0 + half, x1 - half)
        parts += [Part("pillar", x - half, top + eave, x + half, levels[-2]) for x in centres]
    width = rng.uniform(*style.window) * np.diff(edges).min()
    windows = Openings(width, double=name != "modern" and rng.random() < 0.2)
    for level, (y0, y1) in enumerate(pairwise(levels[:-1])):
        look = "arch" if name == "stone" and level == 0 else ""
        parts += _floor(rng, style, edges, (y0, y1), windows._replace(look=look))
    parts += _ground_floor(rng, style, edges, levels[-2], ground, width)
    if name != "modern" or rng.random() < 0.3:
        parts.append(Part("molding", max(0, x0 - 0.012), top, min(1, x1 + 0.012), top + eave, "eave"))
    inset = rng.uniform(0.0, 0.035, (4, 2))
    corners = np.abs(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) - inset)
    return Facade(name, wall, parts, corners)


def _neighbour(rng: np.random.Generator, x0: float, x1: float, ground: float) -> list[Part]:
    """Lay out the house next door: background with labelled windows, as in CMP Facades."""
    height = rng.uniform(0.15, 0.4)
    if x1 - x0 < 0.05 or rng.random() < 0.25:
        return []
    rows = np.linspace(height + 0.05, ground - 0.03, int(rng.integers(4, 6)))
    middle, half = (x0 + x1) / 2, 0.22 * (x1 - x0)
    windows = [Part("window", middle - half, y, middle + half, y + 0.55 * (rows[1] - rows[0])) for y in rows[:-1]]
    return [Part("background", x0, height, x1, ground, "neighbour"), *windows]


def _roof(rng: np.random.Generator, x0: float, y0: float, x1: float, y1: float, edges: np.ndarray) -> list[Part]:
    parts = [Part("facade", x0, y0, x1, y1, "roof")]
    half = 0.2 * (edges[1] - edges[0])
    if rng.random() < 0.7:
        centres = (edges[:-1] + edges[1:])[:: int(rng.integers(1, 3))] / 2
        parts += [Part("window", x - half, y0 + 0.3 * (y1 - y0), x + half, y1 - 0.01, "dormer") for x in centres]
    return parts


def _floor(
    rng: np.random.Generator, style: Style, edges: np.ndarray, span: tuple[float, float], windows: Openings
) -> list[Part]:
    """Lay out an upper storey: the same elements in every column, except balconies and blinds."""
    (y0, y1), height = span, span[1] - span[0]
    upper, lower = y0 + height * rng.uniform(0.22, 0.3), y1 - height * rng.uniform(0.14, 0.2)
    molding, cornice, sill, deco = rng.random(4) < (style.molding, style.cornice, style.sill, style.deco)
    balconies = _balcony_columns(rng, len(edges) - 1) if rng.random() < style.balcony else ()
    shutters = style.roof > 0 and rng.random() < 0.5
    half = windows.width / 2
    parts = [Part("molding", edges[0] - 0.015, y1 - 0.1 * height, edges[-1] + 0.015, y1)] if molding else []
    for column, (left, right) in enumerate(pairwise(edges)):
        x, lip = (left + right) / 2, 0.14 * (right - left - 2 * half)
        gap = 0.1 * half if windows.double else 0
        panes = [(x - half, x - gap), (x + gap, x + half)] if windows.double else [(x - half, x + half)]
        parts += [Part("window", a, upper, b, lower, windows.look) for a, b in panes]
        if rng.random() < style.blind:
            parts += _blind(rng, x - half, upper, x + half, lower, shutters)
        if deco:
            parts.append(Part("deco", x - half, y0 + 0.03 * height, x + half, upper - 0.09 * height))
        if cornice:
            parts.append(Part("cornice", x - half - lip, upper - 0.1 * height, x + half + lip, upper - 0.02 * height))
        if column in balconies:
            wide = 2 * lip
            parts.append(Part("balcony", x - half - wide, lower - 0.25 * height, x + half + wide, y1 - 0.07 * height))
        elif sill:
            parts.append(Part("sill", x - half - 0.6 * lip, lower, x + half + 0.6 * lip, lower + 0.07 * height))
    return parts


def _balcony_columns(rng: np.random.Generator, columns: int) -> tuple[int, ...]:
    """Choose the columns with balconies: all, every second one, or the middle."""
    middle = tuple(range((columns - 1) // 2, columns // 2 + 1))
    return (tuple(range(columns)), tuple(range(0, columns, 2)), middle)[rng.integers(3)]


def _blind(rng: np.random.Generator, x0: float, y0: float, x1: float, y1: float, shutters: bool) -> list[Part]:
    if shutters:
        leaf = 0.3 * (x1 - x0)  # folded back on the wall
        return [Part("blind", x0 - leaf, y0, x0, y1), Part("blind", x1, y0, x1 + leaf, y1)]
    return [Part("blind", x0, y0, x1, y0 + rng.uniform(0.25, 0.8) * (y1 - y0))]


def _ground_floor(
    rng: np.random.Generator, style: Style, edges: np.ndarray, y0: float, y1: float, width: float
) -> list[Part]:
    columns, height = len(edges) - 1, y1 - y0
    entrance = int(rng.choice([columns // 2, 0, columns - 1], p=[0.6, 0.2, 0.2]))
    shops = rng.random() < style.shop
    band = Part("molding", edges[0] - 0.015, y0, edges[-1] + 0.015, y0 + 0.1 * height)
    parts = [band] if style.molding > 0 else []
    for column, (left, right) in enumerate(pairwise(edges)):
        x, cell, half = (left + right) / 2, right - left, width / 2
        if column == entrance:
            half = min(0.42 * cell, max(half, 0.035))
            parts.append(Part("door", x - half, y1 - 0.74 * height, x + half, y1))
        elif shops:
            parts.append(Part("shop", x - 0.46 * cell, y1 - 0.8 * height, x + 0.46 * cell, y1 - 0.02 * height))
        else:
            parts.append(Part("window", x - half, y1 - 0.7 * height, x + half, y1 - 0.25 * height))
            parts.append(Part("sill", x - 1.15 * half, y1 - 0.25 * height, x + 1.15 * half, y1 - 0.19 * height))
    return parts
