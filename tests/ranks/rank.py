"""One rank of a tiny training, for tests that start several with mpiexec: rank.py TASK METHOD DATA [OUT].

bits: train with the sparse and the dense exchange, and with the library's own sum; write their CRCs to OUT.
raise, refuse: rank 1 raises a ValueError, or a UserError, after three steps.
wait: rank 1 is frozen after three steps, and continued by nobody.
lead: rank 0 works for longer than the others wait, and says that it does; then it fails.
"""

import json
import os
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from autodiff import tree
from nerf_mini.config import from_preset
from nerf_mini.errors import UserError
from nerf_mini.ranks import ALONE, Exchange, joined
from nerf_mini.ranks.shards import added, owned_shards
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer

TINY = {
    "shards": 8,  # not 4: three ranks that add 1, 1 and 2 of those add in the order of the tree
    "max_steps": 12,
    "checkpoint_every": 4,
}
SETTINGS = {
    "nerf": {"preset": "small", "depth": 2, "width": 16, "coarse_samples": 8, "fine_samples": 8, "rays": 128, **TINY},
    "instant": {
        "preset": "default", "levels": 4, "log2_entries": 10, "finest_resolution": 32, "hidden_width": 32,
        "samples_per_step": 2048, "march_steps": 128, "occupancy_resolution": 16, "refine": "poses", "refine_from": 3,
        **TINY,
    },
}  # fmt: skip


class Dense(Exchange):
    """All of the vector is sent."""

    def __init__(self, team, layout, shards, sparse):
        super().__init__(team, layout, shards, sparse=False)


class Library(Dense):
    """The control: each rank adds what it has, and the library adds that up."""

    def nodes_of(self, rank):
        own = owned_shards(self.shards, self.communicator.size, rank)
        return [(own.start, own.stop)]

    def summed(self, sums):
        (vector,) = sums.values()
        total = np.empty_like(vector)
        self.communicator.world.Allreduce(vector, total)
        return self.layout.part(total, self.communicator.rank)


def trained(scene, method, team, exchange=Exchange, on_step=None):
    import nerf_mini.training.sharded_steps as module

    module.Exchange = exchange
    trainer = Trainer(from_preset(**SETTINGS[method]), scene.cameras, scene, communicator=team)
    trainer.train(on_step=on_step)
    state, crc = trainer.whole_state(), 0
    for leaf in tree.flatten([state.parameters, state.optimiser.mean, state.optimiser.variance, state.sampler])[0]:
        crc = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), crc)
    return f"{crc:08x}", zlib.crc32(b"".join(leaf.tobytes() for leaf in tree.flatten(state.parameters)[0]))


def refuse():
    raise UserError("what was led has failed.")


def main(task, method, data, out=None):
    scene = load_scene(Path(data))
    with joined("mpi", {"wait": 5.0, "lead": 1.0}.get(task, 120.0)) as team:
        if task == "lead":
            assert team.lead(lambda: time.sleep(3.0) or 7) == 7
            team.lead(refuse)

        def misbehave(report):
            if report.step == 3 and team.rank == 1:
                if task == "raise":
                    raise ValueError("one of us has a fault")
                if task == "refuse":
                    raise UserError("the disk of this host is full.")
                os.kill(os.getpid(), signal.SIGSTOP)

        if task != "bits":
            trained(scene, method, team, on_step=misbehave)
            return
        found = {"ranks": team.size, "alone": trained(scene, method, ALONE)[0]}
        for name, exchange in (("sparse", Exchange), ("dense", Dense), ("library", Library)):
            before = team.sent
            found[name], parameters = trained(scene, method, team, exchange)
            assert len(set(team.collect(parameters))) == 1, "all ranks have the same parameters"
            found[f"{name} bytes"] = team.sent - before
        vectors = np.random.default_rng(0).standard_normal((8, 1000), np.float32)  # the same at any rate
        own = owned_shards(8, team.size, team.rank)
        mine, total = sum(vectors[shard] for shard in own), np.empty(1000, np.float32)
        team.world.Allreduce(mine, total)
        tree_sum = added((0, 8), lambda shard: vectors[shard].copy())
        found["sums differ"] = bool((total != tree_sum).any())
        if team.rank == 0:
            Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        print(f"told once: {error}")
        sys.exit(2)
