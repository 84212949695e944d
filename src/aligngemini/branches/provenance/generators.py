"""Text that a generator leaves behind: its settings, its workflow, its name.

Nothing here is signed, so whatever is found is a hint. Names are matched as whole words, and in
free text (titles, captions) only where it says that the image was made by them: a caption may well
speak of Midjourney.
"""

import re
from collections.abc import Iterable

from aligngemini.branches.provenance.sources import CLAIMS, Claim, source_name
from aligngemini.branches.provenance.text import Field, clean
from aligngemini.evidence import Signal

MAX_SEARCHED = 1 << 20  # characters of one field
MAX_NAMED = 2_000  # characters of a field in which a name is looked for

# Names as programs write them. Words with another meaning (Flux, Imagen, Leonardo, Gemini; Firefly
# is an action camera too, dalle an Italian word) only with what makes them a generator's name.
NAMES = (
    r"ai[- ]generated",
    r"automatic1111",
    r"bing image creator",
    r"black forest labs",
    r"chatgpt",
    r"comfyui",
    r"craiyon",
    r"dall[-·•]e(?:[- ]?[23])?",
    r"dall ?e[- ]?[23]",
    r"draw things",
    r"dreamstudio",
    r"adobe firefly",
    r"flux[.-]?[12](?:[- .]\w+)*",
    r"flux[- ](?:dev|pro|schnell|kontext)",
    r"fooocus",
    r"(?:made|generated|created|edited) with google ai",
    r"google (?:gemini|imagen)",
    r"gpt-4o",
    r"gpt-image(?:-\d\w*)?",
    r"grok",
    r"ideogram",
    r"imagen[- ]?[234]",
    r"imagined with ai",
    r"invokeai",
    r"jimeng",
    r"kandinsky[- ]?\d(?:\.\d)?",
    r"krea(?:\.| )?ai",
    r"leonardo\.? ?ai",
    r"made with ai",
    r"midjourney",
    r"nano banana",
    r"nightcafe",
    r"novelai",
    r"openai",
    r"qwen-image",
    r"recraft",
    r"seedream",
    r"stability ?ai",
    r"stable[- ]?diffusion",
    r"swarmui",
    r"tensor\.art",
)
# Fields that name the program which wrote the file.
_PROGRAM_FIELDS = frozenset(
    {
        "AIGC",
        "CreatorTool",
        "Credit",
        "HostComputer",
        "Make",
        "Model",
        "OriginatingProgram",
        "ProcessingSoftware",
        "Software",
        "Source",
        "softwareAgent",
    }
)
# Fields that name who made the picture; a bare generator's name there says enough.
_AUTHOR_FIELDS = frozenset(
    {"Artist", "Author", "Comment", "UserComment", "XPAuthor", "comment", "creator"}
)
# Text keys that only one generator writes.
_KEYS = {
    "invokeai_metadata": "invokeai",
    "invokeai_graph": "invokeai",
    "invokeai_workflow": "invokeai",
    "sd-metadata": "invokeai",
    "fooocus_scheme": "fooocus",
    "aigc": "aigc-label",
}
_WORDS = "|".join(NAMES)
_NAMED = re.compile(rf"(?<!\w)(?:{_WORDS})(?!\w)", re.IGNORECASE)
# Case counts for the bare word: Ai Weiwei is a person.
_AI = r"(?-i:AI|A\.I\.)|artificial intelligence"
_MADE_BY = re.compile(
    r"(?<!\w)(?:"
    r"(?:generated|created|made|produced|rendered|drawn|painted) (?:by|with|using|via) "
    rf"(?:an? |the |adobe |google |openai |microsoft )?(?:{_AI}|{_WORDS})"
    r"|(?:edited|made) with google ai|imagined with (?-i:AI)"
    r"|(?<!not )(?<!non )(?<!non-)(?<!no )(?<!never )(?-i:AI)[- ]generated"
    r")(?!\w)",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"\W*(?:{_WORDS})(?:[ -]?v?[\d.]+)?\W*", re.IGNORECASE)
_SETTINGS = re.compile(r"(?<!\w)Steps: \d+, [^\n]{0,300}?(?:Sampler|CFG scale|Seed|Size|Model)\b")
_NODES = re.compile(r'"(?:class_type|last_node_id)"\s{0,9}:')
_JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def find_generators(fields: Iterable[Field]) -> list[Signal]:
    """What the text fields of a file give away, one signal a finding."""
    found: dict[tuple[str, str], Signal] = {}
    for field in fields:
        signal = _judge(field)
        if signal is not None:
            # A workflow is often stored several times over; one line for it is enough.
            key = signal.detail if signal.kind == field.place else ""
            found.setdefault((signal.kind, key), signal)
    return list(found.values())


def _judge(field: Field) -> Signal | None:
    where = field.place if field.name == field.place else f"{field.place} {field.name}"
    field = field._replace(text=field.text[:MAX_SEARCHED])
    for rule in (_source_type, _settings, _traces, _named):
        signal = rule(field, where)
        if signal is not None:
            return signal
    return None


def _source_type(field: Field, _where: str) -> Signal | None:
    if field.name != "DigitalSourceType":
        return None
    name = source_name(field.text)
    return Signal("iptc", "hint", CLAIMS.get(name), clean(f"DigitalSourceType {name}"))


def _settings(field: Field, where: str) -> Signal | None:
    found = _SETTINGS.search(field.text)
    if found:
        return _hint("stable-diffusion", f"{where}: {field.text[found.start() :]}")
    if field.name == "parameters" and "Negative prompt:" in field.text:
        return _hint("stable-diffusion", f"{where}: {field.text}")
    return None


def _traces(field: Field, where: str) -> Signal | None:
    key = field.name.lower()
    if _NODES.search(field.text):
        return _hint("comfyui", f"{where}: a graph of nodes")
    if _JOB.search(field.text):
        return _hint("midjourney", f"{where}: {field.text}")
    if key in _KEYS:
        return _hint(_KEYS[key], f"{where}: {field.text}")
    if '"sui_image_params"' in field.text[:1000]:
        return _hint("swarmui", f"{where}: {field.text}")
    if field.place == "text" and key in ("prompt", "dream"):
        return _hint("text", f"{where}: {field.text}")
    return None


def _named(field: Field, where: str) -> Signal | None:
    text = field.text[:MAX_NAMED]
    if field.name in _PROGRAM_FIELDS:
        named = _NAMED.search(text)
    else:
        named = _MADE_BY.search(text)
        if named is None and field.name in _AUTHOR_FIELDS:
            named = _ALONE.fullmatch(text)
    if named is None:
        return None
    claim: Claim = "edited" if "edited with" in named.group().lower() else "ai"
    return Signal(field.place, "hint", claim, clean(f"{where}: {text}"))


def _hint(kind: str, detail: str) -> Signal:
    return Signal(kind, "hint", "ai", clean(detail))
