// Passes over rows of values [rows, channels] in threads.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

constexpr int64_t kLeastElements = 1 << 17;

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
