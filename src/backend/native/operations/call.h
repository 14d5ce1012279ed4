// TensorFlow's C interface for operations: one call's inputs and outputs, and registration.

#pragma once

#include <cstdint>
#include <vector>

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

  TF_Tensor* Output(const std::vector<int64_t>& shape) {
    int64_t elements = 1;
    for (int64_t size : shape) elements *= size;
    TF_Tensor* tensor = ok() ? TF_AllocateOutput(context_, 0, TF_FLOAT, shape.data(), static_cast<int>(shape.size()),
                                                 elements * sizeof(float), status_)
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

inline const float* Values(const TF_Tensor* tensor) { return static_cast<const float*>(TF_TensorData(tensor)); }

inline bool HasShape(const TF_Tensor* tensor, const std::vector<int64_t>& shape) { return ShapeOf(tensor) == shape; }

inline void* CreateWithRelu(TF_OpKernelConstruction* construction) {
  TF_Status* status = TF_NewStatus();
  unsigned char relu = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, "relu", &relu, status);
  if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  TF_DeleteStatus(status);
  return new bool(relu != 0);
}

inline void* CreateNothing(TF_OpKernelConstruction*) { return nullptr; }

inline void DeleteRelu(void* relu) { delete static_cast<bool*>(relu); }

// Adds an operation with one output, and with an attribute `relu` whose value `compute` is given.
inline bool Register(const char* name, const std::vector<const char*>& inputs, bool relu,
              void (*compute)(void*, TF_OpKernelContext*)) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  TF_OpDefinitionBuilderAddOutput(definition, "output: float");
  if (relu) TF_OpDefinitionBuilderAddAttr(definition, "relu: bool");
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* kernel =
        TF_NewKernelBuilder(name, "CPU", relu ? CreateWithRelu : CreateNothing, compute, DeleteRelu);
    TF_RegisterKernelBuilder(name, kernel, status);
  }
  const bool ok = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return ok;
}
