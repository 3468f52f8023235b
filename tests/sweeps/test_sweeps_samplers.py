"""Samplers on functions whose optimum is known."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spinelab.errors import ConfigError
from spinelab.sweeps.cube import decode, value_at
from spinelab.sweeps.particle_swarm import POSITION, ParticleSwarm
from spinelab.sweeps.samplers import SAMPLERS, grid_values, make_sampler, propose


def sphere(p) -> float:
    return (p["x"] - 1) ** 2 + (p["y"] + 2) ** 2


def branin(p) -> float:
    """Three equal optima; the value there, 0.397887, is taken off."""
    x, y = p["x"], p["y"]
    bowl = (y - 5.1 / (4 * np.pi**2) * x * x + 5 / np.pi * x - 6) ** 2
    return float(bowl + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10 - 0.397887)


def rosenbrock(p) -> float:
    return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2


def mixed(p) -> float:
    return (p["x"] - 1) ** 2 + (p["k"] - 3) ** 2 + {"a": 2.0, "b": 0.0, "c": 1.0}[p["c"]]


BOX = {"x": FloatDistribution(-5, 5), "y": FloatDistribution(-5, 5)}
SPACES = {
    sphere: BOX,
    branin: {"x": FloatDistribution(-5, 10), "y": FloatDistribution(0, 15)},
    rosenbrock: {"x": FloatDistribution(-2, 2), "y": FloatDistribution(-1, 3)},
    mixed: {
        "x": FloatDistribution(-5, 5),
        "k": IntDistribution(1, 8),
        "c": CategoricalDistribution(["a", "b", "c"]),
    },
}


def searched(name, function, budget, seed, fails=lambda number: False):
    """All trials of a search that minimises a function."""
    past, space = [], SPACES[function]
    for number in range(budget):
        drawn = propose(past, make_sampler(name, space, seed, number, budget), space)
        told = {"state": optuna.trial.TrialState.FAIL} if fails(number) else {"value": -function(drawn.params)}
        kept = {"params": drawn.params, "distributions": space, "system_attrs": drawn.system_attrs}
        past.append(optuna.create_trial(**kept, **told))
    return past


def regret(name, function, budget, seeds=3) -> float:
    """How far from the optimum a search ends, in the middle of some seeds."""
    ends = [max(t.value for t in searched(name, function, budget, seed)) for seed in range(seeds)]
    return -float(np.median(ends))


@pytest.fixture(scope="module")
def chance():
    """What random search comes to with the same 100 trials."""
    return {function: regret("random", function, 100) for function in SPACES}


@pytest.mark.parametrize("name", ["tpe", "cmaes", "pso"])
@pytest.mark.parametrize(
    ("function", "near"),
    [(sphere, 0.02), (branin, 0.15), (rosenbrock, 0.5), (mixed, 0.02)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_optimum_is_found_within_100_trials_and_nearer_than_by_chance(name, function, near, chance):
    found = regret(name, function, 100)
    assert found < near
    assert found < chance[function]


def test_chance_comes_as_near_as_its_volume_says(chance):
    """Of 100 points in a box of 100 units of area one is expected within sqrt(1/pi) of the optimum."""
    assert 0.01 < chance[sphere] < 1.5


def test_a_grid_finds_an_optimum_that_lies_on_it():
    trials = searched("grid", sphere, 121, 0)  # 11 x 11 whole numbers
    assert max(t.value for t in trials) == pytest.approx(0)
    assert len({tuple(t.params.values()) for t in trials}) == 121


def test_a_grid_is_as_fine_as_the_budget_allows():
    space = {"x": FloatDistribution(1e-4, 1e-2, log=True), "c": CategoricalDistribution(["a", "b"])}
    values = grid_values(space, 7)
    assert values["c"] == ["a", "b"]
    assert values["x"] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert len(grid_values(space, 1)["x"]) == 2  # never less than its ends
    assert grid_values({"k": IntDistribution(8, 32, step=8)}, 2) == {"k": [8, 16, 24, 32]}
    assert grid_values({"k": IntDistribution(1, 3)}, 50) == {"k": [1, 2, 3]}


@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_depend_on_the_seed_and_the_number_alone(name):
    first, second, other = (searched(name, mixed, 15, seed) for seed in (0, 0, 1))
    assert [t.params for t in first] == [t.params for t in second]
    assert [t.params for t in first] != [t.params for t in other]


@pytest.mark.parametrize("name", ["tpe", "cmaes", "pso"])
def test_failed_trials_are_tolerated(name):
    trials = searched(name, sphere, 80, 0, fails=lambda number: number % 3 == 0)
    assert max(t.value for t in trials if t.state.is_finished() and t.values) > -0.6


def test_there_is_no_other_sampler():
    with pytest.raises(ConfigError, match="choices: grid, random, tpe, cmaes, pso"):
        make_sampler("annealing", BOX, 0, 0, 1)


def test_a_swarm_is_still_where_its_particle_has_nothing_to_learn():
    """One particle, at the best place that any has seen, keeps what is left of its velocity."""
    kept = {POSITION: [0.5, 0.25], "pso:velocity": [0.1, -0.4]}
    trial = optuna.create_trial(value=1.0, params={"x": 0.0, "y": -2.5}, distributions=BOX, system_attrs=kept)
    drawn = propose([trial], ParticleSwarm(BOX, seed=0, particles=1, inertia=0.5), BOX)
    assert drawn.system_attrs[POSITION] == pytest.approx([0.55, 0.05])
    assert drawn.params == pytest.approx({"x": 0.5, "y": -4.5})


def test_a_particle_is_drawn_to_its_own_best_and_to_the_best_of_all_and_stops_at_the_wall():
    best = optuna.create_trial(
        value=1.0, params={"x": 5.0, "y": 0.0}, distributions=BOX,
        system_attrs={POSITION: [1.0, 0.5], "pso:velocity": [0.0, 0.0]},
    )  # fmt: skip
    here = optuna.create_trial(
        value=0.0, params={"x": 4.0, "y": 0.0}, distributions=BOX,
        system_attrs={POSITION: [0.9, 0.5], "pso:velocity": [0.45, 0.0]},
    )  # fmt: skip
    own = {"params": here.params, "distributions": BOX, "system_attrs": here.system_attrs}
    drawn = propose([here, best], ParticleSwarm(BOX, seed=0, particles=2), BOX)
    assert drawn.system_attrs[POSITION] == pytest.approx([1.0, 0.5])
    assert drawn.system_attrs["pso:velocity"] == pytest.approx([0.0, 0.0])  # it hit the wall
    alone = propose([optuna.create_trial(value=0.0, **own)], ParticleSwarm(BOX, seed=0, particles=1), BOX)
    assert alone.system_attrs["pso:velocity"] == pytest.approx([0.0, 0.0])  # 0.9 + 0.729 * 0.45 lies outside
    with pytest.raises(ValueError, match="at least one particle"):
        ParticleSwarm(BOX, seed=0, particles=0)


def test_points_of_the_cube_are_parameters():
    space = {
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
        "c": CategoricalDistribution(["a", "b", "c"]),
        "k": IntDistribution(1, 4),
        "s": FloatDistribution(0.0, 1.0, step=0.25),
        "n": IntDistribution(1, 64, log=True),
    }
    assert decode(np.array([0.5, 0.2, 0.9, 0.1, 0.49, 1.0, 0.0]), space) == pytest.approx(
        {"lr": 1e-3, "c": "b", "k": 2, "s": 1.0, "n": 1}
    )
    whole = [value_at(np.array([at]), space["k"]) for at in np.linspace(0, 1, 401)[:-1]]
    assert [whole.count(k) for k in (1, 2, 3, 4)] == [100] * 4  # equal shares
