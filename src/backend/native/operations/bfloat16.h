// The types that images may be of: float32, and bfloat16, which is the upper half of a float32.

#pragma once

#include <cstdint>

#include "tensorflow/c/c_api.h"

struct Bfloat16 {
  uint16_t bits;
};

template <typename T>
constexpr TF_DataType kTypeOf = TF_FLOAT;
template <>
inline constexpr TF_DataType kTypeOf<Bfloat16> = TF_BFLOAT16;
