// Passes over rows of values [rows, channels]: in threads, and in blocks that stay in registers and in the cache.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

// Compiles a function for several processors; the one that runs it chooses when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define FOR_EACH_CPU
#endif

constexpr int64_t kBlock = 16;
constexpr int64_t kRowsInFloat = 16;
constexpr int64_t kRowsAtOnce = 512;
constexpr int64_t kLeastElements = 1 << 17;

// Adds up two numbers of each value of rows [begin, end): channels in blocks that stay in registers, rows in tiles that
// stay in the cache between blocks. block(c) gives what adds the numbers of a row, channels [c, c + n), to two arrays.
template <typename BlockOf>
inline void AddRows(int64_t begin, int64_t end, int64_t channels, double* sums, const BlockOf& block_of) {
  for (int64_t tile = begin; tile < end; tile += kRowsAtOnce) {
    const int64_t tile_end = std::min(tile + kRowsAtOnce, end);
    for (int64_t c = 0; c < channels; c += kBlock) {
      const int64_t n = std::min(kBlock, channels - c);
      const auto add = block_of(c, n);
      double first[kBlock] = {}, second[kBlock] = {};
      for (int64_t row = tile; row < tile_end; row += kRowsInFloat) {
        const int64_t last = std::min(row + kRowsInFloat, tile_end);
        float few_first[kBlock] = {}, few_second[kBlock] = {};
        if (n == kBlock) {
          for (int64_t r = row; r < last; r++) add(r * channels + c, kBlock, few_first, few_second);
        } else {
          for (int64_t r = row; r < last; r++) add(r * channels + c, n, few_first, few_second);
        }
        for (int64_t i = 0; i < kBlock; i++) {
          first[i] += few_first[i];
          second[i] += few_second[i];
        }
      }
      for (int64_t i = 0; i < n; i++) {
        sums[c + i] += first[i];
        sums[channels + c + i] += second[i];
      }
    }
  }
}

// Calls work(range, begin, end) for consecutive ranges of rows, in threads where there is enough to do.
template <typename Work>
void InRanges(int64_t rows, int64_t ranges, const Work& work) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(static_cast<int>(ranges)) schedule(static) if (ranges > 1)
#endif
  for (int64_t range = 0; range < ranges; range++)
    work(range, rows * range / ranges, rows * (range + 1) / ranges);
}

// Ranges of so many values that are worth a thread each.
inline int64_t RangesFor(int64_t elements) {
#ifdef _OPENMP
  const int64_t threads = omp_get_max_threads();
#else
  const int64_t threads = 1;
#endif
  return std::max<int64_t>(1, std::min(threads, elements / kLeastElements));
}

// Sums [2, channels] of all rows: add(begin, end, sums) adds those of a range.
template <typename Add>
void SumRanges(int64_t rows, int64_t channels, void* result, const Add& add) {
  const int64_t ranges = RangesFor(rows * channels);
  std::vector<double> sums(ranges * 2 * channels, 0.0);
  InRanges(rows, ranges, [&](int64_t range, int64_t begin, int64_t end) {
    add(begin, end, sums.data() + range * 2 * channels);
  });
  for (int64_t range = 1; range < ranges; range++)
    for (int64_t i = 0; i < 2 * channels; i++) sums[i] += sums[range * 2 * channels + i];
  std::memcpy(result, sums.data(), 2 * channels * sizeof(double));
}
