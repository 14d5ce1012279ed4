// Batch norm in training for TensorFlow on a CPU: whole, and in the halves between which ranks add up their sums.
//
// Images x, y, r and their gradients are rows [..., channels] of T, float32 or bfloat16, and all of one type; everything
// else is float32: gamma and beta [channels], statistics and averages [2, channels]. With xhat = (x - mean) inverse and v = gamma xhat + beta, plus r where a residual is given:
// y is v, or max(0, v) where a ReLU follows, and g the gradient behind it, dy where v > 0 and else 0, or dy.
//
//     PodDistChannelSums        x                                        -> sum x, sum x^2
//     PodDistNormalise          x, gamma, beta, (mean, inverse), [r]     -> y
//     PodDistNormaliseSums      dy, x, gamma, beta, (mean, inverse), [y] -> (sum g, sum g xhat), [g]
//     PodDistNormaliseGradient  dy, x, gamma, beta, (mean, inverse), (average of g, of g xhat)
//                                                      -> gamma inverse (g - average - xhat average)
//     PodDistBatchNorm          x, gamma, beta, [r]     -> y, (mean, inverse), (mean, unbiased variance)
//     PodDistBatchNormGradient  dy, x, gamma, beta, (mean, inverse), [y] -> dx, dgamma, dbeta, [g]
//
// Behind a residual and a ReLU the gradients are given y, whose sign tells ReLU's side, and give g, which is what goes on
// to the residual; elsewhere v is the same expression forward and backward, without contraction, and so is the side.
//
// Sums are float64, as float32 tensors of the same bytes, which is what the JavaScript side can read. Values are added in
// float32 over a few rows, counted from the first one, so that nothing cancels, and those sums in float64. Rows are cut
// into as many consecutive ranges as there are threads, and the ranges' sums are added in order: a run is repeated bit for
// bit. One rank gets the same bits from the whole passes as from the halves.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "batch-norm.h"
#include "call.h"
#include "passes.h"
#include "rows.h"

namespace {

// Images x, the input at `index`.
template <typename T>
struct Images {
  std::vector<int64_t> shape;
  int64_t rows = 0;
  int64_t channels = 0;
  const T* x = nullptr;

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
    x = Values<T>(tensor);
  }

  // Values of the input at `index`, of the same shape.
  const T* Like(Call& call, int index) const {
    const TF_Tensor* tensor = call.Input(index);
    if (!call.ok()) return nullptr;
    if (HasShape(tensor, shape)) return Values<T>(tensor);
    call.Fail("a gradient or residual and its images differ in shape");
    return nullptr;
  }

  const T* LikeIfGiven(Call& call, int index) const { return call.Has(index) ? Like(call, index) : nullptr; }

  // Calls work(begin, end) for ranges of rows, in threads.
  template <typename Work>
  void InThreads(const Work& work) const {
    InRanges(rows, RangesFor(rows * channels), [&](int64_t, int64_t begin, int64_t end) { work(begin, end); });
  }
};

// [count, channels] values of the input at `index`; [channels] where count is 1.
const float* PerChannel(Call& call, int index, int64_t count, int64_t channels) {
  const TF_Tensor* tensor = call.Input(index);
  if (!call.ok()) return nullptr;
  const bool fits = count == 1 ? HasShape(tensor, {channels}) : HasShape(tensor, {count, channels});
  if (!fits) call.Fail("gamma, beta, statistics or averages do not fit the images");
  return Values<float>(tensor);
}

Coefficients CoefficientsOf(const float* gamma, const float* beta, const float* statistics, int64_t channels) {
  const float* inverse = statistics + channels;
  Coefficients k;
  k.mean.assign(statistics, statistics + channels);
  k.shift.assign(beta, beta + channels);
  for (int64_t c = 0; c < channels; c++) k.scale.push_back(gamma[c] * inverse[c]);
  return k;
}

// From gamma, beta and statistics, the inputs from `first` on.
Coefficients CoefficientsOf(Call& call, int first, int64_t channels) {
  const float* gamma = PerChannel(call, first, 1, channels);
  const float* beta = PerChannel(call, first + 1, 1, channels);
  const float* statistics = PerChannel(call, first + 2, 2, channels);
  return call.ok() ? CoefficientsOf(gamma, beta, statistics, channels) : Coefficients();
}

// What turns g into dx, from the averages of g and g xhat.
void AddAverages(Coefficients& k, const float* inverse, const float* averages, int64_t channels) {
  for (int64_t c = 0; c < channels; c++) {
    k.slope.push_back(-k.scale[c] * inverse[c] * averages[channels + c]);
    k.offset.push_back(-k.scale[c] * averages[c]);
  }
}

