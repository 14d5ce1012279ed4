// The passes of batch norm over rows [begin, end) of images [rows, channels].

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rows.h"

namespace {

// What each channel's values are combined with, [channels] each.
struct Coefficients {
  std::vector<float> mean, scale, shift, slope, offset;
};

// Sums of x - p and (x - p)^2, p being the range's first row.
FOR_EACH_CPU
void AddCentredSums(const float* x, int64_t begin, int64_t end, int64_t channels, double* sums) {
  const float* pivots = x + begin * channels;
  AddRows(begin, end, channels, sums, [&](int64_t c, int64_t n) {
    struct Block {
      const float* x;
      float pivot[kBlock] = {};
      inline void operator()(int64_t at, int64_t n, float* first, float* second) const {
        for (int64_t i = 0; i < n; i++) {
          const float value = x[at + i] - pivot[i];
          first[i] += value;
          second[i] += value * value;
        }
      }
    } block{x};
    std::copy(pivots + c, pivots + c + n, block.pivot);
    return block;
  });
}

// Adds sums of x and x^2 to sums [2, channels].
void AddSums(const float* x, int64_t begin, int64_t end, int64_t channels, double* sums) {
  if (begin == end) return;
  std::vector<double> centred(2 * channels, 0.0);
  AddCentredSums(x, begin, end, channels, centred.data());
  const double rows = static_cast<double>(end - begin);
  for (int64_t c = 0; c < channels; c++) {
    const double pivot = x[begin * channels + c], first = centred[c];
    sums[c] += first + rows * pivot;
    sums[channels + c] += centred[channels + c] + 2 * pivot * first + rows * pivot * pivot;
  }
}

inline float Open(float dy, float value) { return value > 0 ? dy : 0; }

template <bool relu>
inline float Side(float dy, float centred, float scale, float shift) {
  return relu ? Open(dy, centred * scale + shift) : dy;
}

template <bool relu>
struct GradientBlock {
  const float* dy;
  const float* x;
  float mean[kBlock] = {}, scale[kBlock] = {}, shift[kBlock] = {};
  inline void operator()(int64_t at, int64_t n, float* first, float* second) const {
    for (int64_t i = 0; i < n; i++) {
      const float centred = x[at + i] - mean[i];
      const float g = Side<relu>(dy[at + i], centred, scale[i], shift[i]);
      first[i] += g;
      second[i] += g * centred;
    }
  }
};

// Adds sums of g and g (x - mean) to sums [2, channels].
template <bool relu>
inline void AddGradientSums(const float* dy, const float* x, const Coefficients& k, int64_t begin, int64_t end,
                            int64_t channels, double* sums) {
  AddRows(begin, end, channels, sums, [&](int64_t c, int64_t n) {
    GradientBlock<relu> block{dy, x};
    std::copy_n(k.mean.data() + c, n, block.mean);
    std::copy_n(k.scale.data() + c, n, block.scale);
    std::copy_n(k.shift.data() + c, n, block.shift);
    return block;
  });
}

FOR_EACH_CPU
void AddGradientSumsPlain(const float* dy, const float* x, const Coefficients& k, int64_t begin, int64_t end,
                          int64_t channels, double* sums) {
  AddGradientSums<false>(dy, x, k, begin, end, channels, sums);
}

FOR_EACH_CPU
void AddGradientSumsRelu(const float* dy, const float* x, const Coefficients& k, int64_t begin, int64_t end,
                         int64_t channels, double* sums) {
  AddGradientSums<true>(dy, x, k, begin, end, channels, sums);
}

// Sums of g and g (x - mean), g being dy where y is positive; g is written as well.
struct MaskedBlock {
  const float* dy;
  const float* x;
  const float* y;
  float* g;
  float mean[kBlock] = {};
  inline void operator()(int64_t at, int64_t n, float* first, float* second) const {
    float masked[kBlock];
    for (int64_t i = 0; i < n; i++) {
      masked[i] = Open(dy[at + i], y[at + i]);
      first[i] += masked[i];
      second[i] += masked[i] * (x[at + i] - mean[i]);
    }
    std::copy_n(masked, n, g + at);
  }
};

FOR_EACH_CPU
void AddMaskedSums(const float* dy, const float* x, const float* y, float* g, const Coefficients& k, int64_t begin,
                   int64_t end, int64_t channels, double* sums) {
  AddRows(begin, end, channels, sums, [&](int64_t c, int64_t n) {
    MaskedBlock block{dy, x, y, g};
    std::copy_n(k.mean.data() + c, n, block.mean);
    return block;
  });
}

// A NaN stays one: it must reach the loss.
FOR_EACH_CPU
void Normalise(const float* x, const Coefficients& k, bool relu, int64_t begin, int64_t end, int64_t channels,
               float* y) {
  const float floor = relu ? 0 : -__builtin_huge_valf();
  const float *mean = k.mean.data(), *scale = k.scale.data(), *shift = k.shift.data();
  for (int64_t row = begin; row < end; row++) {
    const float* from = x + row * channels;
    float* to = y + row * channels;
    for (int64_t i = 0; i < channels; i++) {
      const float value = (from[i] - mean[i]) * scale[i] + shift[i];
      to[i] = value < floor ? floor : value;
    }
  }
}

FOR_EACH_CPU
void NormaliseAdd(const float* x, const float* residual, const Coefficients& k, bool relu, int64_t begin, int64_t end,
                  int64_t channels, float* y) {
  const float floor = relu ? 0 : -__builtin_huge_valf();
  const float *mean = k.mean.data(), *scale = k.scale.data(), *shift = k.shift.data();
  for (int64_t row = begin; row < end; row++) {
    const int64_t at = row * channels;
    for (int64_t i = 0; i < channels; i++) {
      const float value = (x[at + i] - mean[i]) * scale[i] + shift[i] + residual[at + i];
      y[at + i] = value < floor ? floor : value;
    }
  }
}

template <bool relu>
inline void Gradient(const float* dy, const float* x, const Coefficients& k, int64_t begin, int64_t end,
                     int64_t channels, float* dx) {
  const float *mean = k.mean.data(), *scale = k.scale.data(), *shift = k.shift.data();
  const float *slope = k.slope.data(), *offset = k.offset.data();
  for (int64_t row = begin; row < end; row++) {
    const int64_t at = row * channels;
    for (int64_t i = 0; i < channels; i++) {
      const float centred = x[at + i] - mean[i];
      const float g = Side<relu>(dy[at + i], centred, scale[i], shift[i]);
      dx[at + i] = scale[i] * g + slope[i] * centred + offset[i];
    }
  }
}

FOR_EACH_CPU
void GradientPlain(const float* dy, const float* x, const Coefficients& k, int64_t begin, int64_t end,
                   int64_t channels, float* dx) {
  Gradient<false>(dy, x, k, begin, end, channels, dx);
}

FOR_EACH_CPU
void GradientRelu(const float* dy, const float* x, const Coefficients& k, int64_t begin, int64_t end,
                  int64_t channels, float* dx) {
  Gradient<true>(dy, x, k, begin, end, channels, dx);
}

}  // namespace
