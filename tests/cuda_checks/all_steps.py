"""Records steps of all methods on fake CUDA, in a process of its own.

python tests/cuda_checks/all_steps.py STEPS.json
"""

import json
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import check_steps

EVERY_METHOD = {"as it is": [], "mixed precision": ["mixed_precision=true"]}
FURTHER = {
    ("nerf-hash-custom", "camera poses"): ["pipeline.model.camera_optimizer.mode=SO3xR3"],
    ("nerf-hash-custom", "images on the GPU"): ["pipeline.datamanager.images_on_gpu=true"],
    ("nerf-hash-custom", "contracted"): ["pipeline.model.space=contracted", "pipeline.model.sampler=occupancy"],
    ("vanilla-nerf-custom", "hierarchical"): ["pipeline.model.sampler=hierarchical"],
    ("mip-nerf-custom", "two passes"): ["pipeline.model.sampler=two_pass"],
    ("neus-custom", "upsampling"): ["pipeline.model.sampler=upsampling"],
    ("neus-hash-custom", "camera poses"): ["pipeline.model.camera_optimizer.mode=SE3"],
    ("neus-hash-custom", "outside"): ["pipeline.model.outside.n_samples=32"],
    ("neus-hash-custom", "curvature"): ["pipeline.model.curvature_loss_mult=0.1"],
}
STEPS = (0, 15, 1007, 1008)
"""Warm-up with an update of the grid and without; then the steps that most are like, and one with an update."""


def steps_of(name: str, variant: str, options: list[str]) -> list[dict]:
    """A row for each step, or one with what stopped it."""
    try:
        recorded = check_steps.record_method(name, options, STEPS, n_rays=4096)
    except Exception:  # another method's steps are to be looked at all the same
        return [{"method": name, "variant": variant, "error": traceback.format_exc()}]
    rows = []
    for step, record in recorded:
        operations = [
            [o.phase, o.name, o.flops, str(o.dtype).removeprefix("torch."), o.place] for o in record.operations
        ]
        waits, unused = record.waits, record.without_gradient
        row = {"method": name, "variant": variant, "step": step, "waits": waits, "unused": unused}
        rows.append(row | {"operations": operations})
    return rows


def main() -> None:
    """Writes the rows of all methods and variants."""
    todo = {(name, variant): options for name in check_steps.our_methods() for variant, options in EVERY_METHOD.items()}
    rows = [row for (name, variant), options in (todo | FURTHER).items() for row in steps_of(name, variant, options)]
    Path(sys.argv[1]).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