template <typename T>
void SumImages(const Images<T>& images, void* sums) {
  SumRanges(images.rows, images.channels, sums, [&](int64_t begin, int64_t end, double* into) {
    PassesHere<T>().add_sums(images.x, begin, end, images.channels, into);
  });
}

template <typename T>
void NormaliseImages(const Images<T>& images, const Coefficients& k, bool relu, const T* residual, T* y) {
  const Passes<T>& passes = PassesHere<T>();
  images.InThreads([&](int64_t begin, int64_t end) {
    if (residual)
      passes.normalise_add(images.x, residual, k, relu, begin, end, images.channels, y);
    else
      passes.normalise(images.x, k, relu, begin, end, images.channels, y);
  });
}

// Sums of g and g xhat; writes g where y is given.
template <typename T>
void SumGradients(const Images<T>& images, const T* dy, const Coefficients& k, const float* inverse, bool relu,
                  const T* y, T* g, double* sums) {
  const int64_t channels = images.channels;
  const Passes<T>& passes = PassesHere<T>();
  SumRanges(images.rows, channels, sums, [&](int64_t begin, int64_t end, double* into) {
    if (y)
      passes.add_masked_sums(dy, images.x, y, g, k, begin, end, channels, into);
    else
      passes.add_gradient_sums[relu](dy, images.x, k, begin, end, channels, into);
  });
  for (int64_t c = 0; c < channels; c++) sums[channels + c] *= inverse[c];
}

template <typename T>
void GradientOfImages(const Images<T>& images, const T* dy, const Coefficients& k, bool relu, T* dx) {
  const auto gradient = PassesHere<T>().gradient[relu];
  images.InThreads(
      [&](int64_t begin, int64_t end) { gradient(dy, images.x, k, begin, end, images.channels, dx); });
}

template <typename T>
void ComputeChannelSums(void*, TF_OpKernelContext* context) {
  Call call(context);
  const Images<T> images(call, 0);
  TF_Tensor* sums = call.Output<float>(0, {4 * images.channels});
  if (call.ok()) SumImages(images, TF_TensorData(sums));
}

template <typename T>
void ComputeNormalise(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const Images<T> images(call, 0);
  const Coefficients k = CoefficientsOf(call, 1, images.channels);
  const T* residual = images.LikeIfGiven(call, 4);
  TF_Tensor* y = call.Output<T>(0, images.shape);
  if (call.ok()) NormaliseImages(images, k, static_cast<Settings*>(settings)->relu, residual, MutableValues<T>(y));
}

template <typename T>
void ComputeNormaliseSums(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const Images<T> images(call, 1);
  const T* dy = images.Like(call, 0);
  const Coefficients k = CoefficientsOf(call, 2, images.channels);
  const float* statistics = PerChannel(call, 4, 2, images.channels);
  const T* y = images.LikeIfGiven(call, 5);
  TF_Tensor* sums = call.Output<float>(0, {4 * images.channels});
  TF_Tensor* g = y ? call.Output<T>(1, images.shape) : nullptr;
  if (!call.ok()) return;
  SumGradients(images, dy, k, statistics + images.channels, static_cast<Settings*>(settings)->relu, y,
               g ? MutableValues<T>(g) : nullptr, static_cast<double*>(TF_TensorData(sums)));
}

template <typename T>
void ComputeNormaliseGradient(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const Images<T> images(call, 1);
  const T* dy = images.Like(call, 0);
  Coefficients k = CoefficientsOf(call, 2, images.channels);
  const float* statistics = PerChannel(call, 4, 2, images.channels);
  const float* averages = PerChannel(call, 5, 2, images.channels);
  TF_Tensor* dx = call.Output<T>(0, images.shape);
  if (!call.ok()) return;
  AddAverages(k, statistics + images.channels, averages, images.channels);
  GradientOfImages(images, dy, k, static_cast<Settings*>(settings)->relu, MutableValues<T>(dx));
}

