// Python binding of `project`.
#include <cstring>
#include <vector>

#include "core/python.hpp"
#include "core/rows.hpp"
#include "project/project.hpp"

namespace vecpress {
namespace {

constexpr int64_t kStrip = 16;     // columns, core/chains.inl
constexpr int64_t kCopyRows = 32;  // from so many rows on the matrix is copied strip by strip: what it costs is then below 3 %

void project(int isa, Array<float> out, Array<float> x, Array<float> matrix, Array<float> offset, int num_threads) {
  const auto kernel = kernel_of<Project>(isa);
  expect(out.ndim() == 2 && x.ndim() == 2 && matrix.ndim() == 2 && offset.ndim() == 1, "project: arrays differ in axes");
  const int64_t n = x.shape(0), d = x.shape(1), p = matrix.shape(1);
  expect(matrix.shape(0) == d && offset.shape(0) == p && out.shape(0) == n && out.shape(1) == p, "project: arrays differ in shape");
  ProjectArgs a{};
  a.out = out.mutable_data();
  a.x = x.data();
  a.offset = offset.data();
  a.d = d;
  a.p = p;
  const float* from = matrix.data();
  run_without_gil(num_threads, [&](int threads, Control& control) {
    const int64_t strips = p / kStrip, rest = p % kStrip;
    const bool copy = n >= kCopyRows;
    std::vector<float> copied(static_cast<size_t>((copy ? strips * d * kStrip : 0) + kStrip));
    auto* aligned = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(copied.data()) + 63) / 64 * 64);
    a.strips = from;
    a.step = p;
    a.stride = kStrip;
    if (copy) {
      for (int64_t t = 0; t < d; ++t)
        for (int64_t s = 0; s < strips; ++s)
          std::memcpy(aligned + (s * d + t) * kStrip, from + t * p + s * kStrip, kStrip * sizeof(float));
      a.strips = aligned;
      a.step = kStrip;
      a.stride = d * kStrip;
    }
    std::vector<float> last(static_cast<size_t>(rest ? d * kStrip : 0));
    float last_offset[kStrip] = {};
    for (int64_t c = 0; c < rest; ++c) {
      last_offset[c] = a.offset[strips * kStrip + c];
      for (int64_t t = 0; t < d; ++t) last[t * kStrip + c] = from[t * p + strips * kStrip + c];
    }
    a.last = last.data();
    a.last_offset = last_offset;
    parallel_rows(n, rows_per_piece(isa, d * p), threads, control, [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_project(py::module_& module) {
  module.def("project", &project, py::arg("isa"), py::arg("out").noconvert(), py::arg("x").noconvert(),
             py::arg("matrix").noconvert(), py::arg("offset").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
