// Distances of two codes by a table, as plain functions that know their table: for libraries that take nothing but a function.
#include <array>
#include <atomic>
#include <cstdint>
#include <utility>

#include "core/python.hpp"

namespace vecpress {
namespace {

// A function of two pointers has no room for a table, so there is one function a table: as many as may be in use at a time.
constexpr int kFunctions = 64;

struct Table {
  const float* entries = nullptr;  // [bytes, 256, 256]
  int64_t bytes = 0;
};

Table tables[kFunctions];
std::array<std::atomic<bool>, kFunctions> taken{};

// The sum of the entries of both codes' bytes, in order.
template <int I>
float distance(const uint8_t* a, const uint8_t* b) {
  const Table table = tables[I];
  const float* entries = table.entries;
  float sum = 0;
  for (int64_t j = 0; j < table.bytes; ++j, entries += 256 * 256) sum += entries[256 * a[j] + b[j]];
  return sum;
}

using Function = float (*)(const uint8_t*, const uint8_t*);

template <int... I>
constexpr std::array<Function, sizeof...(I)> all_of(std::integer_sequence<int, I...>) {
  return {&distance<I>...};
}

constexpr std::array<Function, kFunctions> functions = all_of(std::make_integer_sequence<int, kFunctions>());

// Holds a function, and the table that it reads; both are given back with the object.
class CodeMetric {
 public:
  explicit CodeMetric(Array<float> table) : table_(std::move(table)) {
    expect(table_.ndim() == 3 && table_.shape(1) == 256 && table_.shape(2) == 256, "table expected [bytes, 256, 256]");
    for (index_ = 0; index_ < kFunctions; ++index_) {
      bool free = false;
      if (taken[index_].compare_exchange_strong(free, true)) break;
    }
    if (index_ == kFunctions) throw std::runtime_error("all " + std::to_string(kFunctions) + " functions are in use");
    tables[index_] = {table_.data(), table_.shape(0)};
  }
  CodeMetric(const CodeMetric&) = delete;
  ~CodeMetric() {
    tables[index_] = {};
    taken[index_] = false;
  }

  uintptr_t pointer() const { return reinterpret_cast<uintptr_t>(functions[index_]); }

  float call(const Array<uint8_t>& a, const Array<uint8_t>& b) const {
    expect(a.ndim() == 1 && b.ndim() == 1 && a.shape(0) == table_.shape(0) && b.shape(0) == table_.shape(0), "codes expected [bytes]");
    return functions[index_](a.data(), b.data());
  }

 private:
  Array<float> table_;
  int index_;
};

}  // namespace

void bind_code_metric(py::module_& module) {
  py::class_<CodeMetric>(module, "CodeMetric", "The distance of two codes by a table float32[bytes, 256, 256], as a function in C.")
      .def(py::init<Array<float>>(), py::arg("table").noconvert())
      .def_property_readonly("pointer", &CodeMetric::pointer, "Where the function float(const uint8_t*, const uint8_t*) is.")
      .def("__call__", &CodeMetric::call, py::arg("a").noconvert(), py::arg("b").noconvert(), "The distance of two codes uint8[bytes].");
}

}  // namespace vecpress
