"""Recipes: the settings of a training run, as YAML beside this module or of the user's own."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml

from aligngemini.datasets.pool import PoolConfig
from aligngemini.models.compact import ViewConfig
from aligngemini.settings import SettingsError, from_mapping
from aligngemini.training.expert_recipe import ExpertRecipe

T = TypeVar("T")


class RecipeError(ValueError):
    """A recipe that cannot be used; the message says which and why."""


def check_unused(out: Path) -> None:
    """Make sure that a model folder may be written: it is missing, or empty.

    Raises:
        RecipeError: It is in use.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RecipeError(f"{out} is there already; give --out another folder, or remove it")


@dataclass(frozen=True)
class CompactRecipe:
    """Settings of the compact pixel expert.

    Attributes:
        native: Network of the native crops.
        whole: Network of the whole view.
        pool: How views are drawn; its seed is always the recipe's.
        crops: Crops a score rests on at detection.
        grid: Crops along each axis at the most, among which the most textured are taken.
        train_crop: Side of the random crop taken from a pool crop, pixels.
        pair_share: Share of the fakes in a batch that are reconstructions of photos.
        group_power: A source of n images is drawn as often as n to this power; 0 makes sources
            equal, 1 makes images equal.
        steps: Optimiser steps.
        batch_size: Images a step.
        learning_rate: Peak of AdamW's rate; linear warm-up, then cosine to zero.
        weight_decay: AdamW's.
        warmup: Share of the steps.
        seed: Of everything random.
    """

    native: ViewConfig
    whole: ViewConfig
    pool: PoolConfig
    crops: int
    grid: int
    train_crop: int
    pair_share: float
    group_power: float
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: float
    seed: int

    def __post_init__(self) -> None:
        for name, view in (("native", self.native), ("whole", self.whole)):
            if not view.widths or len(view.widths) != len(view.strides):
                raise SettingsError(f"{name} needs as many strides as widths, one at least")
            if not 1 <= view.bands <= 3:
                raise SettingsError(f"{name}.bands is {view.bands}, not 1, 2 or 3")
        if set(self.pool.journeys) != {"real", "fake", "pair"}:
            raise SettingsError("pool.journeys must say how many for real, fake and pair")
        if self.train_crop > self.pool.crop_size:
            raise SettingsError(f"train_crop {self.train_crop} does not fit into pool.crop_size")
        if not 0 <= self.pair_share <= 1:
            raise SettingsError(f"pair_share {self.pair_share} is no share, 0 to 1")


Recipe: TypeAlias = "CompactRecipe | ExpertRecipe"

KINDS: dict[str, type[CompactRecipe] | type[ExpertRecipe]] = {
    "compact": CompactRecipe,
    "expert": ExpertRecipe,
}


def recipe_names() -> list[str]:
    """Names of the pixel experts' recipes that ship."""
    folder = files("aligngemini.training").joinpath("recipes")
    names = (entry.name.removesuffix(".yaml") for entry in folder.iterdir())
    return sorted(name for name in names if not name.startswith(("gamma-", "semantic-")))


def load_recipe(name: str, **overrides: Any) -> Recipe:
    """Read a recipe; its `kind` says of what: `compact` (where none is given) or `expert`.

    Args:
        name: Of a recipe that ships, or the path of a YAML file.
        overrides: Values that replace the file's, such as `steps`; None leaves the file's.

    Raises:
        RecipeError: There is no such recipe, or a setting is missing, unknown or of a wrong kind.
    """
    recipe = read_recipe(name, recipe_names(), lambda values: _parse(values, overrides))
    if isinstance(recipe, CompactRecipe):
        return replace(recipe, pool=replace(recipe.pool, seed=recipe.seed))
    return recipe


def read_recipe(
    name: str, shipped: Collection[str], parse: Callable[[Any], T], *, prefix: str = ""
) -> T:
    """Read a recipe of any kind.

    Args:
        name: One of `shipped`, or the path of a YAML file.
        shipped: Names of those that ship.
        parse: Makes the recipe of what the YAML holds; may raise `SettingsError`.
        prefix: Of the names of their files, in `recipes/`.

    Raises:
        RecipeError: There is no such recipe, or what it holds does not fit.
    """
    path = Path(name)
    if name in shipped:
        text = files("aligngemini.training").joinpath(f"recipes/{prefix}{name}.yaml").read_bytes()
    elif path.is_file():
        text = path.read_bytes()
    else:
        raise RecipeError(f"no recipe {name!r}; known: {', '.join(shipped)}, or a YAML file")
    try:
        return parse(yaml.safe_load(text))
    except (yaml.YAMLError, SettingsError) as error:
        raise RecipeError(f"recipe {name!r}: {error}") from error


def overridden(kind: type[T], values: Any, overrides: Mapping[str, Any]) -> T:
    """Settings of a kind out of a YAML file's values, some replaced; None leaves the file's.

    Raises:
        SettingsError: They do not fit.
    """
    if isinstance(values, dict):
        values.update({key: value for key, value in overrides.items() if value is not None})
    return from_mapping(kind, values)


def _parse(values: Any, overrides: dict[str, Any]) -> Recipe:
    if not isinstance(values, dict):
        raise SettingsError(f"the file must hold settings by name, not {values!r}")
    kind = str(values.pop("kind", "compact"))
    if kind not in KINDS:
        raise SettingsError(f"kind {kind!r}; known: {', '.join(KINDS)}")
    recipe: Recipe = overridden(KINDS[kind], values, overrides)
    return recipe
