"""The contacts of every peer, and their text. The peers in other languages read the same two files."""

import json
from pathlib import Path

TEMPLATE = Path(__file__).with_name("template.txt").read_text(encoding="utf-8").strip()
FIRST_NAMES = ["Ana", "Bruno", "Carla", "Diego", "Elisa", "Fábio", "Gabriela", "Heitor", "Íris", "João"]
LAST_NAMES = ["Silva", "Souza", "Oliveira", "Santos", "Pereira", "Araújo", "Conceição", "Nogueira"]


def write(path: Path, count: int) -> None:
    """Writes `count` contacts, each with a unique number."""
    contacts = [
        {
            "id": i,
            "number": f"55119{80_000_000 + i}",
            "nome": f"{FIRST_NAMES[i % len(FIRST_NAMES)]} {LAST_NAMES[i % len(LAST_NAMES)]}",
            "valor": f"{i % 900 + 40},{i % 100:02}",
            "vencimento": f"{i % 28 + 1:02}/10/2026",
            "referencia": f"FAT-{i:06}",
        }
        for i in range(1, count + 1)
    ]
    path.write_text(json.dumps(contacts, ensure_ascii=False), encoding="utf-8")


def read(path: str) -> list[dict]:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def render(contact: dict) -> str:
    text = TEMPLATE
    for name in ("nome", "valor", "vencimento", "referencia"):
        text = text.replace("{{" + name + "}}", contact[name])
    return text
