// Sums and maxima of several arrays, in pairs: (a + b) + (c + d). As src/collective/pairwise.ts does it, to the same bits.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// Compiles a function for several processors; the one that runs it chooses when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define FOR_EACH_CPU
#endif

// z[i] = x[i] (op) y[i]; z may be x or y.
using Combine = void (*)(void* z, const void* x, const void* y, size_t bytes);

FOR_EACH_CPU
static void AddFloat32(void* z, const void* x, const void* y, size_t bytes) {
  auto* target = static_cast<float*>(z);
  auto *a = static_cast<const float*>(x), *b = static_cast<const float*>(y);
#pragma GCC ivdep
  for (size_t i = 0; i < bytes / sizeof(float); i++) target[i] = a[i] + b[i];
}

FOR_EACH_CPU
static void AddFloat64(void* z, const void* x, const void* y, size_t bytes) {
  auto* target = static_cast<double*>(z);
  auto *a = static_cast<const double*>(x), *b = static_cast<const double*>(y);
#pragma GCC ivdep
  for (size_t i = 0; i < bytes / sizeof(double); i++) target[i] = a[i] + b[i];
}

// The larger number as WebAssembly has it: a NaN where either is one, and 0 above -0.
template <typename Number, typename Bits>
static inline Number Larger(Number a, Number b) {
  Bits x, y;
  std::memcpy(&x, &a, sizeof x);
  std::memcpy(&y, &b, sizeof y);
  x &= y;
  Number both;
  std::memcpy(&both, &x, sizeof both);
  const Number equal_or_nan = a == b ? both : a + b;
  return a > b ? a : (b > a ? b : equal_or_nan);
}

FOR_EACH_CPU
static void MaxFloat32(void* z, const void* x, const void* y, size_t bytes) {
  auto* target = static_cast<float*>(z);
  auto *a = static_cast<const float*>(x), *b = static_cast<const float*>(y);
#pragma GCC ivdep
  for (size_t i = 0; i < bytes / sizeof(float); i++) target[i] = Larger<float, uint32_t>(a[i], b[i]);
}

FOR_EACH_CPU
static void MaxFloat64(void* z, const void* x, const void* y, size_t bytes) {
  auto* target = static_cast<double*>(z);
  auto *a = static_cast<const double*>(x), *b = static_cast<const double*>(y);
#pragma GCC ivdep
  for (size_t i = 0; i < bytes / sizeof(double); i++) target[i] = Larger<double, uint64_t>(a[i], b[i]);
}

// Combines `count` arrays into `target` a block at a time, which stays in the processor's first cache.
class Pairs {
 public:
  explicit Pairs(Combine combine) : combine_(combine) {}

  void operator()(char* target, const char* const* terms, size_t count, size_t bytes) {
    for (size_t at = 0; at < bytes; at += kBlock) {
      const size_t size = bytes - at < kBlock ? bytes - at : kBlock;
      const size_t half = FirstHalf(count);
      const char* first = Sum(terms, half, at, size, 0);
      const char* second = Sum(terms + half, count - half, at, size, 1);
      combine_(target + at, first, second, size);
    }
  }

 private:
  static constexpr size_t kBlock = 4096;
  static constexpr size_t kDepth = 8;

  // Number of terms in the first of two sums: the largest power of two below `count`.
  static size_t FirstHalf(size_t count) {
    size_t half = 1;
    while (2 * half < count) half *= 2;
    return half;
  }

  // Where a sum of terms lies, from byte `at` on; those of several terms lie in place `slot`, and need the ones after it.
  const char* Sum(const char* const* terms, size_t count, size_t at, size_t size, size_t slot) {
    if (count == 1) return terms[0] + at;
    const size_t half = FirstHalf(count);
    const char* first = Sum(terms, half, at, size, slot);
    const char* second = Sum(terms + half, count - half, at, size, slot + 1);
    combine_(places_[slot], first, second, size);
    return places_[slot];
  }

  Combine combine_;
  alignas(64) char places_[kDepth][kBlock];
};
