// Python bindings of `pack_codes` and `unpack_codes`. Everything that could lead outside an array is checked.
#include "core/python.hpp"
#include "core/rows.hpp"
#include "pack_codes/pack_codes.hpp"

namespace vecpress {
namespace {

void check_sizes(const Array<uint8_t>& labels, const Array<uint8_t>& codes, int n_bits) {
  expect(n_bits >= 1 && n_bits <= 8, "pack_codes: n_bits expected 1 to 8");
  expect(labels.ndim() == 2 && codes.ndim() == 2, "pack_codes: arrays differ in axes");
  int64_t size = 0;
  for (const int width : kPlanes[n_bits]) size += plane_size(labels.shape(1), width);
  expect(labels.shape(0) == codes.shape(0) && codes.shape(1) == size, "pack_codes: arrays differ in shape");
}

void pack_codes(int isa, Array<uint8_t> out, Array<uint8_t> labels, int n_bits, int num_threads) {
  const auto kernel = kernel_of<PackCodes>(isa);
  check_sizes(labels, out, n_bits);
  const int64_t n = labels.shape(0), d = labels.shape(1);
  const PackCodesArgs a{out.mutable_data(), labels.data(), d, out.shape(1), n_bits};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(n, rows_per_piece(isa, d), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

void unpack_codes(int isa, Array<uint8_t> out, Array<uint8_t> codes, int n_bits, int num_threads) {
  const auto kernel = kernel_of<UnpackCodes>(isa);
  check_sizes(out, codes, n_bits);
  const int64_t n = out.shape(0), d = out.shape(1);
  const UnpackCodesArgs a{out.mutable_data(), codes.data(), d, codes.shape(1), n_bits};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(n, rows_per_piece(isa, d), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_pack_codes(py::module_& module) {
  module.def("pack_codes", &pack_codes, py::arg("isa"), py::arg("out").noconvert(), py::arg("labels").noconvert(), py::arg("n_bits"),
             py::arg("num_threads"));
  module.def("unpack_codes", &unpack_codes, py::arg("isa"), py::arg("out").noconvert(), py::arg("codes").noconvert(),
             py::arg("n_bits"), py::arg("num_threads"));
}

}  // namespace vecpress
