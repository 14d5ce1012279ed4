// TensorFlow's C interface for operations: one call's inputs and outputs, and registration.

#pragma once

#include <cstdint>
#include <vector>

#include "bfloat16.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"

// Inputs and outputs of one call; the first failure is the call's.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}

  ~Call() {
    for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    if (!ok()) TF_OpKernelContext_Failure(context_, status_);
    TF_DeleteStatus(status_);
  }

  bool ok() const { return TF_GetCode(status_) == TF_OK; }

  void Fail(const char* message) { TF_SetStatus(status_, TF_INVALID_ARGUMENT, message); }

  TF_Tensor* Input(int index) {
    TF_Tensor* tensor = nullptr;
    if (ok()) TF_GetInput(context_, index, &tensor, status_);
    return Keep(tensor);
  }

  // Whether there is an input at `index`, which an operation may do without.
  bool Has(int index) const { return index < TF_NumInputs(context_); }

  template <typename T>
  TF_Tensor* Output(int index, const std::vector<int64_t>& shape) {
    int64_t elements = 1;
    for (int64_t size : shape) elements *= size;
    const int dimensions = static_cast<int>(shape.size());
    TF_Tensor* tensor = ok() ? TF_AllocateOutput(context_, index, kTypeOf<T>, shape.data(), dimensions,
                                                 elements * sizeof(T), status_)
                             : nullptr;
    return Keep(tensor);
  }

 private:
  TF_Tensor* Keep(TF_Tensor* tensor) {
    if (tensor) tensors_.push_back(tensor);
    return tensor;
  }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> tensors_;
};

inline std::vector<int64_t> ShapeOf(const TF_Tensor* tensor) {
  std::vector<int64_t> shape(TF_NumDims(tensor));
  for (size_t i = 0; i < shape.size(); i++) shape[i] = TF_Dim(tensor, static_cast<int>(i));
  return shape;
}

template <typename T>
const T* Values(const TF_Tensor* tensor) {
  return static_cast<const T*>(TF_TensorData(tensor));
}

inline bool HasShape(const TF_Tensor* tensor, const std::vector<int64_t>& shape) { return ShapeOf(tensor) == shape; }

template <typename T>
T* MutableValues(TF_Tensor* tensor) {
  return static_cast<T*>(TF_TensorData(tensor));
}

// What an operation's attributes say.
struct Settings {
  bool relu = false;
  float epsilon = 0;
};

// An operation as TensorFlow's definitions write it: "x: float", "relu: bool".
struct Definition {
  const char* name;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
  std::vector<const char*> attributes;
};

template <bool relu, bool epsilon>
void* CreateSettings(TF_OpKernelConstruction* construction) {
  TF_Status* status = TF_NewStatus();
  auto* settings = new Settings;
  unsigned char flag = 0;
  if (relu) TF_OpKernelConstruction_GetAttrBool(construction, "relu", &flag, status);
  settings->relu = flag != 0;
  if (epsilon && TF_GetCode(status) == TF_OK)
    TF_OpKernelConstruction_GetAttrFloat(construction, "epsilon", &settings->epsilon, status);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return settings;
}

inline void DeleteSettings(void* settings) { delete static_cast<Settings*>(settings); }

using Compute = void (*)(void*, TF_OpKernelContext*);

// What computes an operation: for its type T, where it has one.
struct Kernel {
  Compute compute;
  bool is_of_type = false;
  TF_DataType type = TF_FLOAT;
};

// Attribute of an operation on images of either type; float32 where nothing is said.
constexpr const char* kImageType = "T: {float, bfloat16} = DT_FLOAT";

inline std::vector<Kernel> OfEither(Compute of_float, Compute of_bfloat16) {
  return {{of_float, true, TF_FLOAT}, {of_bfloat16, true, TF_BFLOAT16}};
}

// Adds an operation for the CPU; its kernels are given the settings that `create` has read from its attributes.
inline bool Register(const Definition& definition, void* (*create)(TF_OpKernelConstruction*),
                     const std::vector<Kernel>& kernels) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* builder = TF_NewOpDefinitionBuilder(definition.name);
  for (const char* input : definition.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
  for (const char* output : definition.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
  for (const char* attribute : definition.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, TF_ShapeInferenceContextSetUnknownShape);
  TF_RegisterOpDefinition(builder, status);
  for (const auto& [compute, is_of_type, type] : kernels) {
    if (TF_GetCode(status) != TF_OK) break;
    TF_KernelBuilder* kernel = TF_NewKernelBuilder(definition.name, "CPU", create, compute, DeleteSettings);
    if (is_of_type) TF_KernelBuilder_TypeConstraint(kernel, "T", type, status);
    if (TF_GetCode(status) == TF_OK) TF_RegisterKernelBuilder(definition.name, kernel, status);
  }
  const bool ok = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return ok;
}
