"""One training step of the same networks in PyTorch eager, channels last: a line of JSON with medians.

usage: torch_step.py MODEL BATCH THREADS STEPS [float32|tf32|bf16] [cpu|cuda]

tf32: a GPU's products of float32 numbers are rounded to TF32. bf16: the network runs under autocast, the loss in float32.
"""
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != filters:
            conv = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        filters = 4 * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, filters, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != filters:
            conv = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A 3x3 stem, stages of blocks, global average pooling, a linear layer to `dim`."""

    def __init__(self, block, stem, stages, dim):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem))
        expansion = 4 if block is Bottleneck else 1
        channels, blocks = stem, []
        for width, stride, count in stages:
            for index in range(count):
                blocks.append(block(channels, width, stride if index == 0 else 1))
                channels = width * expansion
        self.blocks = nn.Sequential(*blocks)
        self.features = nn.Linear(channels, dim)

    def forward(self, x):
        return self.features(self.blocks(F.relu(self.stem(x))).mean((2, 3)))


class SmallCnn(nn.Module):
    def __init__(self, dim):
        super().__init__()
        shapes = ((3, 32, 1), (32, 64, 2), (64, 128, 2))
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, s, 1) for i, o, s in shapes)
        self.features = nn.Linear(128, dim)

    def forward(self, x):
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.features(x.mean((2, 3)))


MODELS = {
    "small-cnn": lambda: SmallCnn(128),
    "resnet20": lambda: ResNet(Block, 16, ((16, 1, 3), (32, 2, 3), (64, 2, 3)), 256),
    "resnet18": lambda: ResNet(Block, 64, ((64, 1, 2), (128, 2, 2), (256, 2, 2), (512, 2, 2)), 256),
    "resnet50": lambda: ResNet(Bottleneck, 64, ((64, 1, 3), (128, 2, 4), (256, 2, 6), (512, 2, 3)), 256),
}


def main():
    name, batch, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    precision, device = (sys.argv[5:] + ["float32", "cpu"][len(sys.argv[5:]):])[:2]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model = MODELS[name]().to(device, memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 32, 32).to(device, memory_format=torch.channels_last)
    # Fixed directions on the sphere, as the centroids are, and a loss of about the same work.
    classes = F.normalize(torch.randn(10, model.features.out_features)).to(device)
    labels = (torch.arange(batch) % 10).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    phases = {"forwardMs": [], "backwardMs": [], "updateMs": [], "medianMs": [], "cpuMs": []}

    def mark(marks):
        if device == "cuda":
            torch.cuda.synchronize()
        marks.append(time.perf_counter())

    def step():
        processor = time.process_time()
        marks = [time.perf_counter()]
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
            features = model(images)
        unit = F.normalize(features.float())
        own = classes[labels]
        residual = unit - own
        gram = residual.T @ residual / max(batch - 1, 1)
        correlation = (gram.square().sum() - gram.diagonal().square().sum()) / (gram.shape[0] - 1)
        loss = (1 - (unit * own).sum(1)).square().mean() + correlation
        loss.item()
        mark(marks)
        loss.backward()
        mark(marks)
        optimizer.step()
        mark(marks)
        spans = [1000 * (end - start) for start, end in zip(marks, marks[1:])]
        for key, span in zip(phases, [*spans, sum(spans), 1000 * (time.process_time() - processor)]):
            phases[key].append(span)

    for _ in range(3):
        step()
    for values in phases.values():
        values.clear()
    for _ in range(steps):
        step()
    medians = {key: statistics.median(values) for key, values in phases.items()}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(
        json.dumps(
            {
                "version": torch.__version__,
                "imagesPerSecond": 1000 * batch / medians["medianMs"],
                **medians,
                "parameters": parameters,
            }
        )
    )


main()
