// Python binding of `encode_pq`.
#include <memory>
#include <vector>

#include "core/centroids.hpp"
#include "core/python.hpp"
#include "core/rows.hpp"
#include "encode_pq/encode_pq.hpp"

namespace vecpress {
namespace {

void encode_pq(int isa, Array<uint8_t> out, Array<float> x, Array<float> codebooks, bool by_column, int num_threads) {
  const auto kernel = kernel_of<EncodePq>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && codebooks.ndim() == 3, "encode_pq: arrays differ in axes");
  const int64_t n = x.shape(0), m = codebooks.shape(0), ks = codebooks.shape(by_column ? 2 : 1), dsub = codebooks.shape(by_column ? 1 : 2);
  expect(ks == 16 || ks == 256, "encode_pq: codebooks expected 16 or 256 centroids");
  expect(x.shape(1) == m * dsub, "encode_pq: x and codebooks differ in shape");
  expect(out.shape(0) == n && out.shape(1) == (ks == 256 ? m : (m + 1) / 2), "encode_pq: out and inputs differ in shape");
  EncodePqArgs a{out.mutable_data(), x.data(), codebooks.data(), m, ks, dsub, by_column, nullptr, nullptr};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    std::vector<float> starts;
    std::vector<double> largest;
    if (n >= kRowsByProducts && !by_column) {
      starts.resize(static_cast<size_t>(m * ks));
      largest.resize(static_cast<size_t>(m));
      for (int64_t j = 0; j < m; ++j) largest[static_cast<size_t>(j)] = half_squares(a.codebooks + j * ks * dsub, ks, dsub, starts.data() + j * ks);
      a.starts = starts.data();
      a.largest = largest.data();
    }
    parallel_rows(n, rows_per_piece(isa, 2 * m * ks * (dsub + 1)), threads, control, [&](int64_t begin, int64_t end) {
      std::unique_ptr<float[]> scratch(new float[static_cast<size_t>(dsub * EncodePq::kScratch)]);
      kernel(a, begin, end, scratch.get());
    });
  });
}

}  // namespace

void bind_encode_pq(py::module_& module) {
  module.def("encode_pq", &encode_pq, py::arg("isa"), py::arg("out").noconvert(), py::arg("x").noconvert(),
             py::arg("codebooks").noconvert(), py::arg("by_column"), py::arg("num_threads"));
}

}  // namespace vecpress
