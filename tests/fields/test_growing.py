import torch
from torch import nn

from nerf_plugins.fields.growing import Growing, grow, growing_keys, take_shapes


class Line(Growing):
    """Numbers on a line; twice as many from half of the training on."""

    growing = ("values",)

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor([1.0, 2.0]))

    def grow(self, progress: float):
        if progress < 0.5 or len(self.values) == 4:
            return {}
        return {"values": lambda x: x.repeat_interleave(2)}


def trained() -> tuple[nn.Module, torch.optim.Adam]:
    model = nn.ModuleDict({"line": Line(), "other": nn.Linear(1, 1)})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    step(model, optimizer)
    return model, optimizer


def step(model: nn.Module, optimizer: torch.optim.Adam) -> torch.Tensor:
    optimizer.zero_grad()
    loss = model["line"].values.square().sum() + model["other"](torch.ones(1)).sum()
    loss.backward()
    optimizer.step()
    return loss  # alive, as nerfstudio keeps it: autograd then remembers the parameter's shape


def test_a_parameter_grows_with_its_moments_and_is_trained_on():
    model, optimizer = trained()
    old, moments = model["line"].values, optimizer.state[model["line"].values]["exp_avg"].clone()
    kept = list(model["line"].parameters())
    loss = step(model, optimizer)
    assert grow(model, 0.4, [optimizer], [kept]) == []
    moments = optimizer.state[old]["exp_avg"].clone()
    assert grow(model, 0.5, [optimizer], [kept]) == ["values: (2,) -> (4,)"]
    new = model["line"].values
    assert torch.equal(new, old.repeat_interleave(2))
    assert kept[0] is new
    assert old not in optimizer.state
    assert torch.equal(optimizer.state[new]["exp_avg"], moments.repeat_interleave(2))
    before = new.detach().clone()
    step(model, optimizer)
    assert (model["line"].values != before).all()
    assert grow(model, 1.0, [optimizer]) == []
    assert loss.grad_fn is not None


def test_a_state_of_another_size_is_loaded():
    model, optimizer = trained()
    grow(model, 1.0, [optimizer])
    state = model.state_dict()
    fresh, _ = trained()
    assert list(growing_keys(fresh)) == ["line.values"]
    assert take_shapes(fresh, state)
    assert not take_shapes(fresh, state)
    fresh.load_state_dict(state)
    assert torch.equal(fresh["line"].values, model["line"].values)


class Masked(Line):
    """Its buffer is as long as its parameter."""

    growing = ("values", "mask")

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.zeros(2))

    def grow(self, progress: float):
        resize = super().grow(progress)
        if resize:
            self.mask = torch.ones(4)
        return resize


def test_a_buffer_that_grows_with_it_is_loaded_too():
    model, fresh = (nn.ModuleDict({"line": Masked()}) for _ in range(2))
    assert grow(model, 1.0, []) == ["values: (2,) -> (4,)"]
    take_shapes(fresh, model.state_dict())
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh["line"].mask, torch.ones(4))
