"""Data-parallel training of the digits' small network in PyTorch, with checkpoints, to be restarted by torchrun.

usage: torchrun --standalone --nproc-per-node N --max-restarts R restart_torch.py DIGITS FOLDER EPOCHS EVERY

DIGITS: digits.csv.gz. FOLDER: gets steps.log (a line a step), pid-RANK, checkpoint.pt and weights.txt (SHA-256).
EVERY: steps from one checkpoint to the next; 0: at the end of each epoch.
"""
import gzip
import hashlib
import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

digits, folder, epochs, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
batch = 96
torch.set_num_threads(1)
torch.manual_seed(1)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
with open(f"{folder}/pid-{rank}", "w") as file:
    file.write(str(os.getpid()))

with gzip.open(digits, "rt") as file:
    rows = torch.tensor([[int(number) for number in line.split(",")] for line in file])[:1437]
images = (rows[:, :64].float() / 16).reshape(-1, 1, 8, 8)
data = TensorDataset(images, rows[:, 64])
sampler = DistributedSampler(data, seed=1)
loader = DataLoader(data, batch // world, sampler=sampler)


class SmallCnn(nn.Module):
    """Two 3x3 convolutions with batch norm, global average pooling, a linear layer, logits."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64)
        self.features, self.logits = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.logits(self.features(x.mean((2, 3))))


network = SmallCnn()
model = DistributedDataParallel(network)
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
path = f"{folder}/checkpoint.pt"
done = 0
if os.path.exists(path):
    saved = torch.load(path)
    network.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    done = saved["steps"]


def save(steps):
    if rank == 0:
        saved = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "steps": steps}
        torch.save(saved, f"{path}.new")
        os.replace(f"{path}.new", path)


per_epoch = len(loader)
log = open(f"{folder}/steps.log", "a", buffering=1) if rank == 0 else None
for epoch in range(done // per_epoch, epochs):
    sampler.set_epoch(epoch)
    for index, (x, labels) in enumerate(loader):
        step = epoch * per_epoch + index
        if step < done:
            continue
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        if log:
            log.write(f"{step}\n")
        if every > 0 and (step + 1) % every == 0:
            save(step + 1)
    if every == 0:
        save((epoch + 1) * per_epoch)

if rank == 0:
    digest = hashlib.sha256()
    for parameter in network.parameters():
        digest.update(parameter.detach().numpy().tobytes())
    with open(f"{folder}/weights.txt", "w") as file:
        file.write(digest.hexdigest())
dist.destroy_process_group()
