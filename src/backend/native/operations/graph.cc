// Graphs of TensorFlow's that JavaScript builds once and runs as a whole.
//
//     createGraph(definition, config)      a GraphDef and a ConfigProto, as bytes    -> graph
//     prepare(graph, feeds, fetches, ends) one segment of a run                      -> segment
//     execute(segment, values, results)    feeds `values` in, and fills `results`
//     release(graph)                       frees its memory
//     trace(segment, values, results)      the same, and returns a RunMetadata, as bytes
//
// A feed is {name, type, shape, slot}, a fetch {name, slot}; a name is "node:output". Slot -1 stands for an array of
// JavaScript's, taken from `values` or `results` in order. Every other slot is a tensor that one segment of a graph
// leaves to a later one, without a copy; `ends` lists the slots that nobody reads after this segment.
//
// Arrays are copied, since TensorFlow wants tensors at multiples of 64 bytes and may keep them.

#include "graph.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tensorflow/c/c_api.h"

namespace {

struct Failure {
  std::string message;
};

void Check(napi_status status) {
  if (status != napi_ok) throw Failure{"a value of JavaScript is not what it should be"};
}

class Status {
 public:
  ~Status() { TF_DeleteStatus(status_); }
  operator TF_Status*() { return status_; }
  void Check() const {
    if (TF_GetCode(status_) != TF_OK) throw Failure{TF_Message(status_)};
  }

 private:
  TF_Status* status_ = TF_NewStatus();
};

struct DeleteTensor {
  void operator()(TF_Tensor* tensor) const { TF_DeleteTensor(tensor); }
};
using Tensor = std::unique_ptr<TF_Tensor, DeleteTensor>;

struct DeleteBuffer {
  void operator()(TF_Buffer* buffer) const { TF_DeleteBuffer(buffer); }
};
using Buffer = std::unique_ptr<TF_Buffer, DeleteBuffer>;

struct Graph {
  TF_Graph* graph = TF_NewGraph();
  TF_Session* session = nullptr;
  std::vector<Tensor> slots;

  Graph() = default;
  Graph(const Graph&) = delete;
  ~Graph() {
    Release();
    TF_DeleteGraph(graph);
  }

