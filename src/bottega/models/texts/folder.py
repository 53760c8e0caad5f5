"""What lies in an encoder's folder, as sentence-transformers, Optimum or model2vec write it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bottega.errors import BuildError
from bottega.files import read_json, sha256
from bottega.models.texts.needed import WHERE, needed
from bottega.models.texts.pooling import WAYS

_GRAPHS = ("model.onnx", "onnx/model.onnx")
_WEIGHTS = ("model.safetensors", "0_StaticEmbedding/model.safetensors")
_STATIC = {"embeddings", "embedding.weight"}
_PICKLE = {".bin", ".pt", ".pth", ".pkl", ".ckpt"}
_KEPT = {".json", ".txt", ".safetensors", ".model", ".jinja"}
_OLDER = {
    "cls_token": "cls",
    "max_tokens": "max",
    "mean_tokens": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "weightedmean_tokens": "weightedmean",
    "lasttoken": "lasttoken",
}  # how older folders say it, in the order in which several stand side by side
_OFFSET = {"roberta", "xlm-roberta", "camembert", "mpnet"}  # their places begin at 2
_UNBOUND = 1_000_000  # what says that a tokenizer knows no longest text
_ALLOWED = (
    "a folder with tokenizer.json and model.onnx or onnx/model.onnx, or with model.safetensors, as "
    "sentence-transformers or model2vec save it"
)


@dataclass(frozen=True)
class Folder:
    """An encoder's folder, looked through."""

    path: Path
    kind: Literal["onnx", "static", "library"]
    weights: str
    """The file with what was learnt, from the folder on."""
    tokenizer: str
    """The file with the tokenizer; empty where the library reads it."""
    pooling: tuple[str, ...]
    """How the vectors of tokens become one, of `WAYS`; nothing: the folder does not say."""
    later: tuple[str, ...]
    """Modules beyond the encoder, its pooling, and the one that brings vectors to length 1."""
    unit: bool
    """Vectors are compared by their cosine, and so brought to length 1."""
    longest: int | None
    """Tokens after which a text is cut; nothing: the folder does not say."""
    pad: int
    """The token that fills up."""
    prompts: Mapping[str, str]
    """What is written before a `query` and before a `text`."""
    files: tuple[str, ...]
    """All that reading it again needs, sorted."""

    def hash(self) -> str:
        """The SHA-256 of the names and the bytes of its files."""
        told = "\n".join(f"{name} {sha256(self.path / name)}" for name in self.files)
        return hashlib.sha256(told.encode()).hexdigest()

    def copy(self, target: Path) -> None:
        """Copy its files into a folder that is there."""
        for name in self.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path / name, target / name)


def read_folder(path: Path) -> Folder:
    """Look what an encoder's folder holds; nothing is downloaded, and no pickle is read.

    Raises `BuildError` where there is no such folder, or none of a form that is known.
    """
    if not path.is_dir():
        raise refused(path, "no such folder", "put the encoder's folder there; nothing is downloaded by itself")
    modules = _modules(path)
    kind, weights = _weights(path, modules)
    home = Path(weights).parent.as_posix()
    config = _json(path, "config.json")
    tokenizer = next((name for name in ("tokenizer.json", f"{home}/tokenizer.json") if (path / name).is_file()), "")
    if not tokenizer and kind != "library":
        fix = "save it with a fast tokenizer: AutoTokenizer.from_pretrained(…).save_pretrained(folder)"
        raise refused(path, f"{weights} without a tokenizer.json", fix)
    said = _json(path, "config_sentence_transformers.json")
    return Folder(
        path,
        kind,
        weights,
        tokenizer,
        _pooling(path, modules),
        tuple(name for name, _ in modules if name not in ("Transformer", "StaticEmbedding", "Pooling", "Normalize")),
        said.get("similarity_fn_name") != "dot" or any(name == "Normalize" for name, _ in modules),
        None if kind == "static" else _longest(path, config, tokenizer),
        _pad(path, config, tokenizer),
        _prompts(said),
        _files(path, kind, weights, tokenizer),
    )


def refused(path: Path, found: str, fix: str, allowed: str = _ALLOWED) -> BuildError:
    """Make the error for an encoder's folder."""
    return BuildError(WHERE, f"{path}: {found}", allowed, fix)


