// Batch norm over several ranks for TensorFlow on a CPU: the passes over images between which ranks add up their sums.
//
// Images x, y and their gradients are rows [..., channels] of float32; gamma and beta [channels]; statistics and averages
// [2, channels]. With xhat = (x - mean) inverse, v = gamma xhat + beta and, where a ReLU follows, g = dy where v > 0 and
// else 0, without one g = dy:
//
//     PodDistChannelSums        x                                  -> sum x, sum x^2
//     PodDistNormalise          x, gamma, beta, (mean, inverse)     -> v, or max(0, v)
//     PodDistNormaliseSums      dy, x, gamma, beta, (mean, inverse) -> sum g, sum g xhat
//     PodDistNormaliseGradient  dy, x, gamma, beta, (mean, inverse), (average of g, of g xhat)
//                                                    -> gamma inverse (g - average - xhat average)
//
// Sums are float64, as float32 tensors of the same bytes, which is what the JavaScript side can read. Each pass reads and
// writes an image once. Values are added in float32 over a few rows, counted from the first one, so that nothing cancels,
// and those sums in float64. Rows are cut into as many consecutive ranges as there are threads, and the ranges' sums are
// added in order: a run is repeated bit for bit. v is the same expression, without contraction, in the last three: a ReLU's
// side is the same forward and backward.

#include <node_api.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "call.h"
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

template <bool relu>
inline float Side(float dy, float centred, float scale, float shift) {
  return !relu || centred * scale + shift > 0 ? dy : 0;
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

// Images x, the input at `index`.
struct Images {
  std::vector<int64_t> shape;
  int64_t rows = 0;
  int64_t channels = 0;
  const float* x = nullptr;

  Images(Call& call, int index) {
    const TF_Tensor* tensor = call.Input(index);
    if (!call.ok()) return;
    shape = ShapeOf(tensor);
    channels = shape.empty() ? 0 : shape.back();
    if (channels == 0) {
      call.Fail("images have no channels");
      return;
    }
    rows = TF_TensorElementCount(tensor) / channels;
    x = Values(tensor);
  }
};

// From gamma, beta and statistics, the inputs from `first` on, and the averages after them where there are any.
Coefficients CoefficientsOf(Call& call, int first, int64_t channels, bool averaged) {
  Coefficients k;
  const TF_Tensor *gammas = call.Input(first), *betas = call.Input(first + 1), *statistics = call.Input(first + 2);
  const TF_Tensor* averages = averaged ? call.Input(first + 3) : nullptr;
  if (!call.ok()) return k;
  const bool fits = HasShape(gammas, {channels}) && HasShape(betas, {channels}) &&
                    HasShape(statistics, {2, channels}) && (!averages || HasShape(averages, {2, channels}));
  if (!fits) {
    call.Fail("gamma, beta, statistics or averages do not fit the images");
    return k;
  }
  const float *gamma = Values(gammas), *beta = Values(betas), *mean = Values(statistics);
  const float* inverse = mean + channels;
  k.mean.assign(mean, mean + channels);
  k.shift.assign(beta, beta + channels);
  for (int64_t c = 0; c < channels; c++) k.scale.push_back(gamma[c] * inverse[c]);
  if (!averages) return k;
  const float* average = Values(averages);
  for (int64_t c = 0; c < channels; c++) {
    k.slope.push_back(-k.scale[c] * inverse[c] * average[channels + c]);
    k.offset.push_back(-k.scale[c] * average[c]);
  }
  return k;
}

const float* GradientOf(Call& call, const Images& images) {
  const TF_Tensor* dy = call.Input(0);
  if (!call.ok()) return nullptr;
  if (!HasShape(dy, images.shape)) call.Fail("a gradient and its images differ in shape");
  return Values(dy);
}

void ComputeChannelSums(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Images images(call, 0);
  TF_Tensor* sums = call.Output({4 * images.channels});
  if (!call.ok()) return;
  SumRanges(images.rows, images.channels, TF_TensorData(sums), [&](int64_t begin, int64_t end, double* into) {
    AddSums(images.x, begin, end, images.channels, into);
  });
}

void ComputeNormalise(void* relu, TF_OpKernelContext* context) {
  Call call(context);
  const Images images(call, 0);
  const Coefficients k = CoefficientsOf(call, 1, images.channels, false);
  TF_Tensor* output = call.Output(images.shape);
  if (!call.ok()) return;
  float* y = static_cast<float*>(TF_TensorData(output));
  InRanges(images.rows, RangesFor(images.rows * images.channels), [&](int64_t, int64_t begin, int64_t end) {
    Normalise(images.x, k, *static_cast<bool*>(relu), begin, end, images.channels, y);
  });
}

void ComputeNormaliseSums(void* relu, TF_OpKernelContext* context) {
  Call call(context);
  const Images images(call, 1);
  const float* dy = GradientOf(call, images);
  const Coefficients k = CoefficientsOf(call, 2, images.channels, false);
  const TF_Tensor* statistics = call.Input(4);
  TF_Tensor* output = call.Output({4 * images.channels});
  if (!call.ok()) return;
  double* sums = static_cast<double*>(TF_TensorData(output));
  const auto add = *static_cast<bool*>(relu) ? AddGradientSumsRelu : AddGradientSumsPlain;
  SumRanges(images.rows, images.channels, sums, [&](int64_t begin, int64_t end, double* into) {
    add(dy, images.x, k, begin, end, images.channels, into);
  });
  const float* inverse = Values(statistics) + images.channels;
  for (int64_t c = 0; c < images.channels; c++) sums[images.channels + c] *= inverse[c];
}

void ComputeNormaliseGradient(void* relu, TF_OpKernelContext* context) {
  Call call(context);
  const Images images(call, 1);
  const float* dy = GradientOf(call, images);
  const Coefficients k = CoefficientsOf(call, 2, images.channels, true);
  TF_Tensor* output = call.Output(images.shape);
  if (!call.ok()) return;
  float* dx = static_cast<float*>(TF_TensorData(output));
  const auto gradient = *static_cast<bool*>(relu) ? GradientRelu : GradientPlain;
  InRanges(images.rows, RangesFor(images.rows * images.channels), [&](int64_t, int64_t begin, int64_t end) {
    gradient(dy, images.x, k, begin, end, images.channels, dx);
  });
}

bool RegisterAll() {
  const std::vector<const char*> normalised = {"x: float", "gamma: float", "beta: float", "statistics: float"};
  std::vector<const char*> sums = normalised;
  sums.insert(sums.begin(), "dy: float");
  std::vector<const char*> gradient = sums;
  gradient.push_back("averages: float");
  return Register("PodDistChannelSums", {"x: float"}, false, ComputeChannelSums) &&
         Register("PodDistNormalise", normalised, true, ComputeNormalise) &&
         Register("PodDistNormaliseSums", sums, true, ComputeNormaliseSums) &&
         Register("PodDistNormaliseGradient", gradient, true, ComputeNormaliseGradient);
}

}  // namespace

// A module of Node.js's, which exports nothing: loading it registers the operations, once a process.
NAPI_MODULE_INIT() {
  static const bool registered = RegisterAll();
  if (!registered) napi_throw_error(env, nullptr, "TensorFlow refuses the operations for batch norm");
  return exports;
}
