"""A classifier that `pod-dist export --format safetensors` wrote, as a PyTorch module.

    model = load("faces")             # the folder with model.safetensors and classifier.json
    scores = model(images)            # [b, channels, height, width] to [b, classes]
    names = [model.class_names[index] for index in scores.argmax(dim=1)]

`model.description["preprocessing"]` says how images are prepared. Needs the packages torch and safetensors.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


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
    if kind not in ("conv2d", "linear"):
        return None
    weight = tensors[operation["name"] + ".weight"]
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


def compute(operation, inputs, layer):
    kind = operation["op"]
    x = inputs[0]
    if kind == "conv2d":
        return layer(padded(x, operation["padding"]))
    if layer is not None:
        return layer(x)
    if kind == "relu":
        return F.relu(x) if "max" not in operation else x.clamp(0, operation["max"])
    if kind == "leaky_relu":
        return F.leaky_relu(x, operation["negativeSlope"])
    if kind == "sigmoid":
        return torch.sigmoid(x)
    if kind == "tanh":
        return torch.tanh(x)
    if kind == "softmax":
        return x.softmax(dim=-1)
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
    if kind == "add":
        return sum(inputs[1:], x)
    if kind == "concat":
        return torch.cat(inputs, dim=1)
    if kind == "normalize":
        return F.normalize(x, dim=1)
    raise ValueError(f"operation {operation['name']}: {kind} is not known; get a newer classifier.py")


def padded(x, padding, value=0.0):
    top, bottom, left, right = padding
    return F.pad(x, (left, right, top, bottom), value=value)
