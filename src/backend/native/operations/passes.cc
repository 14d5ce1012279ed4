// The passes, compiled for several kinds of processor. Each comes to the same bits, but for what `Store` says.

#include "passes.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SEVERAL_PROCESSORS
#include <immintrin.h>
#endif

#define INLINED __attribute__((always_inline))
#define INLINE inline INLINED

namespace {

namespace basic {
#include "passes-body.h"
}

#ifdef SEVERAL_PROCESSORS
#pragma GCC push_options
#pragma GCC target("avx2")
namespace avx2 {
#include "passes-body.h"
}
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
namespace avx512 {
#include "passes-body.h"
}
#pragma GCC target("avx512bf16")
namespace avx512bf16 {
#include "passes-body.h"
}
#pragma GCC pop_options
#endif

template <typename T>
const Passes<T>& Choose() {
#ifdef SEVERAL_PROCESSORS
  if (__builtin_cpu_supports("avx512bf16")) return avx512bf16::kPasses<T>;
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return avx512::kPasses<T>;
  if (__builtin_cpu_supports("avx2")) return avx2::kPasses<T>;
#endif
  return basic::kPasses<T>;
}

}  // namespace

template <>
const Passes<float>& PassesHere<float>() {
  static const Passes<float>& passes = Choose<float>();
  return passes;
}

template <>
const Passes<Bfloat16>& PassesHere<Bfloat16>() {
  static const Passes<Bfloat16>& passes = Choose<Bfloat16>();
  return passes;
}
