"""Data-parallel training of the digits' small network in PyTorch, with checkpoints, to be restarted by torchrun.

usage: torchrun --standalone --nproc-per-node N --max-restarts R restart_torch.py DIGITS FOLDER EPOCHS EVERY

DIGITS: digits.csv.gz. FOLDER: gets steps.log (a line a step), pid-RANK, checkpoint.pt and weights.txt (SHA-256).
EVERY: steps from one checkpoint to the next; 0: at the end of each epoch.
"""
import hashlib
import os
import sys

import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from restart_digits import SmallCnn, digits

path, folder, epochs, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
batch = 96
torch.set_num_threads(1)
torch.manual_seed(1)
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
with open(f"{folder}/pid-{rank}", "w") as file:
    file.write(str(os.getpid()))

data = digits(path)
sampler = DistributedSampler(data, seed=1)
loader = DataLoader(data, batch // world, sampler=sampler)

network = SmallCnn()
model = DistributedDataParallel(network)
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
kept = f"{folder}/checkpoint.pt"
done = 0
if os.path.exists(kept):
    saved = torch.load(kept)
    network.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    done = saved["steps"]


def save(steps):
    if rank == 0:
        saved = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "steps": steps}
        torch.save(saved, f"{kept}.new")
        os.replace(f"{kept}.new", kept)


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
