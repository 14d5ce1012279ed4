// Batch norm in training as operations of TensorFlow's.

#pragma once

// Adds the operations to TensorFlow, once a process; false where it refuses them.
bool RegisterBatchNorm();