  // Frees the session and what segments have left to others.
  void Release() {
    slots.clear();
    Status status;
    if (session) TF_DeleteSession(session, status);
    session = nullptr;
  }
};

constexpr int kArray = -1;

struct Feed {
  TF_DataType type;
  std::vector<int64_t> shape;
  int slot;
};

struct Segment {
  std::shared_ptr<Graph> graph;
  std::vector<TF_Output> inputs, outputs;
  std::vector<Feed> feeds;
  std::vector<int> fetches, ends;
};

struct Bytes {
  void* data;
  size_t length;
};

// A view of a typed array's bytes; of an external view that is shared with other threads as well.
Bytes BytesOf(napi_env env, napi_value array) {
  napi_typedarray_type type;
  size_t elements;
  void* data;
  Check(napi_get_typedarray_info(env, array, &type, &elements, &data, nullptr, nullptr));
  size_t width = 4;
  if (type == napi_int8_array || type == napi_uint8_array || type == napi_uint8_clamped_array) width = 1;
  if (type == napi_int16_array || type == napi_uint16_array) width = 2;
  if (type == napi_float64_array || type == napi_bigint64_array || type == napi_biguint64_array) width = 8;
  return {data, elements * width};
}

napi_value Property(napi_env env, napi_value object, const char* name) {
  napi_value value;
  Check(napi_get_named_property(env, object, name, &value));
  return value;
}

std::vector<napi_value> ListOf(napi_env env, napi_value array) {
  uint32_t length;
  Check(napi_get_array_length(env, array, &length));
  std::vector<napi_value> items(length);
  for (uint32_t i = 0; i < length; i++) Check(napi_get_element(env, array, i, &items[i]));
  return items;
}

std::string TextOf(napi_env env, napi_value value) {
  size_t length;
  Check(napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  std::string text(length + 1, 0);
  Check(napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  text.resize(length);
  return text;
}

int32_t NumberOf(napi_env env, napi_value value) {
  int32_t number;
  Check(napi_get_value_int32(env, value, &number));
  return number;
}

template <typename T>
T* ExternalOf(napi_env env, napi_value value) {
  void* data;
  Check(napi_get_value_external(env, value, &data));
  return static_cast<T*>(data);
}

template <typename T>
napi_value External(napi_env env, T* owned) {
  napi_value value;
  Check(napi_create_external(env, owned, [](napi_env, void* data, void*) { delete static_cast<T*>(data); }, nullptr,
                             &value));
  return value;
}

TF_Output OutputOf(TF_Graph* graph, const std::string& name) {
  const size_t colon = name.rfind(':');
  TF_Operation* operation = TF_GraphOperationByName(graph, name.substr(0, colon).c_str());
  if (!operation) throw Failure{"the graph has no " + name};
  return {operation, std::stoi(name.substr(colon + 1))};
}

napi_value CreateGraph(napi_env env, const std::vector<napi_value>& arguments) {
  const Bytes definition = BytesOf(env, arguments.at(0)), config = BytesOf(env, arguments.at(1));
  auto owner = std::make_unique<std::shared_ptr<Graph>>(std::make_shared<Graph>());
  Graph& graph = **owner;
  Status status;
  const Buffer bytes(TF_NewBufferFromString(definition.data, definition.length));
  TF_ImportGraphDefOptions* import = TF_NewImportGraphDefOptions();
  TF_GraphImportGraphDef(graph.graph, bytes.get(), import, status);
  TF_DeleteImportGraphDefOptions(import);
  status.Check();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_SetConfig(options, config.data, config.length, status);
  if (TF_GetCode(status) == TF_OK) graph.session = TF_NewSession(graph.graph, options, status);
  TF_DeleteSessionOptions(options);
  status.Check();
  return External(env, owner.release());
}

napi_value Prepare(napi_env env, const std::vector<napi_value>& arguments) {
  auto segment = std::make_unique<Segment>();
  segment->graph = *ExternalOf<std::shared_ptr<Graph>>(env, arguments.at(0));
  Graph& graph = *segment->graph;
  const auto slotOf = [&](napi_value about) {
    const int slot = NumberOf(env, Property(env, about, "slot"));
    if (slot >= static_cast<int>(graph.slots.size())) graph.slots.resize(slot + 1);
    return slot;
  };
  const auto outputOf = [&](napi_value about) {
    return OutputOf(graph.graph, TextOf(env, Property(env, about, "name")));
  };
  for (napi_value about : ListOf(env, arguments.at(1))) {
    Feed feed{static_cast<TF_DataType>(NumberOf(env, Property(env, about, "type"))), {}, slotOf(about)};
    for (napi_value size : ListOf(env, Property(env, about, "shape"))) feed.shape.push_back(NumberOf(env, size));
    segment->inputs.push_back(outputOf(about));
    segment->feeds.push_back(std::move(feed));
  }
  for (napi_value about : ListOf(env, arguments.at(2))) {
    segment->outputs.push_back(outputOf(about));
    segment->fetches.push_back(slotOf(about));
  }
  for (napi_value slot : ListOf(env, arguments.at(3))) segment->ends.push_back(NumberOf(env, slot));
  return External(env, segment.release());
}

Tensor Copy(const Feed& feed, const Bytes& values) {
  size_t elements = 1;
  for (int64_t size : feed.shape) elements *= size;
  if (elements * TF_DataTypeSize(feed.type) != values.length) throw Failure{"an input has another size than was recorded"};
  const int dimensions = static_cast<int>(feed.shape.size());
  Tensor tensor(TF_AllocateTensor(feed.type, feed.shape.data(), dimensions, values.length));
  std::memcpy(TF_TensorData(tensor.get()), values.data, values.length);
  return tensor;
}

// Runs a segment; with `metadata` TensorFlow writes down what each operation took.
void Run(napi_env env, const std::vector<napi_value>& arguments, TF_Buffer* metadata) {
  Segment& segment = *ExternalOf<Segment>(env, arguments.at(0));
  Graph& graph = *segment.graph;
  if (!graph.session) throw Failure{"the graph has been released"};
  const std::vector<napi_value> values = ListOf(env, arguments.at(1)), results = ListOf(env, arguments.at(2));
  std::vector<Tensor> copies;
  std::vector<TF_Tensor*> inputs, outputs(segment.outputs.size());
  for (const Feed& feed : segment.feeds) {
    if (feed.slot != kArray) {
      inputs.push_back(graph.slots[feed.slot].get());
      continue;
    }
    copies.push_back(Copy(feed, BytesOf(env, values.at(copies.size()))));
    inputs.push_back(copies.back().get());
  }
  // RunOptions with trace_level FULL_TRACE.
  static const char full[] = {0x08, 0x03};
  const Buffer options(metadata ? TF_NewBufferFromString(full, sizeof full) : nullptr);
  Status status;
  TF_SessionRun(graph.session, options.get(), segment.inputs.data(), inputs.data(), static_cast<int>(inputs.size()),
                segment.outputs.data(), outputs.data(), static_cast<int>(outputs.size()), nullptr, 0, metadata, status);
  status.Check();
  std::vector<Tensor> fetched;
  for (TF_Tensor* tensor : outputs) fetched.emplace_back(tensor);
  size_t next = 0;
  for (size_t i = 0; i < fetched.size(); i++) {
    if (segment.fetches[i] != kArray) {
      graph.slots[segment.fetches[i]] = std::move(fetched[i]);
      continue;
    }
    const Bytes result = BytesOf(env, results.at(next++));
    if (TF_TensorByteSize(fetched[i].get()) != result.length) throw Failure{"a result has another size than was recorded"};
    std::memcpy(result.data, TF_TensorData(fetched[i].get()), result.length);
  }
  for (int slot : segment.ends) graph.slots[slot].reset();
}

napi_value Release(napi_env env, const std::vector<napi_value>& arguments) {
  (*ExternalOf<std::shared_ptr<Graph>>(env, arguments.at(0)))->Release();
  return nullptr;
}

napi_value Execute(napi_env env, const std::vector<napi_value>& arguments) {
  Run(env, arguments, nullptr);
  return nullptr;
}

napi_value Trace(napi_env env, const std::vector<napi_value>& arguments) {
  const Buffer metadata(TF_NewBuffer());
  Run(env, arguments, metadata.get());
  napi_value bytes;
  Check(napi_create_buffer_copy(env, metadata->length, metadata->data, nullptr, &bytes));
  return bytes;
}

using Function = napi_value (*)(napi_env, const std::vector<napi_value>&);

// Calls a function with its arguments; what fails in it is thrown in JavaScript.
template <Function function>
napi_value Wrap(napi_env env, napi_callback_info info) {
  size_t count = 4;
  std::vector<napi_value> arguments(count);
  napi_get_cb_info(env, info, &count, arguments.data(), nullptr, nullptr);
  arguments.resize(std::min(count, arguments.size()));
  try {
    return function(env, arguments);
  } catch (const Failure& failure) {
    napi_throw_error(env, nullptr, failure.message.c_str());
  } catch (const std::exception& failure) {
    napi_throw_error(env, nullptr, failure.what());
  }
  return nullptr;
}

}  // namespace

napi_value ExportGraphs(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"createGraph", nullptr, Wrap<CreateGraph>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"prepare", nullptr, Wrap<Prepare>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"release", nullptr, Wrap<Release>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"execute", nullptr, Wrap<Execute>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"trace", nullptr, Wrap<Trace>, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
