// Python binding of `assign`.
#include <memory>

#include "assign/assign.hpp"
#include "core/centroids.hpp"
#include "core/python.hpp"
#include "core/rows.hpp"

namespace vecpress {
namespace {

void assign(int isa, Array<int32_t> labels, Array<float> distances, Array<float> x, Array<float> centroids, int num_threads) {
  const auto kernel = kernel_of<Assign>(isa);
  expect(labels.ndim() == 1 && distances.ndim() == 1 && x.ndim() == 2 && centroids.ndim() == 2, "assign: arrays differ in axes");
  const int64_t n = x.shape(0), d = x.shape(1), k = centroids.shape(0);
  expect(centroids.shape(1) == d && labels.shape(0) == n && distances.shape(0) == n, "assign: arrays differ in shape");
  expect(k >= 1 && k <= INT32_MAX, "assign: centroids expected 1 to 2^31 - 1 rows");
  AssignArgs a{labels.mutable_data(), distances.mutable_data(), x.data(), centroids.data(), k, d, nullptr, 0};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    std::unique_ptr<float[]> starts;
    if (n >= kRowsByProducts && k >= kCentroidsByProducts) {
      starts.reset(new float[static_cast<size_t>(k)]);
      a.largest = half_squares(a.centroids, k, d, starts.get());
      if (a.largest < kLargestByProducts) a.starts = starts.get();
    }
    parallel_rows(n, rows_per_piece(isa, 2 * k * (d + 1)), threads, control, [&](int64_t begin, int64_t end) {
      std::unique_ptr<float[]> scratch(new float[static_cast<size_t>(d * Assign::kScratch)]);
      kernel(a, begin, end, scratch.get());
    });
  });
}

}  // namespace

void bind_assign(py::module_& module) {
  module.def("assign", &assign, py::arg("isa"), py::arg("labels").noconvert(), py::arg("distances").noconvert(),
             py::arg("x").noconvert(), py::arg("centroids").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
