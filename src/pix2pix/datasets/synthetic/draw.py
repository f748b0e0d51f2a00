"""Draw synthetic facades, for trying, testing and teaching without a download.

A pair resembles one of CMP Facades (R. Tylecek, R. Sara, GCPR 2013): a photograph and its map of 12 classes. The map
determines where things are, how they are lit and, through the building's style, part of the material; the photograph
adds what the map leaves open: hue, brightness, weather, glass, dirt, the camera.
"""

from collections.abc import Callable
from colorsys import hsv_to_rgb

import numpy as np
from PIL import Image

from pix2pix.datasets.catalogue import FACADES_LABELS
from pix2pix.datasets.synthetic.layout import CLASSES, Facade, Part, class_map, lay_out

__all__ = ["CLASSES", "PALETTE", "draw_pair"]

PALETTE = np.array(FACADES_LABELS.palette, np.uint8)  # [12, 3]

Span = tuple[float, float]  # a range
# Hue, saturation and value of the wall, each from a range; then courses and joints of the masonry (0: plaster).
MATERIALS: dict[str, tuple[Span, Span, Span, int]] = {
    "brick": ((0.0, 0.06), (0.32, 0.58), (0.58, 0.8), 56),
    "stone": ((0.07, 0.14), (0.06, 0.32), (0.68, 0.98), 24),
    "plaster": ((0.0, 1.0), (0.06, 0.34), (0.8, 1.0), 0),
    "modern": ((0.45, 0.7), (0.0, 0.12), (0.55, 0.9), 0),
}


