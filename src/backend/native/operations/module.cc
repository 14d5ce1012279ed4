// A module of Node.js's. Loading it adds operations to TensorFlow; it exports graphs that run as a whole.

#include <node_api.h>

#include "activations.h"
#include "batch-norm.h"
#include "graph.h"

NAPI_MODULE_INIT() {
  static const bool registered = RegisterBatchNorm() && RegisterActivations();
  if (!registered) napi_throw_error(env, nullptr, "TensorFlow refuses operations of pod-dist");
  return ExportGraphs(env, exports);
}
