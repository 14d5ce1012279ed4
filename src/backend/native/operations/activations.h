// Biases, ReLU and sums of images in bfloat16 as operations of TensorFlow's.

#pragma once

// Adds the operations to TensorFlow, once a process; false where it refuses them.
bool RegisterActivations();
