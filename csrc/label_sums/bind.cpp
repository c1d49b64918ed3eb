// Python binding of `label_sums`.
#include "core/python.hpp"
#include "label_sums/label_sums.hpp"

namespace vecpress {
namespace {

void label_sums(int isa, Array<double> sums, Array<float> x, Array<int32_t> labels, int num_threads) {
  const auto kernel = kernel_of<LabelSums>(isa);
  expect(sums.ndim() == 2 && x.ndim() == 2 && labels.ndim() == 1, "label_sums: arrays differ in axes");
  const int64_t n = x.shape(0), d = x.shape(1), k = sums.shape(0);
  expect(sums.shape(1) == d && labels.shape(0) == n, "label_sums: arrays differ in shape");
  for (int64_t i = 0; i < n; ++i) expect(labels.data()[i] >= 0 && labels.data()[i] < k, "label_sums: a label without a sum");
  const LabelSumsArgs a{sums.mutable_data(), x.data(), labels.data(), n, d};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(k, (k + threads - 1) / threads, threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_label_sums(py::module_& module) {
  module.def("label_sums", &label_sums, py::arg("isa"), py::arg("sums").noconvert(), py::arg("x").noconvert(),
             py::arg("labels").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
