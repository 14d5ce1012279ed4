// A module of Node.js's: memory that the ranks of one host share, and collectives on it.

#include <node_api.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "exchange.h"

namespace {

// A rank's mapping, and what it was given with it.
struct Mapping {
  Exchange exchange;
  void* memory = nullptr;
  size_t bytes = 0;
  int ranks = 0;
  // The values of calls lie in here.
  char* arena = nullptr;
  size_t arena_bytes = 0;
  const char* header = nullptr;
  const double* parts = nullptr;
  // Keep the three arrays above alive.
  napi_ref kept[3] = {};

  void Unmap(napi_env env) {
    if (!memory) return;
    munmap(memory, bytes);
    memory = nullptr;
    for (napi_ref reference : kept) napi_delete_reference(env, reference);
  }
};

napi_value Fail(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

// Arguments of a call from JavaScript; a missing or wrong one is 0.
template <size_t most>
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = most;
    napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
  }

  napi_value operator[](size_t index) const { return values_[index]; }

  int64_t Number(size_t index) const {
    int64_t number = 0;
    napi_get_value_int64(env_, values_[index], &number);
    return number;
  }

  // The mapping, unless it has been unmapped.
  Mapping* Mapped() const {
    void* mapping = nullptr;
    napi_get_value_external(env_, values_[0], &mapping);
    return mapping && static_cast<Mapping*>(mapping)->memory ? static_cast<Mapping*>(mapping) : nullptr;
  }

  // Bytes of a typed array, which must have at least so many.
  char* Array(size_t index, size_t least, size_t* bytes = nullptr) const {
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    if (napi_get_typedarray_info(env_, values_[index], &type, &length, &data, nullptr, nullptr) != napi_ok)
      return nullptr;
    const size_t size = length * (type == napi_float64_array ? sizeof(double) : 1);
    if (bytes) *bytes = size;
    return size < least ? nullptr : static_cast<char*>(data);
  }

 private:
  napi_env env_;
  napi_value values_[most] = {};
};

void Delete(napi_env env, void* data, void*) {
  auto* mapping = static_cast<Mapping*>(data);
  mapping->Unmap(env);
  delete mapping;
}

// map(descriptor, rank, ranks, arena, header, parts): the memory is the whole file.
napi_value Map(napi_env env, napi_callback_info info) {
  const Arguments<6> given(env, info);
  const int descriptor = static_cast<int>(given.Number(0));
  const int64_t rank = given.Number(1), ranks = given.Number(2);
  if (ranks < 2 || ranks > kMostRanks || rank < 0 || rank >= ranks) return Fail(env, "no such rank");
  struct stat about;
  if (fstat(descriptor, &about) != 0 || about.st_size <= static_cast<off_t>(kControlBytes))
    return Fail(env, "the shared memory has no room");
  const size_t bytes = about.st_size, window = (bytes - kControlBytes) / (2 * ranks);
  if (window < static_cast<size_t>(64 * ranks) || window % 64 != 0) return Fail(env, "windows of a wrong length");
  auto* mapping = new Mapping;
  mapping->bytes = bytes;
  mapping->ranks = static_cast<int>(ranks);
  mapping->arena = given.Array(3, 1, &mapping->arena_bytes);
  mapping->header = given.Array(4, kHeaderBytes);
  mapping->parts = reinterpret_cast<const double*>(given.Array(5, (ranks + 1) * sizeof(double)));
  if (mapping->arena && mapping->header && mapping->parts) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    if (memory != MAP_FAILED) mapping->memory = memory;
  }
  if (!mapping->memory) {
    delete mapping;
    return Fail(env, "the shared memory cannot be mapped");
  }
  for (int index = 0; index < 3; index++)
    napi_create_reference(env, given[3 + index], 1, &mapping->kept[index]);
  mapping->exchange.Map(static_cast<char*>(mapping->memory), window, static_cast<int>(rank), static_cast<int>(ranks));
  napi_value external;
  napi_create_external(env, mapping, Delete, nullptr, &external);
  return external;
}

// unmap(mapping): safe to call twice.
napi_value Unmap(napi_env env, napi_callback_info info) {
  const Arguments<1> given(env, info);
  if (Mapping* mapping = given.Mapped()) mapping->Unmap(env);
  return nullptr;
}

// begin(mapping, kind, type, op, offset, length, root, parted): `parted` says that the parts are in their array.
napi_value Begin(napi_env env, napi_callback_info info) {
  const Arguments<8> given(env, info);
  Mapping* mapping = given.Mapped();
  if (!mapping) return Fail(env, "the shared memory is unmapped");
  static const Combine combines[2][2] = {{AddFloat32, MaxFloat32}, {AddFloat64, MaxFloat64}};
  const int64_t kind = given.Number(1), type = given.Number(2), op = given.Number(3);
  const int64_t offset = given.Number(4), length = given.Number(5), root = given.Number(6);
  const int ranks = mapping->ranks;
  if (kind < 0 || kind > kBarrier || type < 0 || type > 1 || op < 0 || op > 1 || root < 0 || root >= ranks)
    return Fail(env, "no such collective");
  Order order = {};
  order.kind = static_cast<Kind>(kind);
  order.combine = combines[type][op];
  order.element = type == 0 ? sizeof(float) : sizeof(double);
  order.root = static_cast<int>(root);
  const auto all = static_cast<uint64_t>(length);
  if (offset < 0 || length < 0 || offset + all * order.element > mapping->arena_bytes)
    return Fail(env, "values outside of the arena");
  const bool parted = given.Number(7) != 0;
  for (int rank = 0; rank <= ranks; rank++)
    order.parts[rank] = parted ? static_cast<uint64_t>(mapping->parts[rank]) : all * rank / ranks;
  for (int rank = 0; rank < ranks; rank++)
    if (order.parts[rank] > order.parts[rank + 1]) return Fail(env, "parts that do not ascend");
  if (order.parts[ranks] > all) return Fail(env, "parts outside of the values");
  order.values = mapping->arena + offset + order.parts[0] * order.element;
  mapping->exchange.Begin(order, mapping->header);
  return nullptr;
}

// advance(mapping, milliseconds): what `Exchange::Advance` returns.
napi_value Advance(napi_env env, napi_callback_info info) {
  const Arguments<2> given(env, info);
  Mapping* mapping = given.Mapped();
  if (!mapping) return Fail(env, "the shared memory is unmapped");
  napi_value state;
  napi_create_int32(env, mapping->exchange.Advance(static_cast<int>(given.Number(1))), &state);
  return state;
}

// headerOf(mapping, rank, into): copies the header of a rank's present call.
napi_value HeaderOf(napi_env env, napi_callback_info info) {
  const Arguments<3> given(env, info);
  Mapping* mapping = given.Mapped();
  char* into = given.Array(2, kHeaderBytes);
  const int64_t rank = given.Number(1);
  if (!mapping || !into || rank < 0 || rank >= mapping->ranks) return Fail(env, "no such header");
  std::memcpy(into, mapping->exchange.HeaderOf(static_cast<int>(rank)), kHeaderBytes);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"map", nullptr, Map, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"unmap", nullptr, Unmap, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"begin", nullptr, Begin, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"advance", nullptr, Advance, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"headerOf", nullptr, HeaderOf, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
