// Python binding of `quantize`.
#include "core/python.hpp"
#include "core/rows.hpp"
#include "quantize/quantize.hpp"

namespace vecpress {
namespace {

void quantize(int isa, Array<uint8_t> out, Array<float> x, Array<float> thresholds, int num_threads) {
  const auto kernel = kernel_of<Quantize>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && thresholds.ndim() == 1, "quantize: arrays differ in axes");
  expect(out.shape(0) == x.shape(0) && out.shape(1) == x.shape(1), "quantize: arrays differ in shape");
  const int64_t count = thresholds.shape(0);
  expect(count >= 1 && count <= 255, "quantize: thresholds expected 1 to 255");
  const QuantizeArgs a{out.mutable_data(), x.data(), thresholds.data(), count};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(x.size(), rows_per_piece(isa, 8), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_quantize(py::module_& module) {
  module.def("quantize", &quantize, py::arg("isa"), py::arg("out").noconvert(), py::arg("x").noconvert(),
             py::arg("thresholds").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
