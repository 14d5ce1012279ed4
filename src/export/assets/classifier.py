"""A classifier that `pod-dist export --format safetensors` wrote, as a PyTorch module.

    model = load("faces_torch")       # the folder with model.safetensors and classifier.json
    scores = model(images)            # [b, channels, height, width] to [b, classes]
    names = [model.class_names[index] for index in scores.argmax(dim=1)]

`model.description["preprocessing"]` says how images are prepared, preprocessing.py beside this does it. Needs the packages torch and safetensors.
"""

import json
from functools import reduce
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


ELEMENTWISE = {
    "elu": F.elu,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "tanh": torch.tanh,
    "selu": F.selu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "swish": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
}

COMBINATIONS = {"multiply": torch.mul, "maximum": torch.maximum, "minimum": torch.minimum}


def load(folder, device="cpu"):
    """The classifier of a folder, ready for inference."""
    folder = Path(folder)
    description = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
    return Classifier(description, load_file(folder / "model.safetensors")).to(device).eval()


class Classifier(nn.Module):
    """Its state_dict has the names of model.safetensors."""

    def __init__(self, description, tensors):
        super().__init__()
        self.description = description
        self.class_names = description["classNames"]
        for operation in description["operations"]:
            layer = layer_of(operation, tensors)
            if layer is not None:
                self.add_module(operation["name"], layer)
        self.load_state_dict(tensors)

    def forward(self, images):
        operations = self.description["operations"]
        last_use = {name: at for at, operation in enumerate(operations) for name in operation["inputs"]}
        values = {"images": images}
        for at, operation in enumerate(operations):
            inputs = [values[name] for name in operation["inputs"]]
            layer = self._modules.get(operation["name"])
            result = compute(operation, inputs, layer)
            values[operation["name"]] = result
            values = {name: value for name, value in values.items() if last_use.get(name, at) >= at}
        return result


def layer_of(operation, tensors):
    """The module that holds an operation's weights, if it has any."""
    kind = operation["op"]
    if kind == "batch_norm":
        module = nn.BatchNorm2d if len(operation["shape"]) == 3 else nn.BatchNorm1d
        return module(operation["shape"][0], eps=operation["eps"])
    if kind not in ("conv2d", "linear", "layer_norm", "prelu"):
        return None
    weight = tensors[operation["name"] + ".weight"]
    if kind == "layer_norm":
        return ChannelNorm(weight.shape, eps=operation["eps"])
    if kind == "prelu":
        return PReLU(weight.shape)
    if kind == "linear":
        return nn.Linear(weight.shape[1], weight.shape[0], bias=operation["bias"])
    return nn.Conv2d(
        weight.shape[1] * operation["groups"],
        weight.shape[0],
        kernel_size=tuple(weight.shape[2:]),
        stride=operation["stride"],
        dilation=operation["dilation"],
        groups=operation["groups"],
        bias=operation["bias"],
    )


class ChannelNorm(nn.LayerNorm):
    """Over the channels of [b, channels, height, width], of tokens, or features."""

    def forward(self, x):
        if x.dim() != 4:
            return super().forward(x)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PReLU(nn.Module):
    """A slope for each place, not only for each channel."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, x):
        return torch.where(x > 0, x, self.weight * x)


def compute(operation, inputs, layer):
    kind = operation["op"]
    x = inputs[0]
    channels = 2 if x.dim() == 3 else 1
    if kind == "conv2d":
        return layer(padded(x, operation["padding"]))
    if layer is not None:
        return layer(x)
    if kind == "relu":
        return F.relu(x) if "max" not in operation else x.clamp(0, operation["max"])
    if kind == "leaky_relu":
        return F.leaky_relu(x, operation["negativeSlope"])
    if kind in ELEMENTWISE:
        return ELEMENTWISE[kind](x)
    if kind == "softmax":
        return x.softmax(dim=channels)
    if kind == "max_pool2d":
        window = operation["kernel"], operation["stride"]
        return F.max_pool2d(padded(x, operation["padding"], float("-inf")), *window)
    if kind == "avg_pool2d":
        window = operation["kernel"], operation["stride"]
        inside = padded(torch.ones_like(x[:1, :1]), operation["padding"])
        return F.avg_pool2d(padded(x, operation["padding"]), *window) / F.avg_pool2d(inside, *window)
    if kind == "global_avg_pool2d":
        return x.mean(dim=(2, 3))
    if kind == "global_max_pool2d":
        return x.amax(dim=(2, 3))
    if kind == "pad":
        return padded(x, operation["padding"])
    if kind == "flatten":
        return x.flatten(1)
    if kind == "unflatten":
        return x[:, :, None, None]
    if kind == "tokens":
        return x.flatten(2).transpose(1, 2)
    if kind == "matmul":
        return x @ (inputs[1].transpose(1, 2) if operation["transposed"] else inputs[1])
    if kind == "mean_token":
        return x.mean(dim=1)
    if kind == "add":
        return sum(inputs[1:], x)
    if kind == "average":
        return sum(inputs[1:], x) / len(inputs)
    if kind in COMBINATIONS:
        return reduce(COMBINATIONS[kind], inputs)
    if kind == "concat":
        return torch.cat(inputs, dim=channels)
    if kind == "normalize":
        return F.normalize(x, dim=1)
    raise ValueError(f"operation {operation['name']}: {kind} is not known; get a newer classifier.py")


def padded(x, padding, value=0.0):
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value)