template <typename T>
void ComputeBatchNorm(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const Images<T> images(call, 0);
  const int64_t channels = images.channels;
  const float* gamma = PerChannel(call, 1, 1, channels);
  const float* beta = PerChannel(call, 2, 1, channels);
  const T* residual = images.LikeIfGiven(call, 3);
  TF_Tensor* y = call.Output<T>(0, images.shape);
  TF_Tensor* statistics = call.Output<float>(1, {2, channels});
  TF_Tensor* moments = call.Output<float>(2, {2 * channels});
  if (!call.ok()) return;
  std::vector<double> sums(2 * channels);
  SumImages(images, sums.data());
  const auto [relu, epsilon] = *static_cast<Settings*>(settings);
  const double count = static_cast<double>(images.rows), unbias = count / std::max(count - 1, 1.0);
  float *known = MutableValues<float>(statistics), *moment = MutableValues<float>(moments);
  for (int64_t c = 0; c < channels; c++) {
    const double mean = sums[c] / count;
    const double square = sums[channels + c] / count - mean * mean;
    const double variance = square < 0 ? 0 : square;
    known[c] = moment[c] = static_cast<float>(mean);
    known[channels + c] = static_cast<float>(1 / std::sqrt(variance + epsilon));
    moment[channels + c] = static_cast<float>(variance * unbias);
  }
  NormaliseImages(images, CoefficientsOf(gamma, beta, known, channels), relu, residual, MutableValues<T>(y));
}

template <typename T>
void ComputeBatchNormGradient(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const Images<T> images(call, 1);
  const int64_t channels = images.channels;
  const T* dy = images.Like(call, 0);
  Coefficients k = CoefficientsOf(call, 2, channels);
  const float* statistics = PerChannel(call, 4, 2, channels);
  const T* y = images.LikeIfGiven(call, 5);
  TF_Tensor* dx = call.Output<T>(0, images.shape);
  TF_Tensor *dgamma = call.Output<float>(1, {channels}), *dbeta = call.Output<float>(2, {channels});
  TF_Tensor* masked = y ? call.Output<T>(3, images.shape) : nullptr;
  if (!call.ok()) return;
  const bool relu = static_cast<Settings*>(settings)->relu;
  const float* inverse = statistics + channels;
  T* g = masked ? MutableValues<T>(masked) : nullptr;
  std::vector<double> sums(2 * channels);
  SumGradients(images, dy, k, inverse, relu, y, g, sums.data());
  std::vector<float> averages(2 * channels);
  for (int64_t i = 0; i < 2 * channels; i++) averages[i] = static_cast<float>(sums[i] / images.rows);
  for (int64_t c = 0; c < channels; c++) {
    MutableValues<float>(dbeta)[c] = static_cast<float>(sums[c]);
    MutableValues<float>(dgamma)[c] = static_cast<float>(sums[channels + c]);
  }
  AddAverages(k, inverse, averages.data(), channels);
  GradientOfImages(images, g ? g : dy, k, relu && !g, MutableValues<T>(dx));
}

}  // namespace

bool RegisterBatchNorm() {
  const char *x = "x: T", *dy = "dy: T", *gamma = "gamma: float", *beta = "beta: float";
  const char *statistics = "statistics: float", *residual = "residual: N * T", *y = "y: N * T";
  const char *images = "images: T", *sums = "sums: float", *g = "g: N * T";
  const char *relu = "relu: bool", *optional = "N: int >= 0", *epsilon = "epsilon: float";
  return Register({"PodDistChannelSums", {x}, {sums}, {kImageType}}, CreateSettings<false, false>,
                  OfEither(ComputeChannelSums<float>, ComputeChannelSums<Bfloat16>)) &&
         Register({"PodDistNormalise",
                   {x, gamma, beta, statistics, residual},
                   {images},
                   {relu, optional, kImageType}},
                  CreateSettings<true, false>, OfEither(ComputeNormalise<float>, ComputeNormalise<Bfloat16>)) &&
         Register({"PodDistNormaliseSums",
                   {dy, x, gamma, beta, statistics, y},
                   {sums, g},
                   {relu, optional, kImageType}},
                  CreateSettings<true, false>,
                  OfEither(ComputeNormaliseSums<float>, ComputeNormaliseSums<Bfloat16>)) &&
         Register({"PodDistNormaliseGradient",
                   {dy, x, gamma, beta, statistics, "averages: float"},
                   {images},
                   {relu, kImageType}},
                  CreateSettings<true, false>,
                  OfEither(ComputeNormaliseGradient<float>, ComputeNormaliseGradient<Bfloat16>)) &&
         Register({"PodDistBatchNorm",
                   {x, gamma, beta, residual},
                   {images, "statistics: float", "moments: float"},
                   {relu, epsilon, optional, kImageType}},
                  CreateSettings<true, true>, OfEither(ComputeBatchNorm<float>, ComputeBatchNorm<Bfloat16>)) &&
         Register({"PodDistBatchNormGradient",
                   {dy, x, gamma, beta, statistics, y},
                   {"dx: T", "dgamma: float", "dbeta: float", g},
                   {relu, optional, kImageType}},
                  CreateSettings<true, false>,
                  OfEither(ComputeBatchNormGradient<float>, ComputeBatchNormGradient<Bfloat16>));
}
