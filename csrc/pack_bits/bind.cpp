// Python binding of `pack_bits`.
#include "core/python.hpp"
#include "core/rows.hpp"
#include "pack_bits/pack_bits.hpp"

namespace vecpress {
namespace {

void pack_bits(int isa, Array<uint8_t> out, Array<int64_t> first, Array<float> x, Array<float> thresholds, float largest, int num_threads) {
  const auto kernel = kernel_of<PackBits>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && thresholds.ndim() == 1, "pack_bits: arrays differ in axes");
  const int64_t n = x.shape(0), d = x.shape(1);
  expect(thresholds.shape(0) == d && out.shape(0) == n && out.shape(1) == (d + 7) / 8, "pack_bits: arrays differ in shape");
  expect(first.size() == 1 && largest >= 0, "pack_bits: one first row and a largest magnitude expected");
  const PackBitsArgs a{out.mutable_data(), x.data(), thresholds.data(), n, d, bits_of(largest)};
  int64_t* const found = first.mutable_data();
  run_without_gil(num_threads, [&](int threads, Control& control) {
    *found = first_of_rows(n, rows_per_piece(isa, d), threads, control, [&](int64_t begin, int64_t end) { return kernel(a, begin, end); });
  });
}

}  // namespace

void bind_pack_bits(py::module_& module) {
  module.def("pack_bits", &pack_bits, py::arg("isa"), py::arg("out").noconvert(), py::arg("first").noconvert(),
             py::arg("x").noconvert(), py::arg("thresholds").noconvert(), py::arg("largest"), py::arg("num_threads"));
}

}  // namespace vecpress
