"""One rank of a gloo all-reduce through PyTorch: gloo_allreduce.py RANK WORLD_SIZE STORE_FILE.

Reads lines "BYTES ITERATIONS WARMUPS" from standard input; rank 0 answers each with a line of JSON: the slowest
rank's milliseconds of each iteration and the number of wrong elements over all ranks.
"""

import json
import os
import sys
import time

import torch
import torch.distributed as dist


def pattern(length, rank):
    return ((torch.arange(length, dtype=torch.int64) + 7 * rank) & 15).to(torch.float32)


def measure(length, iterations, warmups):
    rank, size = dist.get_rank(), dist.get_world_size()
    own = pattern(length, rank)
    values = torch.empty(length, dtype=torch.float32)
    times = []
    for iteration in range(-warmups, iterations):
        values.copy_(own)
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(values)
        slowest = torch.tensor([time.perf_counter() - start], dtype=torch.float64)
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        if iteration >= 0:
            times.append(slowest.item() * 1e3)
    wrong = torch.tensor([(values != sum(pattern(length, r) for r in range(size))).sum().item()])
    dist.all_reduce(wrong)
    return {"times": times, "errors": wrong.item()}


def main():
    rank, size, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    if rank == 0:
        print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        size_in_bytes, iterations, warmups = map(int, line.split())
        result = measure(size_in_bytes // 4, iterations, warmups)
        if rank == 0:
            print(json.dumps(result), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
