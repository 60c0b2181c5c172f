"""Adam on what has a gradient: torch's where all has one, and nothing where there is none."""

import pytest
import torch

from nerf_plugins.engine.optimizers import MaskedAdam, MaskedAdamOptimizerConfig
from nerf_plugins.errors import InputError
from nerf_plugins.ops import masked_adam_

OPTIONS = {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-8}


def steps(optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter, gradients: list[torch.Tensor]) -> None:
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()


@pytest.mark.parametrize("n", [0, 1, 31, 10_000])
def test_with_gradients_everywhere_it_is_torchs(generator, n):
    start = torch.randn(n, generator=generator)
    gradients = [torch.randn(n, generator=generator) for _ in range(4)]
    mine, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    steps(MaskedAdam([mine], **OPTIONS), mine, gradients)
    steps(torch.optim.Adam([theirs], **OPTIONS), theirs, gradients)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_numbers_without_gradient_keep_value_and_moments(generator):
    parameter = torch.nn.Parameter(torch.randn(100, 3, generator=generator))
    optimizer = MaskedAdam([parameter], **OPTIONS)
    everywhere = torch.randn(100, 3, generator=generator)
    steps(optimizer, parameter, [everywhere])
    state, before = optimizer.state[parameter], parameter.detach().clone()
    moments = {name: state[name].clone() for name in ("exp_avg", "exp_avg_sq")}
    some = everywhere * (torch.rand(100, 3, generator=generator) < 0.3)
    steps(optimizer, parameter, [some])
    has_gradient = some != 0
    assert torch.equal(parameter != before, has_gradient)
    for name, moment in moments.items():
        assert torch.equal(state[name] != moment, has_gradient)
    assert 0 < int(has_gradient.sum()) < 300


def test_a_state_goes_through_a_file(generator, tmp_path):
    parameter = torch.nn.Parameter(torch.randn(10, generator=generator))
    optimizer, gradient = MaskedAdam([parameter], **OPTIONS), torch.randn(10, generator=generator)
    steps(optimizer, parameter, [gradient])
    torch.save(optimizer.state_dict(), tmp_path / "state")
    other = torch.nn.Parameter(parameter.detach().clone())
    resumed = MaskedAdam([other], lr=1.0)
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    steps(optimizer, parameter, [gradient])
    steps(resumed, other, [gradient])
    assert torch.equal(parameter, other)


def test_the_configuration_makes_it():
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = MaskedAdamOptimizerConfig(lr=0.1).setup([parameter])
    assert isinstance(optimizer, MaskedAdam)
    with pytest.raises(InputError, match="weight_decay"):
        MaskedAdamOptimizerConfig(weight_decay=0.1).setup([parameter])


@pytest.mark.parametrize("wrong", [{"step": 0}, {"betas": (1.0, 0.9)}, {"eps": 0.0}, {"lr": -1.0}])
def test_bad_numbers_are_refused(wrong: dict):
    four = [torch.zeros(3) for _ in range(4)]
    with pytest.raises(ValueError, match=next(iter(wrong))):
        masked_adam_(*four, **({"step": 1, "lr": 0.1} | wrong))


def test_what_is_written_in_place_must_be_contiguous():
    moments = torch.zeros(3, 2).t()
    with pytest.raises(ValueError, match="exp_avg must be contiguous"):
        masked_adam_(torch.zeros(2, 3), torch.ones(2, 3), moments, torch.zeros(2, 3), step=1, lr=0.1)
