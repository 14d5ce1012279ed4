"""Writes the golden files of these tests, with PyTorch, torchvision, timm and safetensors.

Networks have weights by a formula, so that their files need not be kept: see `numbers`, and written.ts.
"""

import hashlib
import json
import math
import os

import numpy as np
import safetensors.torch
import timm.models.vision_transformer as vit
import torch
import torchvision


def numbers(index, count):
    """Numbers in [-0.5, 0.5) of the tensor with this index."""
    at = np.arange(count, dtype=np.uint64)
    mixed = (at * np.uint64(2654435761) + np.uint64(index) * np.uint64(40503)) % np.uint64(2**32)
    mixed = (mixed * np.uint64(48271)) % np.uint64(2**31 - 1)
    return mixed.astype(np.float64) / (2**31 - 1) - 0.5


def fill(name, index, shape):
    count = math.prod(shape)
    values = numbers(index, count)
    if name.endswith("running_var"):
        values = 1 + values
    elif name.endswith("weight") and len(shape) == 1:
        values = 1 + 0.25 * values
    elif name.endswith("weight"):
        values = values * math.sqrt(24 / (count / shape[0]))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def golden(network, side):
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    filled = {k: fill(k, i, tuple(v.shape)) for i, (k, v) in enumerate(sorted(state.items()))}
    network.load_state_dict(filled, strict=False)
    image = numbers(9999, side * side * 3).astype(np.float32).reshape(1, side, side, 3)
    with torch.no_grad():
        features = network.eval()(torch.from_numpy(image).permute(0, 3, 1, 2))
    return {
        "side": side,
        "tensors": [[k, list(state[k].shape)] for k in sorted(state)],
        "features": [round(float(x), 6) for x in features[0]],
    }


class Vgg(torch.nn.Module):
    """VGG-16 with global average pooling in the place of its hidden layers."""

    def __init__(self):
        super().__init__()
        self.features = torchvision.models.vgg16_bn().features
        self.classifier = torch.nn.ModuleDict({"6": torch.nn.Linear(512, 16)})

    def forward(self, images):
        return self.classifier["6"](self.features(images).mean((2, 3)))


def shown(network, side):
    """Features and a digest of the names; the tensors are those of the formula, by the order of their names."""
    made = golden(network, side)
    return {"side": side, "names": digest(network), "features": made["features"]}


def digest(network):
    state = network.state_dict()
    lines = [f"{k} {list(state[k].shape)}" for k in sorted(state) if not k.endswith("num_batches_tracked")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


resnet18 = torchvision.models.resnet18(num_classes=16)
plain_vit = vit.VisionTransformer(
    img_size=32,
    patch_size=16,
    embed_dim=192,
    depth=12,
    num_heads=3,
    num_classes=16,
    class_token=False,
    pos_embed="none",
    global_pool="avg",
    fc_norm=False,
)
convolutional = {
    "mobilenetv2": shown(torchvision.models.mobilenet_v2(num_classes=16), 40),
    "densenet121": shown(torchvision.models.densenet121(num_classes=16), 40),
    "vgg16-bn": shown(Vgg(), 32),
}
names = {"resnet50": digest(torchvision.models.resnet50(num_classes=16))}
with open("networks.json", "w") as file:
    goldens = {"resnet18": golden(resnet18, 48), "vit-tiny": golden(plain_vit, 32), "names": names}
    json.dump({**goldens, "convolutional": convolutional}, file)
    file.write("\n")

base = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8
tensors = {
    "plain.weight": base,
    "turned.weight": base.t(),
    "cut.weight": base[1:, 2:],
    "half": base.half(),
    "brain": base.bfloat16(),
    "double": base.double() - 1,
    "parameter": torch.nn.Parameter(base[0].clone()),
    "count": torch.tensor(7),
}
torch.save({"epoch": 3, "rate": 0.1, "state_dict": {f"module.{k}": v for k, v in tensors.items()}}, "small.pt")
safetensors.torch.save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, "small.safetensors")
torch.save({"weight": base, "evil": Evil()}, "evil.pt")
with open("small.json", "w") as file:
    json.dump({k: [list(v.shape), v.detach().double().flatten().tolist()] for k, v in tensors.items()}, file)
    file.write("\n")
