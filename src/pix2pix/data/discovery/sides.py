"""Group the images of a data set by the role and the split that their folder names show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pix2pix.data.discovery.folders import Folder
from pix2pix.data.discovery.words import FolderName, parse_folder_name

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The images directly in a folder. `rest`: the parts of its path that show neither split nor role."""

    folder: Folder
    split: str
    parts: tuple[FolderName, ...]
    rest: Parts


@dataclass
class SideFolders:
    """The groups whose folders have one role, in all splits.

    `role`: as in FolderName, "" if the names show none. `name`: the name of the folder that shows the role, with
    {split} in place of a split.
    """

    role: str
    name: str
    groups: list[Group] = field(default_factory=list)

    @property
    def splits(self) -> set[str]:
        """The splits that have images, and "" if there are images without a split."""
        return {group.split for group in self.groups}

    @property
    def lead(self) -> Parts:
        """The parts that the `rest` of every group begins with."""
        first, last = min(group.rest for group in self.groups), max(group.rest for group in self.groups)
        shortest = min(len(first), len(last))
        count = next((i for i in range(shortest) if first[i] != last[i]), shortest)
        return first[:count]

    @property
    def shown(self) -> Path:
        """The path of its folders relative to the data set, with * for names that differ."""
        paths = [[part.template for part in group.parts] for group in self.groups]
        if len({len(path) for path in paths}) > 1:
            return Path(self.name or "*")
        return Path(*(parts[0] if len({*parts}) == 1 else "*" for parts in zip(*paths, strict=True)))

    @property
    def setting(self) -> str:
        """The value of data.input or data.target that chooses it: the name of a folder, or a pattern."""
        if self.name and "{split}" not in self.name:
            return self.name
        parts = self.groups[0].parts
        depth = next((i + 1 for i, part in enumerate(parts) if part.template == (self.name or "{split}")), 0)
        if depth and "{split}" not in parts[depth - 1].pattern:
            return parts[depth - 1].pattern
        nested = any(len(group.parts) > depth for group in self.groups)
        return "/".join([*(part.pattern for part in parts[:depth]), *(["**"] if nested else []), "{id}.*"])

    def named(self, split: str, dropped: Parts = ()) -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of the images of a split; `dropped` is removed from the start of names."""
        for group in self.groups:
            if group.split == split:
                rest = group.rest[len(dropped) :] if group.rest[: len(dropped)] == dropped else group.rest
                yield from group.folder.own_images("".join(f"{part}/" for part in rest))


def find_sides(root: Folder, chosen: Sequence[str] = ()) -> list[SideFolders]:
    """Return the sides of the images in a folder and its subfolders.

    `chosen`: names of folders; if given, only these are roles, in any capitals. Raises DataError and OSError.
    """
    sides: dict[tuple[str, str], SideFolders] = {}
    for folder, parts in _walk(root, (), {name.lower() for name in chosen}):
        index = _role_index(parts)
        name, role = ("", "") if index is None else (parts[index].template, parts[index].role)
        split = next((part.split for part in parts if part.split), "")
        rest = tuple(part.template for i, part in enumerate(parts) if i != index and not part.split)
        side = sides.setdefault((role, name.lower()), SideFolders(role, name))
        side.groups.append(Group(folder, split, parts, rest))
    return list(sides.values())


def by_first_folder(side: SideFolders) -> list[SideFolders]:
    """Split a side without a role into one side for each first folder that is not a split."""
    sides: dict[str, SideFolders] = {}
    for group in side.groups:
        if group.rest:
            name, *rest = group.rest
            sides.setdefault(name, SideFolders("", name)).groups.append(replace(group, rest=tuple(rest)))
    return list(sides.values())


def wrapped_root(root: Folder) -> Folder:
    """Return the folder in which a data set begins, below folders that hold only one folder with a free name."""
    while not root.image_names and len(root.folders) == 1 and parse_folder_name(root.folders[0].path.name).is_free:
        root = root.folders[0]
    return root


def _walk(
    folder: Folder, parts: tuple[FolderName, ...], chosen: set[str]
) -> Iterator[tuple[Folder, tuple[FolderName, ...]]]:
    if folder.image_names:
        yield folder, parts
    for inner in folder.folders:
        yield from _walk(inner, (*parts, _parsed(inner.path.name, chosen)), chosen)


def _parsed(name: str, chosen: set[str]) -> FolderName:
    """Return what a folder name shows; if names are chosen, only these are roles."""
    parsed = parse_folder_name(name)
    if not chosen:
        return parsed
    if name.lower() in chosen:
        return FolderName("", "chosen", name, name)
    return parsed if parsed.split and not parsed.role else FolderName("", "", name, name)


def _role_index(parts: Sequence[FolderName]) -> int | None:
    """Return the index of the part that shows the role: the last one, and `picture` only if there is no other role."""
    for wanted in ({"input", "target", "chosen"}, {"a", "b", "x", "y"}, {"picture"}):
        indices = [i for i, part in enumerate(parts) if part.role in wanted]
        if indices:
            return indices[-1]
    return None
