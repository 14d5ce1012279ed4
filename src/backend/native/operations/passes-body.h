// The passes over rows [begin, end) of images [rows, channels], of float32 or bfloat16. What is computed of them is float32
// in either case, in blocks that stay in registers and in the cache. `passes.cc` includes this once for each kind of
// processor, within a namespace.

constexpr int64_t kBlock = 16;
constexpr int64_t kRowsInFloat = 16;
constexpr int64_t kRowsAtOnce = 512;

// A block of values; the compiler takes the widest registers that the processor has for it.
using Floats = float __attribute__((vector_size(4 * kBlock)));
using Bits = uint32_t __attribute__((vector_size(4 * kBlock)));
using Halves = uint16_t __attribute__((vector_size(2 * kBlock)));

// Copies `n` values of a block, in pieces of sizes that the compiler knows.
template <typename T>
INLINE void CopySome(const T* from, int64_t n, T* to) {
  int64_t at = 0;
  for (int64_t size : {8, 4, 2, 1}) {
    if ((n & size) == 0) continue;
    std::memcpy(to + at, from + at, size * sizeof(T));
    at += size;
  }
}

// The `n` values from `from` on, and zeros.
INLINE Floats Load(const float* from, int64_t n) {
  Floats values = {};
  if (n == kBlock) {
    std::memcpy(&values, from, sizeof values);
    return values;
  }
#ifdef __AVX512BW__
  return (Floats)_mm512_maskz_loadu_ps((1 << n) - 1, from);
#else
  CopySome(from, n, (float*)&values);
  return values;
#endif
}

INLINE Floats Load(const Bfloat16* from, int64_t n) {
  Halves halves = {};
  if (n == kBlock) {
    std::memcpy(&halves, from, sizeof halves);
  } else {
#ifdef __AVX512BW__
    halves = (Halves)_mm256_maskz_loadu_epi16((1 << n) - 1, from);
#else
    CopySome((const uint16_t*)from, n, (uint16_t*)&halves);
#endif
  }
  return (Floats)(__builtin_convertvector(halves, Bits) << 16);
}

INLINE void Store(const Floats& values, int64_t n, float* to) {
  if (n == kBlock) {
    std::memcpy(to, &values, sizeof values);
    return;
  }
#ifdef __AVX512BW__
  _mm512_mask_storeu_ps(to, (1 << n) - 1, (__m512)values);
#else
  CopySome((const float*)&values, n, to);
#endif
}

// To the nearest, of two as near to the even one. A NaN stays one. The processor's own instruction takes a number that is
// too small to be normal as 0.
INLINE void Store(const Floats& values, int64_t n, Bfloat16* to) {
#ifdef __AVX512BF16__
  const auto halves = _mm512_cvtneps_pbh((__m512)values);
#else
  const Bits bits = (Bits)values;
  const Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Halves halves = __builtin_convertvector(values == values ? rounded : Bits{} + 0x7fc0, Halves);
#endif
  if (n == kBlock) {
    std::memcpy(to, &halves, sizeof halves);
    return;
  }
#ifdef __AVX512BW__
  _mm256_mask_storeu_epi16(to, (1 << n) - 1, (__m256i)halves);
#else
  CopySome((const uint16_t*)&halves, n, (uint16_t*)to);
#endif
}

