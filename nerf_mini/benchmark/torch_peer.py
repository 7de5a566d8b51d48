"""The same training step in plain, idiomatic PyTorch: what a reader of the paper would write."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

from nerf_mini.benchmark.workloads import FAR, NEAR, Workload, field_of, random_rays
from nerf_mini.errors import UserError


def import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise UserError("--peer torch needs PyTorch: pip install torch, or leave --peer out.") from error
    return torch


def _encode(torch: Any, x: Any, frequencies: int) -> Any:
    columns = [x]
    for k in range(frequencies):
        columns += [torch.sin(2.0**k * x), torch.cos(2.0**k * x)]
    return torch.cat(columns, dim=-1)


def make_network(torch: Any, shape: Any) -> Any:
    """The network as a torch module, density and colour of encoded points and directions."""
    nn: Any = torch.nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            inputs, width = shape.position_width, shape.width
            self.layers = nn.ModuleList(
                nn.Linear(inputs if i == 0 else width + (inputs if i == shape.skip else 0), width)
                for i in range(shape.depth)
            )
            self.density = nn.Linear(width, 1)
            self.feature = nn.Linear(width, width)
            self.view = nn.Linear(width + shape.ray_features, width // 2)
            self.color = nn.Linear(width // 2, 3)

        def forward(self, position, direction):
            h = position
            for i, layer in enumerate(self.layers):
                if i == shape.skip:
                    h = torch.cat([position, h], dim=-1)
                h = torch.relu(layer(h))
            density = torch.relu(self.density(h))[..., 0]
            h = torch.relu(self.view(torch.cat([self.feature(h), direction], dim=-1)))
            return density, torch.sigmoid(self.color(h))

    return Network()


class TorchStep:
    """One training step in PyTorch; call it to take it. `precision` "bfloat16" runs the networks under autocast."""

    def __init__(self, workload: Workload, precision: str = "float32", threads: int | None = None):
        torch = self.torch = import_torch()
        torch.set_num_threads(threads or os.cpu_count() or 1)
        torch.manual_seed(0)
        self.workload, self.precision = workload, precision
        self.shape = field_of(workload.config()).shape
        self.coarse, self.fine = (make_network(torch, self.shape) for _ in range(2))
        parameters = [*self.coarse.parameters(), *self.fine.parameters()]
        self.optimiser = torch.optim.Adam(parameters, lr=5e-4, eps=1e-7)
        cameras, batch = random_rays(workload.rays)
        rays = batch.rays(cameras)
        self.origins, self.directions, self.target = (
            torch.from_numpy(np.array(array)) for array in (rays.origins, rays.directions, batch.target)
        )

    def _render(self, network: Any, t: Any) -> tuple[Any, Any]:
        torch, shape = self.torch, self.shape
        points = self.origins[:, None] + t[..., None] * self.directions[:, None]  # (rays, samples, 3)
        direction = _encode(torch, self.directions, shape.direction_frequencies or 0)[:, None]
        autocast = torch.autocast("cpu", torch.bfloat16) if self.precision == "bfloat16" else contextlib.nullcontext()
        with autocast:
            position = _encode(torch, points, shape.position_frequencies)
            density, color = network(position, direction.expand(*points.shape[:2], -1))
        density, color = density.float(), color.float()
        delta = torch.diff(t, dim=1, append=torch.full_like(t[:, :1], FAR))
        alpha = 1 - torch.exp(-density * delta)
        passed = torch.cumprod(1 - alpha + 1e-10, dim=1)
        transmittance = torch.cat([torch.ones_like(alpha[:, :1]), passed[:, :-1]], dim=1)
        weights = transmittance * alpha  # (rays, samples)
        return (weights[..., None] * color).sum(1) + (1 - weights.sum(1))[:, None], weights

    def _fine_samples(self, t: Any, weights: Any) -> Any:
        torch = self.torch
        edges = 0.5 * (t[:, 1:] + t[:, :-1])
        pdf = weights[:, 1:-1] + 1e-5
        cdf = torch.cumsum(pdf / pdf.sum(1, keepdim=True), dim=1)
        cdf = torch.cat([torch.zeros_like(cdf[:, :1]), cdf], dim=1)
        u = torch.rand(len(t), self.workload.fine_samples)
        above = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[1] - 1)
        low, high = torch.gather(cdf, 1, above - 1), torch.gather(cdf, 1, above)
        start, end = torch.gather(edges, 1, above - 1), torch.gather(edges, 1, above)
        new = start + (u - low) / (high - low).clamp(min=1e-8) * (end - start)
        return torch.sort(torch.cat([t, new], dim=1), dim=1).values

    def __call__(self) -> float:
        torch, count = self.torch, self.workload.coarse_samples
        within = torch.rand(self.workload.rays, count)
        t = NEAR + (torch.arange(count) + within) * ((FAR - NEAR) / count)
        coarse, weights = self._render(self.coarse, t)
        with torch.no_grad():
            t = self._fine_samples(t, weights)
        fine, _ = self._render(self.fine, t)
        loss = ((coarse - self.target) ** 2).mean() + ((fine - self.target) ** 2).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())
