// Python binding of `rotate`.
#include <cmath>
#include <vector>

#include "core/python.hpp"
#include "core/rows.hpp"
#include "rotate/rotate.hpp"

namespace vecpress {
namespace {

void rotate(int isa, Array<float> out, Array<float> x, Array<uint8_t> signs, bool inverse, int num_threads) {
  const auto kernel = kernel_of<Rotate>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && signs.ndim() == 2, "rotate: arrays differ in axes");
  const int64_t n = x.shape(0), d = x.shape(1), bytes = (d + 7) / 8;
  expect(d > 0 && out.shape(0) == n && out.shape(1) == d, "rotate: arrays differ in shape");
  expect(signs.shape(0) == Rotate::kRounds && signs.shape(1) == bytes, "rotate: signs and x differ in shape");
  RotateArgs a{};
  a.out = out.mutable_data();
  a.x = x.data();
  a.d = d;
  a.width = 1;
  while (a.width <= d / 2) a.width *= 2;
  a.scale = static_cast<float>(std::sqrt(1.0 / static_cast<double>(a.width)));
  a.half = static_cast<float>(std::sqrt(0.5));
  a.inverse = inverse;
  const uint8_t* bits = signs.data();
  run_without_gil(num_threads, [&](int threads, Control& control) {
    std::vector<float> factors(static_cast<size_t>(Rotate::kRounds * d));
    for (int64_t r = 0; r < Rotate::kRounds; ++r)
      for (int64_t t = 0; t < d; ++t)
        factors[static_cast<size_t>(r * d + t)] = bits[r * bytes + t / 8] >> (7 - t % 8) & 1 ? -1.0f : 1.0f;
    a.signs = factors.data();
    parallel_rows(n, rows_per_piece(isa, 64 * d), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_rotate(py::module_& module) {
  module.def("rotate", &rotate, py::arg("isa"), py::arg("out").noconvert(), py::arg("x").noconvert(),
             py::arg("signs").noconvert(), py::arg("inverse"), py::arg("num_threads"));
}

}  // namespace vecpress
