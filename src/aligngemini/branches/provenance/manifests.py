"""What checked C2PA manifests say: signals, and the verdict that follows from them.

The image's own (active) manifest speaks first; the manifests of its ingredients, which stand for
the files it was made from, are reported separately. Rules:

* `ai`: the manifest says `c2pa.created` from `trainedAlgorithmicMedia`; or every action it lists
  leaves the picture what it was (`KEEPS`) and its parent, trusted as well, is `ai`.
* `edited`: it says `compositeWithTrainedAlgorithmicMedia`, or trained media that came in by
  another action than creation, or any other editing.
* `camera`: it says that a camera or film made the picture, and nothing of the above.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from aligngemini.branches.provenance.sources import CLAIMS, PART_AI, WHOLE_AI, Claim, source_name
from aligngemini.branches.provenance.text import clean
from aligngemini.evidence import Label, Signal

State = Literal["signed-trusted", "signed-untrusted", "invalid"]

# Actions after which an AI image is still that AI image.
KEEPS = frozenset(
    {
        "c2pa.opened",
        "c2pa.converted",
        "c2pa.transcoded",
        "c2pa.repackaged",
        "c2pa.published",
        "c2pa.cropped",
        "c2pa.resized",
        "c2pa.resized.proportional",
        "c2pa.orientation",
        "c2pa.color_adjustments",
        "c2pa.enhanced",
        "c2pa.edited.metadata",
        "c2pa.watermarked",
        "c2pa.watermarked.bound",
        "c2pa.watermarked.unbound",
    }
)
_LABEL = re.compile(r"=/c2pa/([^/]+)")
_DOUBT: tuple[State, ...] = ("signed-trusted", "signed-untrusted", "invalid")
_TRUSTED, _UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"


@dataclass(frozen=True)
class Findings:
    """What the manifests of one file come to.

    Attributes:
        signals: The active manifest's, then one for each ingredient that claims something.
        verdict: `fake` for a trusted claim that AI made the image, `undecided` for any other
            valid claim that AI had a part in it, else None.
    """

    signals: tuple[Signal, ...]
    verdict: Label | None = None


@dataclass(frozen=True)
class _Statement:
    """What one manifest says of its image.

    Attributes:
        claim: In the words of `Signal`.
        ai: How much of it AI made.
        created: Whether the image began with it.
        keeps: Whether it lists nothing that changes the picture it was made from.
        words: Its source types, for people.
    """

    claim: Claim | None
    ai: Literal["whole", "part"] | None
    created: bool
    keeps: bool
    words: str


@dataclass(frozen=True)
class _Ancestor:
    """One manifest that the active one builds on.

    Attributes:
        manifest: As the reader gives it.
        relationship: How it is related to the manifest that names it.
        state: No better than the state of any manifest on the way to it.
        pictured: Whether its image is in the picture; what only steered a generator is not.
        kept: Whether nothing but `KEEPS` happened to its image on the way here.
    """

    manifest: Mapping[str, Any]
    relationship: str
    state: State
    pictured: bool
    kept: bool


def judge_store(store: Mapping[str, Any]) -> Findings:
    """Judge a manifest store, as `c2pa.Reader.json()` gives it."""
    active = store["manifests"][store["active_manifest"]]
    results = store.get("validation_results", {}).get("activeManifest", {})
    state: State = "invalid"
    if store.get("validation_state") in ("Valid", "Trusted"):
        # `Valid` may be due to an ingredient alone, so the active signer is looked up.
        state = "signed-trusted" if _TRUSTED in _codes(results, "success") else "signed-untrusted"
    said = _statement(active)
    signals, doubted = [], said.ai is not None and state != "invalid"
    for ancestor in _ancestors(store, state):
        origin = _statement(ancestor.manifest)
        if ancestor.kept and ancestor.state == state == "signed-trusted" and origin.ai == "whole":
            said = replace(said, claim="ai", ai="whole", words=f"{origin.words} (its origin)")
        if origin.claim is not None:
            heading = f"C2PA ingredient ({clean(ancestor.relationship, 20)})"
            signals.append(_signal(heading, ancestor.manifest, ancestor.state, origin))
        doubted |= origin.ai is not None and ancestor.pictured and ancestor.state != "invalid"
    failed = sorted(_codes(results, "failure") - {_UNTRUSTED}) if state == "invalid" else []
    signals.insert(0, _signal("C2PA", active, state, said, failed))
    verdict: Label | None = "undecided" if doubted else None
    if state == "signed-trusted" and said.ai == "whole":
        verdict = "fake"
    return Findings(tuple(signals), verdict)


def _ancestors(store: Mapping[str, Any], state: State) -> Iterator[_Ancestor]:
    """The manifests behind the active one, nearest first, each once."""
    manifests = store["manifests"]
    checked = _checked_again(store)
    first = _Ancestor(manifests[store["active_manifest"]], "", state, pictured=True, kept=True)
    waiting, seen = [first], {store["active_manifest"]}
    while waiting:
        child = waiting.pop(0)
        keeps = child.kept and _statement(child.manifest).keeps
        for ingredient in child.manifest.get("ingredients") or ():
            label = ingredient.get("active_manifest")
            if label not in manifests or label in seen:
                continue
            seen.add(label)
            relationship = str(ingredient.get("relationship"))
            ancestor = _Ancestor(
                manifests[label],
                relationship,
                max(child.state, _ingredient_state(ingredient, *checked[label]), key=_DOUBT.index),
                pictured=child.pictured and relationship != "inputTo",
                kept=keeps and relationship == "parentOf",
            )
            waiting.append(ancestor)
            yield ancestor


def _checked_again(store: Mapping[str, Any]) -> defaultdict[str, tuple[set[str], set[str]]]:
    """Success and failure codes by manifest label, for the ingredients.

    Only where today's check differs from the one recorded when the ingredient was used.
    """
    checked: defaultdict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for delta in store.get("validation_results", {}).get("ingredientDeltas") or ():
        for k, kind in enumerate(("success", "failure")):
            for status in delta["validationDeltas"].get(kind) or ():
                label = _LABEL.search(status.get("url") or "")
                if label:
                    checked[label[1]][k].add(status["code"])
    return checked


def _ingredient_state(
    ingredient: Mapping[str, Any], successes: set[str], failures: set[str]
) -> State:
    recorded = (ingredient.get("validation_results") or {}).get("activeManifest") or {}
    old = {status["code"] for status in ingredient.get("validation_status") or ()}
    # A picture that did not match its manifest when it was used is only on record here: whoever
    # pastes an AI image's manifest into a photo and then edits it must not accuse the photo.
    if (_codes(recorded, "failure") | old | failures) - {_UNTRUSTED}:
        return "invalid"
    recorded_trust = _TRUSTED in _codes(recorded, "success") and _UNTRUSTED not in failures
    return "signed-trusted" if _TRUSTED in successes or recorded_trust else "signed-untrusted"


def _statement(manifest: Mapping[str, Any]) -> _Statement:
    names: set[str] = set()
    created: set[str] = set()
    others: set[str] = set()
    for action in _actions(manifest):
        name, source = action["action"], action.get("digitalSourceType")
        names.add(name)
        if isinstance(source, str):
            (created if name == "c2pa.created" else others).add(source_name(source))
    claim: Claim | None = None
    ai: Literal["whole", "part"] | None = None
    claims = {CLAIMS.get(source) for source in created | others}
    if WHOLE_AI in created:
        claim, ai = "ai", "whole"
    elif WHOLE_AI in others or PART_AI in created | others:
        claim, ai = "edited", "part"
    elif "edited" in claims or names - KEEPS - {"c2pa.created"}:
        claim = "edited"
    elif "camera" in claims:
        claim = "camera"
    return _Statement(
        claim,
        ai,
        created="c2pa.created" in names,
        keeps=names <= KEEPS and not others,
        words=", ".join(sorted(created | others)) or "no digital source type",
    )


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    # The content of an assertion is whatever its signer put there.
    for assertion in manifest.get("assertions") or ():
        if str(assertion.get("label")).startswith("c2pa.actions"):
            data = assertion.get("data")
            actions = data.get("actions") if isinstance(data, dict) else None
            for action in actions if isinstance(actions, list) else ():
                if isinstance(action, dict) and isinstance(action.get("action"), str):
                    yield action


def _signal(
    heading: str,
    manifest: Mapping[str, Any],
    state: State,
    said: _Statement,
    failed: Sequence[str] = (),
) -> Signal:
    infos = manifest.get("claim_generator_info") or [{}]
    maker = infos[0].get("name") or manifest.get("claim_generator") or "an unnamed program"
    signer = (manifest.get("signature_info") or {}).get("issuer") or "an unnamed signer"
    verb = "created" if said.created else "processed"
    ends = {
        "signed-trusted": "",
        "signed-untrusted": " (not on a trust list)",
        "invalid": " (does not hold" + (f": {', '.join(failed)})" if failed else ")"),
    }
    # Each part has its own limit, so that no name can push the others out of the line.
    detail = (
        f"{heading}: {verb} by {clean(str(maker), 40)}, {clean(said.words, 60)}, "
        f"signed by {clean(str(signer), 40)}{ends[state]}"
    )
    return Signal("c2pa", state, said.claim, clean(detail))


def _codes(results: Mapping[str, Any], kind: str) -> set[str]:
    return {status["code"] for status in results.get(kind) or ()}
