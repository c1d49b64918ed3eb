// Python binding of `scalar_labels`.
#include "core/python.hpp"
#include "core/rows.hpp"
#include "scalar_labels/scalar_labels.hpp"

namespace vecpress {
namespace {

void scalar_labels(int isa, Array<uint8_t> out, Array<float> x, Array<float> low, Array<float> step, int most, int num_threads) {
  const auto kernel = kernel_of<ScalarLabels>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && low.ndim() == 1 && step.ndim() == 1, "scalar_labels: arrays differ in axes");
  const int64_t n = x.shape(0), d = x.shape(1);
  expect(out.shape(0) == n && out.shape(1) == d && low.shape(0) == d && step.shape(0) == d, "scalar_labels: arrays differ in shape");
  expect(most >= 1 && most <= 255, "scalar_labels: most expected 1 to 255");
  const ScalarLabelsArgs a{out.mutable_data(), x.data(), low.data(), step.data(), d, static_cast<float>(most)};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(n, rows_per_piece(isa, 8 * d), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_scalar_labels(py::module_& module) {
  module.def("scalar_labels", &scalar_labels, py::arg("isa"), py::arg("out").noconvert(), py::arg("x").noconvert(),
             py::arg("low").noconvert(), py::arg("step").noconvert(), py::arg("most"), py::arg("num_threads"));
}

}  // namespace vecpress
