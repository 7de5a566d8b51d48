"""Steps in shards, which several processes may share: the same bits for any number of them.

A shard has its share of the pixels that come next, random numbers of its own from a generator made of (seed, step,
shard), and a gradient of its own. Pixels that do not fit into its budget of samples wait for the next pass. Gradients
are added in the order of a fixed tree; each rank updates the stripes of the parameters that it owns, and nobody
computes a parameter that another rank computes too.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from autodiff import tree
from nerf_mini.config import Config, to_dict
from nerf_mini.ops import adam_step
from nerf_mini.ranks import Communicator, Exchange, Layout, owned_shards, require_alike, require_shards
from nerf_mini.ranks.shards import added
from nerf_mini.samplers import Density, Sampler
from nerf_mini.scenes import Scene
from nerf_mini.training.calibration import Calibration
from nerf_mini.training.clock import ToldClock
from nerf_mini.training.losses import LossTerms
from nerf_mini.training.optimiser import ParameterGroup, groups_of
from nerf_mini.training.state import TrainingState
from nerf_mini.training.whole_steps import Draw, Found

FIELD = "field"
TOLD = 13  # numbers that are told of each shard, before those of its sampler


class ShardedSteps:
    """See `Steps`. The state's arrays become views of vectors; its optimiser's means are whole only after `gather`,
    and the one generator is for what all ranks do alike."""

    def __init__(
        self,
        config: Config,
        state: TrainingState,
        sampler: Sampler,
        calibration: Calibration,
        groups: Sequence[ParameterGroup],
        team: Communicator,
    ):
        """Raises UserError where there are more ranks than shards."""
        self.config, self.state, self.sampler, self.calibration, self.team = config, state, sampler, calibration, team
        self.parts = config.training.shards
        require_shards(self.parts, team.size)
        self.own = owned_shards(self.parts, team.size, team.rank)
        order = [*(name for name in state.parameters if name != FIELD), FIELD]  # what is not divided comes first
        parameters = {name: state.parameters[name] for name in order}
        beside = len(tree.flatten([parameters[name] for name in order[:-1]])[0])
        leaves, self._tree = tree.flatten(parameters)
        self.layout = layout = Layout([leaf.shape for leaf in leaves], team.size, beside)
        self.exchange = Exchange(team, layout, self.parts, sparse=any(group.sparse for group in groups))
        self.vector = layout.vector(leaves)
        state.parameters = self._tree(layout.views(self.vector))
        moments = ([moment[name] for name in order] for moment in (state.optimiser.mean, state.optimiser.variance))
        self._moments = [layout.part(layout.vector(tree.flatten(moment)[0]), team.rank) for moment in moments]
        self.gather()
        of_leaves = groups_of(tuple(tree.paths(parameters)), tuple(groups))
        kinds = [-1 if group is None else groups.index(group) for group in of_leaves]
        self._runs = [run for run in layout.runs(team.rank, kinds) if run[0] >= 0]
        self._gradient = np.zeros(0, np.float32)
        self.clock, self._wish, self._wished = ToldClock(), False, False

    def meet(self) -> None:
        """See `Steps`: the clock is that of rank 0."""
        self.clock.tell(self.team.lead(self.clock.read))

    def density(self, density: Density) -> Density:
        """See `Steps`: shard by shard, by the ranks that have them."""

        def shared(points: np.ndarray) -> np.ndarray:
            edges = np.linspace(0, len(points), self.parts + 1).astype(int)
            own = [points[edges[shard] : edges[shard + 1]] for shard in self.own]
            found = [density(part) for part in own if len(part)]
            return np.concatenate(self.team.gather(np.concatenate([np.zeros(0, np.float32), *found])))

        return shared

    def find(self, draw: Draw, step: int) -> Found:
        """See `Steps`: of the whole batch, each pixel weighing the same."""
        before, rows = self.sampler.running.copy(), []

        def of_shard(shard: int) -> np.ndarray:
            self.sampler.running[...] = before
            batch, result = draw(np.random.default_rng([self.config.seed, step, shard]), shard)
            rows.append(self._row(Found.of(batch, result, step), len(batch)))
            return self.layout.vector(tree.flatten(result.gradient)[0], result.pixels)

        sums = {node: added(node, of_shard) for node in self.exchange.nodes_of(self.team.rank)}
        told = np.concatenate(self.team.gather(np.concatenate(rows))).reshape(self.parts, -1)
        self._gradient = self.exchange.summed(sums)
        self._gradient *= np.float32(1 / told[:, 0].sum())
        return self._found(told)

    def _row(self, found: Found, drawn: int) -> np.ndarray:
        """What is told of a shard: (k,) float64, the number of pixels first."""
        terms = found.terms
        told = (
            found.drawn, self.clock.read(), self._wish, terms.fine, terms.coarse, terms.distortion, terms.penalty,
            found.squared_error, drawn, found.rays, found.square, found.spread, found.target_spread,
        )  # fmt: skip
        return np.concatenate([np.array(told, np.float64), self.sampler.running])

    def _found(self, told: np.ndarray) -> Found:
        """What the shards found together, from their rows; sets what all are to know."""
        pixels, clock, wish, *terms, error, drawn, rays, square, spread, of_target = told[:, :TOLD].T
        shares = pixels / pixels.sum()

        def mean(values: np.ndarray) -> float:
            return math.fsum(shares * values) if np.isfinite(values).all() else float(values.sum())

        self.clock.tell(float(clock[0]))
        self._wished = bool(wish.any())
        self.sampler.running[...] = told[:, TOLD:].mean(axis=0)
        return Found(
            LossTerms(*map(mean, terms)), mean(error), int(drawn.sum()), int(rays.sum()), float(square.sum()),
            float(spread.max()), float(of_target.max()),
        )  # fmt: skip

    def apply(self, groups: Sequence[ParameterGroup], progress: float) -> None:
        """See `Steps`: what this rank owns, then told to all."""
        layout, rank, optimiser, config = self.layout, self.team.rank, self.state.optimiser, self.config.optimiser
        optimiser.step += 1
        part, gradient = layout.part(self.vector, rank), self._gradient
        if rank == 0:
            self.calibration.confine(self._beside(gradient))
        for kind, where in self._runs:
            group = groups[kind]
            adam_step(
                part[where], gradient[where], *(moment[where] for moment in self._moments), step=optimiser.step,
                rate=group.schedule.at(progress), beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon,
                sparse=group.sparse,
            )  # fmt: skip
        if rank == 0:
            self.calibration.constrain(self._beside(part))
        self.exchange.spread(self.vector, part)
        if self.team.size > 1:  # what is there is not of this step
            optimiser.mean = optimiser.variance = None

    def _beside(self, part: np.ndarray) -> dict[str, Any]:
        """What is learnt beside the field, as parts of what rank 0 owns."""
        names = [name for name in self.state.parameters if name != FIELD]
        beside = {name: self.state.parameters[name] for name in names}
        return tree.flatten(beside)[1](self.layout.undivided(part))

    def agreed(self, wish: Any) -> bool:
        """See `Steps`: wishes travel with the next step, after which all stop."""
        self._wish = self._wish or bool(wish)
        return self._wished

    def gather(self) -> None:
        """See `Steps`."""
        means = []
        for moment in self._moments:
            vector = moment if self.team.size == 1 else np.zeros(self.layout.length, np.float32)
            for rank, part in enumerate(self.team.gather(moment)):
                self.layout.put(vector, rank, part)
            means.append(self._tree(self.layout.views(vector)))
        self.state.optimiser.mean, self.state.optimiser.variance = means

    def require_same_start(self, scene: Scene | None) -> None:
        """Raise a UserError, the same in all ranks, where they do not begin with the same."""
        state = self.state
        arrays = [self.vector, *(leaf for moment in (state.optimiser.mean, state.optimiser.variance)
                                 for leaf in tree.flatten(moment)[0])]  # fmt: skip
        views = None if scene is None else scene.splits["train"]
        own = {
            "configuration": str(to_dict(self.config)),
            "checkpoint": f"step {state.step}, {state.drawn}, {_checksum([*arrays, *state.sampler.values()]):08x}",
            "data set": "none" if views is None else f"{_checksum([views.pixels, views.cameras.poses]):08x}",
        }
        require_alike(self.team, own, "All need the same data set and, with --resume, the same run folder.")


def _checksum(arrays: Sequence[np.ndarray]) -> int:
    """CRC-32 of the bytes of arrays, one after the other."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return crc
