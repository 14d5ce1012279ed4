// What stands between convolutions in bfloat16 besides batch norm, on a CPU. TensorFlow's own operations of that type take
// longer than those of float32.
//
// Images x, y and their gradients are rows [..., channels] of bfloat16, bias and its gradient float32 [channels]. All is
// computed in float32 and rounded once; g is dy where y > 0, else 0, or dy without a ReLU.
//
//     PodDistAddBias          x, bias  -> x + bias, or max(0, x + bias)
//     PodDistAddBiasGradient  dy, [y]  -> sum g, [g]
//     PodDistAdd              a, b     -> a + b

#include <cstdint>
#include <vector>

#include "activations.h"
#include "call.h"
#include "passes.h"
#include "rows.h"

namespace {

int64_t ChannelsOf(Call& call, const std::vector<int64_t>& shape) {
  const int64_t channels = shape.empty() ? 0 : shape.back();
  if (channels == 0) call.Fail("images have no channels");
  return channels;
}

void ComputeAddBias(void* settings, TF_OpKernelContext* context) {
  Call call(context);
  const TF_Tensor *x = call.Input(0), *bias = call.Input(1);
  if (!call.ok()) return;
  const std::vector<int64_t> shape = ShapeOf(x);
  const int64_t channels = ChannelsOf(call, shape);
  if (call.ok() && !HasShape(bias, {channels})) call.Fail("the bias does not fit the images");
  TF_Tensor* y = call.Output<Bfloat16>(0, shape);
  if (!call.ok()) return;
  const int64_t elements = TF_TensorElementCount(x);
  const bool relu = static_cast<Settings*>(settings)->relu;
  InRanges(elements / channels, RangesFor(elements), [&](int64_t, int64_t begin, int64_t end) {
    PassesHere<Bfloat16>().add_bias(Values<Bfloat16>(x), Values<float>(bias), relu, begin, end, channels,
                                    MutableValues<Bfloat16>(y));
  });
}

void ComputeAddBiasGradient(void*, TF_OpKernelContext* context) {
  Call call(context);
  const bool is_open = !call.Has(1);
  const TF_Tensor *dy = call.Input(0), *y = is_open ? nullptr : call.Input(1);
  if (!call.ok()) return;
  const std::vector<int64_t> shape = ShapeOf(dy);
  const int64_t channels = ChannelsOf(call, shape);
  if (y && !HasShape(y, shape)) call.Fail("a gradient and its images differ in shape");
  TF_Tensor* dbias = call.Output<float>(0, {channels});
  TF_Tensor* g = y ? call.Output<Bfloat16>(1, shape) : nullptr;
  if (!call.ok()) return;
  std::vector<double> sums(2 * channels);
  const int64_t rows = TF_TensorElementCount(dy) / channels;
  SumRanges(rows, channels, sums.data(), [&](int64_t begin, int64_t end, double* into) {
    PassesHere<Bfloat16>().add_bias_sums(Values<Bfloat16>(dy), y ? Values<Bfloat16>(y) : nullptr,
                                         g ? MutableValues<Bfloat16>(g) : nullptr, begin, end, channels, into);
  });
  for (int64_t c = 0; c < channels; c++) MutableValues<float>(dbias)[c] = static_cast<float>(sums[c]);
}

void ComputeAdd(void*, TF_OpKernelContext* context) {
  Call call(context);
  const TF_Tensor *a = call.Input(0), *b = call.Input(1);
  if (!call.ok()) return;
  const std::vector<int64_t> shape = ShapeOf(a);
  if (!HasShape(b, shape)) call.Fail("two terms of a sum differ in shape");
  TF_Tensor* sum = call.Output<Bfloat16>(0, shape);
  if (!call.ok()) return;
  const int64_t elements = TF_TensorElementCount(a);
  InRanges(elements, RangesFor(elements), [&](int64_t, int64_t begin, int64_t end) {
    PassesHere<Bfloat16>().add(Values<Bfloat16>(a), Values<Bfloat16>(b), begin, end, MutableValues<Bfloat16>(sum));
  });
}

}  // namespace

bool RegisterActivations() {
  return Register({"PodDistAddBias", {"x: bfloat16", "bias: float"}, {"y: bfloat16"}, {"relu: bool"}},
                  CreateSettings<true, false>, {{ComputeAddBias}}) &&
         Register({"PodDistAddBiasGradient",
                   {"dy: bfloat16", "y: N * bfloat16"},
                   {"dbias: float", "g: N * bfloat16"},
                   {"N: int >= 0"}},
                  CreateSettings<false, false>, {{ComputeAddBiasGradient}}) &&
         Register({"PodDistAdd", {"a: bfloat16", "b: bfloat16"}, {"sum: bfloat16"}, {}},
                  CreateSettings<false, false>, {{ComputeAdd}});
}
