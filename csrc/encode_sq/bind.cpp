// Python binding of `encode_sq`.
#include <cmath>
#include <memory>

#include "core/python.hpp"
#include "core/rows.hpp"
#include "encode_sq/encode_sq.hpp"

namespace vecpress {
namespace {

// 1 / step, and 0 for infinity; nullptr where a step is no such number or might have no inverse of 24 bits.
std::unique_ptr<float[]> inverses(const float* step, int64_t d) {
  std::unique_ptr<float[]> out(new float[static_cast<size_t>(d)]);
  for (int64_t t = 0; t < d; ++t) {
    if (!(step[t] >= 0x1p-100f && (step[t] <= 0x1p100f || std::isinf(step[t])))) return nullptr;
    out[t] = 1 / step[t];
  }
  return out;
}

void encode_sq(int isa, Array<uint8_t> out, Array<int64_t> first, Array<float> x, Array<float> low, Array<float> step, int n_bits,
               float largest, int num_threads) {
  const auto kernel = kernel_of<EncodeSq>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && low.ndim() == 1 && step.ndim() == 1, "encode_sq: arrays differ in axes");
  expect(n_bits == 4 || n_bits == 8, "encode_sq: n_bits expected 4 or 8");
  const int64_t n = x.shape(0), d = x.shape(1);
  expect(out.shape(0) == n && out.shape(1) == (d * n_bits + 7) / 8 && low.shape(0) == d && step.shape(0) == d,
         "encode_sq: arrays differ in shape");
  expect(first.size() == 1 && largest >= 0, "encode_sq: one first row and a largest magnitude expected");
  const auto inverse = inverses(step.data(), d);
  const EncodeSqArgs a{out.mutable_data(), x.data(), low.data(), step.data(), inverse.get(), n, d, n_bits, bits_of(largest)};
  int64_t* const found = first.mutable_data();
  run_without_gil(num_threads, [&](int threads, Control& control) {
    *found = first_of_rows(n, rows_per_piece(isa, 8 * d), threads, control,
                           [&](int64_t begin, int64_t end) { return kernel(a, begin, end); });
  });
}

}  // namespace

void bind_encode_sq(py::module_& module) {
  module.def("encode_sq", &encode_sq, py::arg("isa"), py::arg("out").noconvert(), py::arg("first").noconvert(),
             py::arg("x").noconvert(), py::arg("low").noconvert(), py::arg("step").noconvert(), py::arg("n_bits"), py::arg("largest"),
             py::arg("num_threads"));
}

}  // namespace vecpress