def _weights(path: Path, modules: list[tuple[str, str]]) -> tuple[Literal["onnx", "static", "library"], str]:
    """Find the file with what was learnt: a graph before weights."""
    graphs = [name for name in _GRAPHS if (path / name).is_file()]
    others = sorted(one.relative_to(path).as_posix() for one in [*path.glob("*.onnx"), *path.glob("onnx/*.onnx")])
    if graphs or len(others) == 1:
        return "onnx", (graphs or others)[0]
    weights = next((name for name in _WEIGHTS if (path / name).is_file()), None)
    if weights is not None:
        static = any(name == "StaticEmbedding" for name, _ in modules) or set(tensors(path / weights)) & _STATIC
        return "static" if static else "library", weights
    if others:
        raise refused(path, f"several graphs: {', '.join(others)}", "name the one to use model.onnx")
    pickled = sorted(one.name for one in path.iterdir() if one.suffix in _PICKLE)
    if pickled:
        fix = "save it again as safetensors: SentenceTransformer(…).save_pretrained(folder)"
        raise refused(path, f"only {pickled[0]}, which is pickle and may run code", fix)
    raise refused(path, "no model.onnx and no model.safetensors", "name the folder that holds the model's files")


def tensors(path: Path) -> list[str]:
    """Name the tensors of a file of safetensors; `BuildError` where it is damaged."""
    library = needed("safetensors")
    try:
        with library.safe_open(str(path), framework="numpy") as file:
            return list(file.keys())
    except library.SafetensorError as error:
        raise refused(path, f"cannot be read ({error})", "restore the file from a copy", "a whole file") from error


def _modules(path: Path) -> list[tuple[str, str]]:
    """Give the kind and the folder of each module, in order; nothing where the folder does not say."""
    file = path / "modules.json"
    listed = _read(file) if file.is_file() else []
    return [(one["type"].rsplit(".", 1)[-1], one.get("path", "")) for one in listed]


def _pooling(path: Path, modules: list[tuple[str, str]]) -> tuple[str, ...]:
    home = next((where for name, where in modules if name == "Pooling"), "1_Pooling")
    said = _json(path, f"{home}/config.json")
    if not said:
        return ()
    ways = said.get("pooling_mode") or [way for name, way in _OLDER.items() if said.get(f"pooling_mode_{name}")]
    found = (ways,) if isinstance(ways, str) else tuple(ways)
    odd = [way for way in found if way not in WAYS]
    if odd or said.get("include_prompt") is False:
        what = f"pooling {odd[0]!r}" if odd else "a pooling that leaves the prompt out (include_prompt)"
        raise refused(path, what, "take another encoder", f"pooling by {', '.join(WAYS)}, of all tokens")
    return found


def _longest(path: Path, config: Mapping[str, Any], tokenizer: str) -> int | None:
    said = (
        _json(path, "sentence_bert_config.json").get("max_seq_length"),
        _json(path, "tokenizer_config.json").get("model_max_length"),
        ((_json(path, tokenizer) if tokenizer else {}).get("truncation") or {}).get("max_length"),
    )
    room = config.get("max_position_embeddings")
    if room is not None and config.get("model_type") in _OFFSET:
        room -= 2
    chosen = next((int(one) for one in said if one is not None and one < _UNBOUND), None)
    known = [one for one in (chosen, room) if one is not None]
    return min(known) if known else None


def _pad(path: Path, config: Mapping[str, Any], tokenizer: str) -> int:
    padding = (_json(path, tokenizer) if tokenizer else {}).get("padding") or {}
    return int(padding.get("pad_id") or config.get("pad_token_id") or 0)


def _prompts(said: Mapping[str, Any]) -> dict[str, str]:
    known = said.get("prompts") or {}
    text = next((known[name] for name in ("document", "passage", "text", "corpus") if known.get(name)), "")
    return {"query": known.get("query") or "", "text": text}


def _files(path: Path, kind: str, weights: str, tokenizer: str) -> tuple[str, ...]:
    names = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()}
    names = {name for name in names if not any(part.startswith(".") for part in name.split("/"))}
    if kind == "library":
        return tuple(sorted(name for name in names if Path(name).suffix in _KEPT))
    settings = {name for name in names if Path(name).name == "config.json"}
    settings |= {"modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"} & names
    settings |= {"tokenizer_config.json", tokenizer} & names
    beside = {name for name in names if name.startswith(weights)}  # a large graph keeps its weights beside it
    return tuple(sorted(settings | beside))


def _json(path: Path, name: str) -> dict[str, Any]:
    """Read a file of settings; an empty one where there is none."""
    file = path / name
    found = _read(file) if file.is_file() else {}
    return found if isinstance(found, dict) else {}


def _read(file: Path) -> Any:
    try:
        return read_json(file)
    except (OSError, ValueError) as error:
        raise refused(file, f"cannot be read ({error})", "restore the file from a copy", "JSON") from error
