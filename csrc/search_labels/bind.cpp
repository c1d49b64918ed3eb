// Python binding of `search_labels`.
#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/python.hpp"
#include "core/rows.hpp"
#include "search_labels/search_labels.hpp"

namespace vecpress {
namespace {

void search_labels(int isa, Array<uint8_t> found, Array<float> reached, Array<float> rest, Array<float> y, Array<float> books,
                   Array<uint8_t> entries, Array<float> factors, Array<float> squares, Array<int8_t> pairs, Array<uint8_t> paths,
                   Array<float> scores, int beam, int num_threads) {
  constexpr int64_t kEntries = SearchLabels::kEntries, kMost = SearchLabels::kMostPaths;
  const auto kernel = kernel_of<SearchLabels>(isa);
  expect(found.ndim() == 3 && reached.ndim() == 2 && rest.ndim() == 2 && y.ndim() == 2 && books.ndim() == 3 && entries.ndim() == 4 &&
             factors.ndim() == 2 && squares.ndim() == 2 && pairs.ndim() == 3 && paths.ndim() == 3 && scores.ndim() == 2,
         "search_labels: arrays differ in axes");
  const int64_t n = y.shape(0), d = y.shape(1), depth = books.shape(0), steps = squares.shape(0), before = depth - steps;
  const int64_t b = paths.shape(1), last = found.shape(1);
  expect(steps >= 1 && before >= 0 && depth <= SearchLabels::kMostLabels, "search_labels: books expected 1 to 64, and as many squares or fewer");
  expect(books.shape(1) == kEntries && books.shape(2) == d && squares.shape(1) == kEntries, "search_labels: books and squares do not match y");
  expect(entries.shape(0) == steps && entries.shape(1) == (d + 3) / 4 && entries.shape(2) == kEntries && entries.shape(3) == 4,
         "search_labels: entries do not match y and squares");
  expect(factors.shape(0) == steps && factors.shape(1) == 2, "search_labels: factors do not match squares");
  expect(pairs.shape(0) == steps * before + steps * (steps - 1) / 2 && pairs.shape(1) == kEntries && pairs.shape(2) == kEntries,
         "search_labels: pairs do not match books and squares");
  expect(paths.shape(0) == n && paths.shape(2) == before && b >= 1 && b <= kMost, "search_labels: paths do not match y and books");
  expect(scores.shape(0) == n && scores.shape(1) == b, "search_labels: scores do not match paths");
  expect(beam >= 1 && beam <= kMost && last >= 1 && last <= kMost, "search_labels: beam and last expected 1 to 16");
  int64_t most = b;  // paths there can be before the last step
  for (int64_t step = 1; step < steps; ++step) most = std::min<int64_t>(beam, most * kEntries);
  expect(last <= most * kEntries && found.shape(0) == n && found.shape(2) == depth, "search_labels: found does not match y and books");
  expect(reached.shape(0) == n && reached.shape(1) == last && rest.shape(0) == n && rest.shape(1) == d,
         "search_labels: reached and rest do not match y and found");
  const SearchLabelsArgs a{found.mutable_data(), reached.mutable_data(), rest.mutable_data(), y.data(), books.data(), entries.data(),
                           factors.data(), squares.data(), pairs.data(), paths.data(), scores.data(), d, depth, steps, b, beam, last};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    const int64_t tile = SearchLabels::kTileRows, pieces = rows_per_piece(isa, steps * kEntries * (d / 16 + 8));
    parallel_rows(n, std::max(pieces / tile * tile, std::min(pieces, tile)), threads, control, [&](int64_t begin, int64_t end) {
      std::unique_ptr<uint8_t[]> scratch(new uint8_t[static_cast<size_t>(SearchLabels::scratch(a) + 64)]);
      kernel(a, begin, end, reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(scratch.get()) + 63) / 64 * 64));
    });
  });
}

}  // namespace

void bind_search_labels(py::module_& module) {
  module.def("search_labels", &search_labels, py::arg("isa"), py::arg("found").noconvert(), py::arg("reached").noconvert(),
             py::arg("rest").noconvert(), py::arg("y").noconvert(), py::arg("books").noconvert(), py::arg("entries").noconvert(),
             py::arg("factors").noconvert(), py::arg("squares").noconvert(), py::arg("pairs").noconvert(), py::arg("paths").noconvert(),
             py::arg("scores").noconvert(), py::arg("beam"), py::arg("num_threads"));
}

}  // namespace vecpress
