"""Data-parallel training of the digits' small network with Lightning, to be restarted by torchrun.

usage: torchrun --standalone --nproc-per-node N --max-restarts R restart_lightning.py DIGITS FOLDER EPOCHS EVERY

As restart_torch.py; the checkpoint is Lightning's own, last.ckpt.
"""
import hashlib
import os
import sys

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import functional as F
from torch.utils.data import DataLoader

from restart_digits import SmallCnn, digits

path, folder, epochs, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
batch, rank, world = 96, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
torch.set_num_threads(1)
lightning.seed_everything(1)
with open(f"{folder}/pid-{rank}", "w") as file:
    file.write(str(os.getpid()))


class Training(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = SmallCnn()
        self.steps = open(f"{folder}/steps.log", "a", buffering=1) if rank == 0 else None

    def training_step(self, batch, _):
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def on_train_batch_end(self, *_):
        if self.steps:
            self.steps.write(f"{self.global_step - 1}\n")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


when = {"every_n_train_steps": every} if every > 0 else {"every_n_epochs": 1, "save_on_train_epoch_end": True}
saving = ModelCheckpoint(dirpath=folder, save_last=True, save_top_k=1, **when)
trainer = lightning.Trainer(
    accelerator="cpu", devices=world, strategy="ddp", max_epochs=epochs, callbacks=[saving], logger=False,
    enable_progress_bar=False, enable_model_summary=False,
)
model = Training()
loader = DataLoader(digits(path), batch // world, shuffle=True)
last = f"{folder}/last.ckpt"
trainer.fit(model, loader, ckpt_path=last if os.path.exists(last) else None)
if rank == 0:
    digest = hashlib.sha256()
    for parameter in model.network.parameters():
        digest.update(parameter.detach().numpy().tobytes())
    with open(f"{folder}/weights.txt", "w") as file:
        file.write(digest.hexdigest())
