// Python binding of `norms`.
#include "core/python.hpp"
#include "core/rows.hpp"
#include "norms/norms.hpp"

namespace vecpress {
namespace {

void norms(int isa, Array<float> out, Array<float> x, int num_threads) {
  const auto kernel = kernel_of<Norms>(isa);
  expect(out.ndim() == 1 && x.ndim() == 2 && out.shape(0) == x.shape(0), "norms: arrays differ in shape");
  const NormsArgs a{out.mutable_data(), x.data(), x.shape(1)};
  const int64_t n = x.shape(0);
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(n, rows_per_piece(isa, a.d), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_norms(py::module_& module) {
  module.def("norms", &norms, py::arg("isa"), py::arg("out").noconvert(), py::arg("x").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
