"""The kept inputs of a fuzz target: one archive, fuzz/corpus/TARGET.jsonl, instead of hundreds of small files.

    python tools/fuzz_corpus.py unpack TARGET FOLDER   every kept input as a file, and the samples of its company
    python tools/fuzz_corpus.py pack TARGET FOLDER     the archive anew: what is in the folder, without the samples

The first line says how many inputs follow, and the SHA-256 of all that follows. Each further line is an input, in JSON
and ASCII: `text` if it is UTF-8, else `base64`; and its `name`, if it has one that says more than libFuzzer's, which is
the SHA-1 of the input. The lines are sorted: the same inputs give the same archive. tests/fuzz_corpus.rs replays it.
"""

import base64
import hashlib
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def samples(target: str) -> list[Path]:
    """The sample answers of the company that a target is named after."""
    return sorted((ROOT / "samples" / target.partition("_")[0]).glob("*.json"))


def line(name: str, data: bytes) -> str:
    named = {} if name == hashlib.sha1(data).hexdigest() else {"name": name}
    try:
        return json.dumps(named | {"text": data.decode()})
    except UnicodeDecodeError:
        return json.dumps(named | {"base64": base64.b64encode(data).decode()})


def pack(target: str, folder: Path, archive: Path) -> int:
    known = {path.read_bytes() for path in samples(target)}
    inputs = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    lines = sorted(line(name, data) for name, data in inputs if data not in known)
    text = "".join(f"{entry}\n" for entry in lines)
    digest = hashlib.sha256(text.encode()).hexdigest()
    archive.write_text(json.dumps({"inputs": len(lines), "sha256": digest}) + "\n" + text)
    return len(lines)


def unpack(target: str, folder: Path, archive: Path) -> int:
    head, _, text = archive.read_text().partition("\n")
    head = json.loads(head)
    if hashlib.sha256(text.encode()).hexdigest() != head["sha256"]:
        sys.exit(f"{archive}: not as it was packed")
    folder.mkdir(parents=True, exist_ok=True)
    for entry in map(json.loads, text.splitlines()):
        data = entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
        (folder / entry.get("name", hashlib.sha1(data).hexdigest())).write_bytes(data)
    for path in samples(target):
        shutil.copy(path, folder / f"sample-{path.stem}")
    return head["inputs"]


def main() -> None:
    match sys.argv[1:]:
        case [("pack" | "unpack") as command, target, folder]:
            archive = ROOT / "fuzz" / "corpus" / f"{target}.jsonl"
            inputs = {"pack": pack, "unpack": unpack}[command](target, Path(folder), archive)
            print(f"{target}: {inputs} inputs")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
