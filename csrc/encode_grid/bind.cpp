// Python binding of `encode_grid`.
#include <vector>

#include "core/python.hpp"
#include "core/rows.hpp"
#include "encode_grid/encode_grid.hpp"

namespace vecpress {
namespace {

void encode_grid(int isa, Array<uint8_t> labels, Array<double> sums, Array<float> y, Array<float> along, int n_bits,
                 int num_threads) {
  const auto kernel = kernel_of<EncodeGrid>(isa);
  expect(labels.ndim() == 2 && sums.ndim() == 2 && y.ndim() == 2 && along.ndim() == 1, "encode_grid: arrays differ in axes");
  expect(labels.shape(0) == y.shape(0) && sums.shape(0) == y.shape(0), "encode_grid: arrays differ in rows");
  expect(labels.shape(1) == y.shape(1) && sums.shape(1) == EncodeGrid::kSums && along.shape(0) == y.shape(1),
         "encode_grid: arrays differ in columns");
  expect(n_bits >= 1 && n_bits <= 8 && y.shape(1) >= 1, "encode_grid: n_bits expected 1 to 8, y at least 1 column");
  const EncodeGridArgs a{labels.mutable_data(), sums.mutable_data(), y.data(), along.data(), y.shape(1), n_bits};
  const int64_t n = y.shape(0), work = a.d * (n_bits == 1 ? 1 : a.d < 32 ? 1024 : n_bits > 6 ? 544 : 160);
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(n, rows_per_piece(isa, work), threads, control, [&](int64_t begin, int64_t end) {
      std::vector<int16_t> scratch((a.d + EncodeGrid::kPad - 1) / EncodeGrid::kPad * EncodeGrid::kPad);
      kernel(a, begin, end, scratch.data());
    });
  });
}

}  // namespace

void bind_encode_grid(py::module_& module) {
  module.def("encode_grid", &encode_grid, py::arg("isa"), py::arg("labels").noconvert(), py::arg("sums").noconvert(),
             py::arg("y").noconvert(), py::arg("along").noconvert(), py::arg("n_bits"), py::arg("num_threads"));
}

}  // namespace vecpress
