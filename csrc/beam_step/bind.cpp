// Python binding of `beam_step`.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "beam_step/beam_step.hpp"
#include "core/python.hpp"
#include "core/rows.hpp"

namespace vecpress {
namespace {

void beam_step(int isa, Array<uint8_t> grown, Array<float> best, Array<float> costs, Array<float> pairs, Array<uint8_t> paths,
               Array<float> scores, int num_threads) {
  const auto kernel = kernel_of<BeamStep>(isa);
  expect(grown.ndim() == 3 && best.ndim() == 2 && costs.ndim() == 2 && pairs.ndim() == 2 && paths.ndim() == 3 && scores.ndim() == 2,
         "beam_step: arrays differ in axes");
  const int64_t n = costs.shape(0), ks = costs.shape(1), b = paths.shape(1), labels = paths.shape(2), keep = best.shape(1);
  expect(grown.shape(0) == n && best.shape(0) == n && paths.shape(0) == n && scores.shape(0) == n, "beam_step: arrays differ in rows");
  expect(ks >= 1 && ks <= 256, "beam_step: costs expected 1 to 256 columns");
  expect(pairs.shape(0) == labels * ks && pairs.shape(1) == ks, "beam_step: pairs do not match costs and paths");
  expect(b >= 1 && b <= BeamStep::kMostPaths && scores.shape(1) == b, "beam_step: paths expected 1 to 256, and as many scores");
  expect(labels <= BeamStep::kMostLabels && grown.shape(2) == labels + 1, "beam_step: paths expected at most 63 labels, one fewer than grown");
  expect(keep >= 1 && keep <= std::min(b * ks, BeamStep::kMostPaths) && grown.shape(1) == keep, "beam_step: grown and best differ in paths");
  const uint8_t* all = paths.data();
  expect(ks == 256 || std::all_of(all, all + paths.size(), [ks](uint8_t label) { return label < ks; }), "beam_step: a label beyond the costs");
  const BeamStepArgs a{grown.mutable_data(), best.mutable_data(), costs.data(), pairs.data(), all, scores.data(), ks, labels, b, keep};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(n, rows_per_piece(isa, 4 * b * (labels + 4) * ks), threads, control, [&](int64_t begin, int64_t end) {
      std::unique_ptr<float[]> scratch(new float[static_cast<size_t>(BeamStep::scratch(a) + 16)]);
      kernel(a, begin, end, reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(scratch.get()) + 63) / 64 * 64));
    });
  });
}

}  // namespace

void bind_beam_step(py::module_& module) {
  module.def("beam_step", &beam_step, py::arg("isa"), py::arg("grown").noconvert(), py::arg("best").noconvert(),
             py::arg("costs").noconvert(), py::arg("pairs").noconvert(), py::arg("paths").noconvert(), py::arg("scores").noconvert(),
             py::arg("num_threads"));
}

}  // namespace vecpress
