// Graphs of TensorFlow's for JavaScript.

#pragma once

#include <node_api.h>

// Adds `createGraph`, `prepare` and `execute` to a module's exports, and returns these.
napi_value ExportGraphs(napi_env env, napi_value exports);
