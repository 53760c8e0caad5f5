"""Pictures as a folder of files, a folder in it for each label: `pictures/shoe/17.png`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from bottega.errors import DataError

DEEPER = "deeper than label/name"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def pictures_in(folder: Path) -> list[Path]:
    """Give the files of pictures in a folder's folders, and beside these; none where no folder in it has any."""
    labelled = [path for one in folder.iterdir() if one.is_dir() and _counts(one) for path in _held(one)]
    return [*_held(folder), *labelled] if labelled else []


def read_pictures(paths: Sequence[Path]) -> pa.Table:
    """Read files of pictures (n,): `id`, the folder and the name, `image`, the bytes as they are, and `label`, the
    folder's name; null for one that lies beside the folders.

    Raises `DataError` for a file that cannot be read; whether it holds a picture is seen when it is decoded.
    """
    root = _root(paths)
    labels = [None if path.parent == root else path.parent.name for path in paths]
    names = [path.name if label is None else f"{label}/{path.name}" for path, label in zip(paths, labels, strict=True)]
    bodies = [_bytes(path) for path in paths]
    kind = pa.large_binary() if sum(map(len, bodies)) >= 2**31 else pa.binary()
    columns = {"id": pa.array(names, pa.string()), "image": pa.array(bodies, kind)}
    return pa.table({**columns, "label": pa.array(labels, pa.string())})


def left_out(paths: Sequence[Path]) -> str:
    """Say which files beside pictures that were read are none, or lie where none is looked for; hidden ones are passed.

    paths: of the pictures that are read, of one folder. Gives `2 .txt and 1 picture deeper than label/name`, or "".
    """
    root, read = _root(paths) or paths[0].parent.parent, set(paths)
    endings: Counter[str] = Counter()
    for path in root.rglob("*"):
        inside = path.relative_to(root)
        if path in read or not path.is_file() or any(part[0] in "._" for part in inside.parts):
            continue
        picture, deep = path.name.lower().endswith(ENDINGS), len(inside.parts) > 2
        endings[(DEEPER if picture and deep else path.suffix.lower()) or "without an ending"] += 1
    listed = [
        f"{count:,} {'pictures' if count > 1 else 'picture'} {DEEPER}" if what == DEEPER else f"{count:,} {what}"
        for what, count in sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    ]
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def told_of(folder: Path) -> str:
    """Say what files a folder holds, by their endings, the most frequent first: `120 .png and 2 .txt`."""
    endings = Counter(path.suffix.lower() or "without an ending" for path in folder.iterdir() if path.is_file())
    return " and ".join(f"{count:,} {ending}" for ending, count in endings.most_common(3)) or "no file"


def _root(paths: Sequence[Path]) -> Path | None:
    """Give the folder in which pictures lie beside the folders of others; nothing where none do."""
    folders = {path.parent for path in paths}
    return next((one for one in folders if any(one in path.parents[1:] for path in paths)), None)


def _held(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(ENDINGS) and _counts(path))


def _counts(path: Path) -> bool:
    return path.name[0] not in "._"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            str(path), f"cannot be read: {error}", "a file that can be read", "look at its rights"
        ) from None
