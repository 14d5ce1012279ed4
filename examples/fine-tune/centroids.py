"""Converts centroids that the authors of PEDCC have published, pickled, to a .npy file for `centroids.file`.

    python3 centroids.py 10_64.pkl centroids.npy

A pickle is a program. This one runs nothing but what rebuilds arrays of NumPy and, where PyTorch is installed, its tensors.
"""

import pickle
import sys

import numpy as np

ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch.storage", "_load_from_bytes"),
}


def load_storage(content):
    import io

    import torch

    return torch.load(io.BytesIO(content), weights_only=True)


class ArraysOnly(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise SystemExit(f"{module}.{name} is not allowed in a file of centroids")
        return load_storage if module == "torch.storage" else super().find_class(module, name)


def main(source, target):
    with open(source, "rb") as file:
        found = ArraysOnly(file).load()
    rows = [found[label] for label in sorted(found)] if isinstance(found, dict) else list(found)
    matrix = np.stack([np.asarray(row, dtype=np.float32).reshape(-1) for row in rows])
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(matrix).all() or (lengths < 0.5).any():
        raise SystemExit("these are no unit vectors")
    np.save(target, matrix / lengths)
    print(f"{target}: {matrix.shape[0]} centroids of {matrix.shape[1]} dimensions")


if __name__ == "__main__":
    main(*sys.argv[1:])