def draw_pair(
    index: int, seed: int = 0, size: tuple[int, int] = (256, 256), photo_seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw facade number `index` of the collection `seed`.

    Args:
        index: which facade, 0 or more.
        seed: which collection, 0 or more.
        size: (height, width) in pixels; another size shows the same building, stretched to fit.
        photo_seed: redraws what the map leaves open (colours, weather, camera), the map staying as it is. None: `seed`.

    Returns:
        (photograph, label map), both uint8 [H, W, 3]; 0 to 255 and exactly the colours of `PALETTE`. The same
        arguments give the same bytes, as long as numpy and Pillow stay the same.
    """
    facade = lay_out(np.random.default_rng([seed, index]))
    rng = np.random.default_rng([seed, index, 1, seed if photo_seed is None else photo_seed])
    height, width = size
    corners = tuple((facade.corners * (width, height)).ravel())

    def through_camera(image: np.ndarray, resample: Image.Resampling) -> np.ndarray:
        warped = Image.fromarray(image).transform((width, height), Image.Transform.QUAD, corners, resample)
        return np.asarray(warped)

    labels = PALETTE[through_camera(class_map(facade, size), Image.Resampling.NEAREST)]
    scene = _Scene(facade, size, rng)
    photo = through_camera(scene.render(), Image.Resampling.BILINEAR)
    noise = rng.normal(0, rng.uniform(1, 4), photo.shape[:2]).astype(np.float32)
    return (photo + noise[..., None]).clip(0, 255).astype(np.uint8), labels


def _tint(rng: np.random.Generator, hue: Span, saturation: Span, value: Span) -> np.ndarray:
    """Draw a colour from ranges of hue (wrapping at 1), saturation and value: float32 [3] in [0, 1]."""
    return np.array(hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(*saturation), rng.uniform(*value)), np.float32)


class _Scene:
    """A photograph being painted: colours and, apart, the light on them, so that shadows fall across later parts."""

    def __init__(self, facade: Facade, size: tuple[int, int], rng: np.random.Generator) -> None:
        self.facade, self.size, self.rng = facade, size, rng
        height, width = size
        self.y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None, None]  # [H, 1, 1]
        self.x = ((np.arange(width, dtype=np.float32) + 0.5) / width)[None, :, None]  # [1, W, 1]
        self.line = max(1, round(min(size) / 128))  # the thinnest thing drawn, pixels
        hue, saturation, value, self.courses = MATERIALS[facade.style]
        self.wall = _tint(rng, hue, saturation, value)
        self.trim = 0.35 * self.wall + 0.65 * _tint(rng, (0.08, 0.14), (0.02, 0.15), (0.85, 1.0))
        modern = facade.style == "modern"
        self.frame = _tint(rng, (0.05, 0.1), (0.0, 0.15), (0.15, 0.3) if modern else (0.6, 0.9))
        self.wood = _tint(rng, (0.02, 0.5), (0.3, 0.7), (0.22, 0.45))
        self.blind = _tint(rng, (0.05, 0.45), (0.1, 0.5), (0.4, 0.7))
        self.sky = _tint(rng, (0.55, 0.62), (0.0, 0.4), (0.88, 1.0))
        self.sun = rng.uniform(0.3, 0.55)  # how much light a cast shadow takes away: dull or sunny
        self.slant = rng.uniform(0.2, 0.6)  # shadows fall to the lower right, this far across for their depth
        clouds = 0.08 * self.blotches(7, 5).clip(0, 1)
        self.color = self.sky * (0.94 + 0.06 * self.y) + 0.1 * self.y + clouds  # [H, W, 3]
        self.shade = np.ones((height, width, 1), np.float32)
        self.bright = np.float32(rng.uniform(0.87, 1.13) * (1 + rng.uniform(-0.05, 0.05, 3)))

    def render(self) -> np.ndarray:
        """Paint all parts: uint8 [H, W, 3], before the camera's tilt and noise."""
        _street(self)
        for part in self.facade.parts:
            PAINTERS[part.kind](self, part)
        falloff = 1.1 - 0.26 * self.y - 0.06 * self.x  # an open sky above, a narrow street below
        return (255 * self.color * self.shade * falloff * self.bright).clip(0, 255).astype(np.uint8)

    def cell(self, part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a view of a part's colours [h, w, 3] and coordinates in it, 0 to 1: u [1, w, 1], v [h, 1, 1]."""
        view = self.color[part.pixels(self.size)]
        height, width = view.shape[:2]
        u = (np.arange(width, dtype=np.float32) + 0.5) / width
        v = (np.arange(height, dtype=np.float32) + 0.5) / height
        return view, u[None, :, None], v[:, None, None]

    def cast(self, part: Part, depth: float) -> None:
        """Cast the shadow of a part in front of the wall; `depth` is its length, a fraction of the height."""
        across = self.slant * depth
        left, right = part.x0 + 0.3 * across, min(part.x1 + across, self.facade.wall.x1)
        shadow = Part("", left, part.y1, right, part.y1 + depth)
        self.shadow(self.shade[shadow.pixels(self.size)])

    def shadow(self, light: np.ndarray, depth: float = 1.0) -> None:
        """Darken a view of `shade`. Where two shadows meet, the deeper one counts: they do not add up."""
        np.minimum(light, 1 - depth * self.sun, out=light)

    def blotches(self, rows: int, columns: int) -> np.ndarray:
        """Return smooth noise of `rows` x `columns` bumps: float32 [H, W, 1], about -1 to 1, the same at every size."""
        grid = Image.fromarray(self.rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
        return np.asarray(grid.resize(self.size[::-1], Image.Resampling.BICUBIC))[..., None]

    def masonry(self, rows: int, part: Part) -> np.ndarray:
        """Return the brightness of courses of blocks with darker joints: float32 [h, w, 1]; `rows` fill the image."""
        ys, xs = part.pixels(self.size)
        v, u = self.y[ys, :, 0] * rows, self.x[:, xs, 0] * rows * 0.45
        row = v.astype(np.intp)
        u = u + 0.5 * (row % 2)  # every second course is shifted by half a block
        tints = self.rng.uniform(0.9, 1.1, (rows + 1, rows)).astype(np.float32)
        joint = (v % 1 < 0.25) | (u % 1 < 0.12)
        return (tints[row, u.astype(np.intp)] * np.where(joint, np.float32(0.82), np.float32(1)))[..., None]


def _street(s: _Scene) -> None:
    view, _, v = s.cell(Part("", 0, s.facade.wall.y1, 1, 1))
    view[:] = np.where(v < 0.45, 0.68, 0.54) * s.rng.uniform(0.87, 1.13) * (1 + 0.05 * v)
    view[v[:, 0, 0] < 0.06] *= 0.6


def _background(s: _Scene, part: Part) -> None:
    view, _, v = s.cell(part)
    view[:] = _tint(s.rng, (0.03, 0.15), (0.05, 0.25), (0.6, 0.9)) * (1.05 - 0.15 * v)
    roof, _, _ = s.cell(part._replace(y1=part.y0 + 0.05))
    roof[:] = (0.5, 0.38, 0.34)


def _facade(s: _Scene, part: Part) -> None:
    view, _, v = s.cell(part)
    box = part.pixels(s.size)
    if part.look == "roof":
        view[:] = np.array((0.5, 0.34, 0.29), np.float32) * (0.8 + 0.4 * v) * s.masonry(70, part)
        return
    if part.look == "base":
        view[:] = 0.8 * s.wall * s.masonry(20, part)
        s.shade[box][v[:, 0, 0] > 0.93] *= 0.8  # splashed from the pavement
        return
    dirt = 0.05 * s.blotches(6, 6)[box] + 0.04 * s.blotches(4, 40)[box]  # patches, and streaks of rain
    view[:] = s.wall * (1 + dirt)
    if s.courses:
        view *= s.masonry(s.courses, part)


def _window(s: _Scene, part: Part) -> None:
    view, u, v = s.cell(part)
    height, width = view.shape[:2]
    behind, t = view.copy(), s.line
    seen = 0.46 - 0.4 * (part.y0 + part.y1) / 2  # the higher a pane, the more of the sky it mirrors
    view[:] = (0.04 + seen * s.sky) * (1.0 - 0.65 * v) + 0.05 * (u + v > s.rng.uniform(0.6, 1.4))
    if s.rng.random() < 0.3 and part.look != "dormer":
        view[:, (np.abs(u - 0.5) > 0.28)[0, :, 0]] += 0.25  # curtains
    for edge in (view[:t], view[-t:], view[:, :t], view[:, -t:]):
        edge[:] = s.frame
    if width >= 6 * t and s.facade.style != "modern":
        middle = (width - t) // 2
        view[:, middle : middle + t] = s.frame
    if height >= 8 * t:
        transom = height // 3
        view[transom : transom + t] = s.frame
    if part.look == "arch":
        outside = _above_arch(u, v, 0.3)
        view[outside] = behind[outside]
    light = s.shade[part.pixels(s.size)]
    s.shadow(light[: 2 * t])  # the reveal
    s.shadow(light[:, :t], 0.7)


def _above_arch(u: np.ndarray, v: np.ndarray, rise: float) -> np.ndarray:
    """Return the two corners that a round arch cuts off: bool [h, w]; `rise` is the arch's share of the height."""
    above: np.ndarray = (2 * u - 1) ** 2 + (1 - v / rise).clip(0) ** 2 > 1
    return above[..., 0]


def _door(s: _Scene, part: Part) -> None:
    view, u, v = s.cell(part)
    t = s.line
    panel = (np.abs((u * 2) % 1 - 0.5) < 0.32) & (np.abs((v * 3.2 - 0.7) % 1 - 0.5) < 0.36)
    view[:] = s.wood * np.where(panel, 1.25, 0.8)
    view[v[:, 0, 0] < 0.2] = 0.3 * s.sky  # the light above it
    view[:, :t] = view[:, -t:] = view[:t] = 0.8 * s.trim
    if s.facade.style != "modern":
        view[_above_arch(u, v, 0.22)] = 0.75 * s.trim
    s.shadow(s.shade[part.pixels(s.size)][: 3 * t])


def _shop(s: _Scene, part: Part) -> None:
    view, u, v = s.cell(part)
    t = s.line
    sign = _tint(s.rng, (0, 1), (0.2, 0.8), (0.3, 0.8))
    letters = s.rng.random(12)[(u[0, :, 0] * 12).astype(np.intp)] < 0.5
    warm = np.array((0.3, 0.24, 0.14), np.float32)
    lamps = warm * np.exp(-8 * (v - 0.62) ** 2) * (0.6 + 0.4 * np.cos(4 * np.pi * (u - 0.25)))
    view[:] = 0.08 + 0.25 * s.sky * (1 - v) + lamps
    view[v[:, 0, 0] > 0.86] = 0.5 * s.trim
    for x in (0.0, 0.5, 1.0):
        middle = round(x * (view.shape[1] - t))
        view[:, middle : middle + t] = 0.5 * s.trim
    top = (v[:, 0, 0] < 0.2).sum()
    view[:top] = sign
    view[top // 3 : max(top // 3 + 1, top - top // 3), letters & (np.abs(u[0, :, 0] - 0.5) < 0.36)] = 0.85
    s.shadow(s.shade[part.pixels(s.size)][top : top + 3 * t])


def _balcony(s: _Scene, part: Part) -> None:
    view, u, _ = s.cell(part)
    height, width = view.shape[:2]
    t = s.line
    bars = np.arange(width) // t % 3 == 0
    if s.facade.style == "modern":
        view[:] = (0.3 * s.wall + 0.65) * (1.05 - 0.15 * u)  # a parapet of panels
        view[:, np.arange(width) % max(4, width // 3) < t] *= 0.85
    elif s.facade.style == "stone":
        view[:, ~bars] *= 0.45
        view[:, bars] = s.trim  # a balustrade
    else:
        view[:, bars] = 0.1
    slab = max(t, round(0.22 * height))
    view[:t] = s.trim if s.facade.style == "stone" else 0.12
    view[-slab:] = s.trim * 0.9
    s.cast(part, 0.024)


def _blind(s: _Scene, part: Part) -> None:
    view, _, _ = s.cell(part)
    slats = np.arange(view.shape[0]) // s.line % 3 == 2
    view[:] = s.blind
    view[slats] *= 0.65


def _ledge(s: _Scene, part: Part) -> None:
    """Paint cornices, sills and moldings: a profile lit from above, and its shadow."""
    view, _, v = s.cell(part)
    view[:] = s.trim * (1.12 - 0.4 * v)
    if part.look == "eave":
        dentils = np.arange(view.shape[1]) // (2 * s.line) % 2 == 0
        view[(v[:, 0, 0] > 0.5)[:, None] & dentils] *= 0.6
    s.cast(part, {"sill": 0.014, "cornice": 0.02, "molding": 0.02}[part.kind] * (2 if part.look else 1))


def _deco(s: _Scene, part: Part) -> None:
    view, u, v = s.cell(part)
    relief = np.sin(u * 6 * np.pi) * np.sin(v * 3 * np.pi)
    view[:] = s.trim * (0.86 + 0.22 * relief)
    view[-s.line :] *= 0.6
    view[:, -s.line :] *= 0.7


def _pillar(s: _Scene, part: Part) -> None:
    view, u, v = s.cell(part)
    ends = np.abs(v - 0.5) > 0.47  # capital and base
    view[:] = s.trim * np.where(ends, 1.05, 1.05 - 0.55 * u * u)
    across = part._replace(x0=part.x1, x1=part.x1 + s.slant * 0.025)
    s.shadow(s.shade[across.pixels(s.size)])


PAINTERS: dict[str, Callable[[_Scene, Part], None]] = {
    "background": _background,
    "facade": _facade,
    "window": _window,
    "door": _door,
    "cornice": _ledge,
    "sill": _ledge,
    "balcony": _balcony,
    "blind": _blind,
    "deco": _deco,
    "molding": _ledge,
    "pillar": _pillar,
    "shop": _shop,
}