// Adds up two numbers of each value of rows [begin, end): channels in blocks that stay in registers, rows in tiles that
// stay in the cache between blocks. block(c, n) gives what adds the numbers of a row, channels [c, c + n), to two blocks.
template <typename BlockOf>
INLINE void AddRows(int64_t begin, int64_t end, int64_t channels, double* sums, const BlockOf& block_of) {
  for (int64_t tile = begin; tile < end; tile += kRowsAtOnce) {
    const int64_t tile_end = std::min(tile + kRowsAtOnce, end);
    for (int64_t c = 0; c < channels; c += kBlock) {
      const int64_t n = std::min(kBlock, channels - c);
      const auto add = block_of(c, n);
      double first[kBlock] = {}, second[kBlock] = {};
      for (int64_t row = tile; row < tile_end; row += kRowsInFloat) {
        const int64_t last = std::min(row + kRowsInFloat, tile_end);
        Floats few_first = {}, few_second = {};
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

// Writes rows [begin, end): block(at, c, n) gives the values of a row's channels [c, c + n), which begin at `at`.
template <typename T, typename Block>
INLINE void WriteRows(int64_t begin, int64_t end, int64_t channels, T* to, const Block& block) {
  for (int64_t row = begin; row < end; row++) {
    const int64_t at = row * channels;
    int64_t c = 0;
    for (; c + kBlock <= channels; c += kBlock) Store(block(at + c, c, kBlock), kBlock, to + at + c);
    if (c < channels) Store(block(at + c, c, channels - c), channels - c, to + at + c);
  }
}

// Sums of x - p and (x - p)^2, p being the range's first row.
template <typename T>
void AddCentredSums(const T* x, int64_t begin, int64_t end, int64_t channels, double* sums) {
  AddRows(begin, end, channels, sums, [&](int64_t c, int64_t n) {
    const Floats pivot = Load(x + begin * channels + c, n);
    return [=](int64_t at, int64_t n, Floats& first, Floats& second) INLINED {
      const Floats value = Load(x + at, n) - pivot;
      first += value;
      second += value * value;
    };
  });
}

// Adds sums of x and x^2 to sums [2, channels].
template <typename T>
void AddSums(const T* x, int64_t begin, int64_t end, int64_t channels, double* sums) {
  if (begin == end) return;
  std::vector<double> centred(2 * channels, 0.0);
  AddCentredSums(x, begin, end, channels, centred.data());
  const double rows = static_cast<double>(end - begin);
  for (int64_t c = 0; c < channels; c++) {
    const double pivot = Load(x + begin * channels + c, 1)[0], first = centred[c];
    sums[c] += first + rows * pivot;
    sums[channels + c] += centred[channels + c] + 2 * pivot * first + rows * pivot * pivot;
  }
}

INLINE Floats Open(const Floats& dy, const Floats& value) { return value > 0 ? dy : Floats{}; }

template <bool relu>
INLINE Floats Side(const Floats& dy, const Floats& centred, const Floats& scale, const Floats& shift) {
  return relu ? Open(dy, centred * scale + shift) : dy;
}

// Adds sums of g and g (x - mean) to sums [2, channels].
template <bool relu, typename T>
void AddGradientSums(const T* dy, const T* x, const Coefficients& k, int64_t begin, int64_t end,
                                  int64_t channels, double* sums) {
  const float *means = k.mean.data(), *scales = k.scale.data(), *shifts = k.shift.data();
  AddRows(begin, end, channels, sums, [&](int64_t c, int64_t n) {
    const Floats mean = Load(means + c, n), scale = Load(scales + c, n), shift = Load(shifts + c, n);
    return [=](int64_t at, int64_t n, Floats& first, Floats& second) INLINED {
      const Floats centred = Load(x + at, n) - mean;
      const Floats g = Side<relu>(Load(dy + at, n), centred, scale, shift);
      first += g;
      second += g * centred;
    };
  });
}

// Sums of g and g (x - mean), g being dy where y is positive; g is written as well.
template <typename T>
void AddMaskedSums(const T* dy, const T* x, const T* y, T* g, const Coefficients& k, int64_t begin,
                                int64_t end, int64_t channels, double* sums) {
  const float* means = k.mean.data();
  AddRows(begin, end, channels, sums, [&](int64_t c, int64_t n) {
    const Floats mean = Load(means + c, n);
    return [=](int64_t at, int64_t n, Floats& first, Floats& second) INLINED {
      const Floats masked = Open(Load(dy + at, n), Load(y + at, n));
      first += masked;
      second += masked * (Load(x + at, n) - mean);
      Store(masked, n, g + at);
    };
  });
}

// max(floor, value). A NaN stays one: it must reach the loss.
INLINE Floats AtLeast(const Floats& floor, const Floats& value) { return value < floor ? floor : value; }

INLINE Floats FloorOf(bool relu) { return Floats{} + (relu ? 0 : -__builtin_huge_valf()); }

template <typename T>
void Normalise(const T* x, const Coefficients& k, bool relu, int64_t begin, int64_t end,
                            int64_t channels, T* y) {
  const Floats floor = FloorOf(relu);
  const float *mean = k.mean.data(), *scale = k.scale.data(), *shift = k.shift.data();
  WriteRows(begin, end, channels, y, [=](int64_t at, int64_t c, int64_t n) INLINED {
    return AtLeast(floor, (Load(x + at, n) - Load(mean + c, n)) * Load(scale + c, n) + Load(shift + c, n));
  });
}

template <typename T>
void NormaliseAdd(const T* x, const T* residual, const Coefficients& k, bool relu, int64_t begin,
                               int64_t end, int64_t channels, T* y) {
  const Floats floor = FloorOf(relu);
  const float *mean = k.mean.data(), *scale = k.scale.data(), *shift = k.shift.data();
  WriteRows(begin, end, channels, y, [=](int64_t at, int64_t c, int64_t n) INLINED {
    const Floats value = (Load(x + at, n) - Load(mean + c, n)) * Load(scale + c, n) + Load(shift + c, n);
    return AtLeast(floor, value + Load(residual + at, n));
  });
}

template <bool relu, typename T>
void Gradient(const T* dy, const T* x, const Coefficients& k, int64_t begin, int64_t end,
                           int64_t channels, T* dx) {
  const float *means = k.mean.data(), *scales = k.scale.data(), *shifts = k.shift.data();
  const float *slopes = k.slope.data(), *offsets = k.offset.data();
  WriteRows(begin, end, channels, dx, [=](int64_t at, int64_t c, int64_t n) INLINED {
    const Floats centred = Load(x + at, n) - Load(means + c, n), scale = Load(scales + c, n);
    const Floats g = Side<relu>(Load(dy + at, n), centred, scale, Load(shifts + c, n));
    return scale * g + Load(slopes + c, n) * centred + Load(offsets + c, n);
  });
}

// y = x + bias, or max(0, x + bias).
template <typename T>
void AddBias(const T* x, const float* bias, bool relu, int64_t begin, int64_t end, int64_t channels, T* y) {
  const Floats floor = FloorOf(relu);
  WriteRows(begin, end, channels, y, [=](int64_t at, int64_t c, int64_t n) INLINED {
    return AtLeast(floor, Load(x + at, n) + Load(bias + c, n));
  });
}

// Adds sums of g, which is dy where y is positive, to sums [2, channels], and writes g; of dy where there is no y.
template <typename T>
void AddBiasSums(const T* dy, const T* y, T* g, int64_t begin, int64_t end, int64_t channels, double* sums) {
  if (y)
    AddRows(begin, end, channels, sums, [&](int64_t, int64_t) {
      return [=](int64_t at, int64_t n, Floats& first, Floats&) INLINED {
        const Floats open = Open(Load(dy + at, n), Load(y + at, n));
        first += open;
        Store(open, n, g + at);
      };
    });
  else
    AddRows(begin, end, channels, sums, [&](int64_t, int64_t) {
      return [=](int64_t at, int64_t n, Floats& first, Floats&) INLINED { first += Load(dy + at, n); };
    });
}

// a + b of values [begin, end).
template <typename T>
void Add(const T* a, const T* b, int64_t begin, int64_t end, T* sum) {
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t n = std::min(kBlock, end - at);
    if (n == kBlock)
      Store(Load(a + at, kBlock) + Load(b + at, kBlock), kBlock, sum + at);
    else
      Store(Load(a + at, n) + Load(b + at, n), n, sum + at);
  }
}

template <typename T>
constexpr Passes<T> kPasses = {
    AddSums<T>,       Normalise<T>,    NormaliseAdd<T>, {AddGradientSums<false, T>, AddGradientSums<true, T>},
    AddMaskedSums<T>, {Gradient<false, T>, Gradient<true, T>}, AddBias<T>, AddBiasSums<T>, Add<T>,
};
