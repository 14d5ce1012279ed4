// The passes over images that operations are made of, for the processor that runs.

#pragma once

#include <cstdint>
#include <vector>

#include "bfloat16.h"

// What each channel's values are combined with, [channels] each.
struct Coefficients {
  std::vector<float> mean, scale, shift, slope, offset;
};

// Passes over rows [begin, end) of images [rows, channels]; pairs are without and with a ReLU. `passes-body.h` says what
// each computes.
template <typename T>
struct Passes {
  void (*add_sums)(const T* x, int64_t begin, int64_t end, int64_t channels, double* sums);
  void (*normalise)(const T* x, const Coefficients& k, bool relu, int64_t begin, int64_t end, int64_t channels, T* y);
  void (*normalise_add)(const T* x, const T* residual, const Coefficients& k, bool relu, int64_t begin, int64_t end,
                        int64_t channels, T* y);
  void (*add_gradient_sums[2])(const T* dy, const T* x, const Coefficients& k, int64_t begin, int64_t end,
                               int64_t channels, double* sums);
  void (*add_masked_sums)(const T* dy, const T* x, const T* y, T* g, const Coefficients& k, int64_t begin,
                          int64_t end, int64_t channels, double* sums);
  void (*gradient[2])(const T* dy, const T* x, const Coefficients& k, int64_t begin, int64_t end, int64_t channels,
                      T* dx);
  void (*add_bias)(const T* x, const float* bias, bool relu, int64_t begin, int64_t end, int64_t channels, T* y);
  void (*add_bias_sums)(const T* dy, const T* y, T* g, int64_t begin, int64_t end, int64_t channels, double* sums);
  void (*add)(const T* a, const T* b, int64_t begin, int64_t end, T* sum);
};

// Those that are the fastest here.
template <typename T>
const Passes<T>& PassesHere();
