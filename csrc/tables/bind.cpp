// Python binding of `tables`.
#include <memory>

#include "core/python.hpp"
#include "core/rows.hpp"
#include "tables/tables.hpp"

namespace vecpress {
namespace {

void tables(int isa, Array<float> out, Array<float> q, Array<float> codebooks, bool l2, bool by_column, int num_threads) {
  const auto kernel = kernel_of<Tables>(isa);
  expect(out.ndim() == 3 && q.ndim() == 2 && codebooks.ndim() == 3, "tables: arrays differ in axes");
  const int64_t nq = q.shape(0), m = codebooks.shape(0), ks = codebooks.shape(by_column ? 2 : 1), dsub = codebooks.shape(by_column ? 1 : 2);
  expect(!by_column || ks % 16 == 0, "tables: columns expected a multiple of 16 centroids");
  expect(q.shape(1) == m * dsub, "tables: q and codebooks differ in shape");
  expect(out.shape(0) == nq && out.shape(1) == m && out.shape(2) == ks, "tables: out and inputs differ in shape");
  const TablesArgs a{out.mutable_data(), q.data(), codebooks.data(), m, ks, dsub, l2, by_column};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(nq, rows_per_piece(isa, m * ks * (dsub + 1)), threads, control, [&](int64_t begin, int64_t end) {
      std::unique_ptr<float[]> scratch(new float[static_cast<size_t>(dsub * Tables::kScratch)]);
      kernel(a, begin, end, scratch.get());
    });
  });
}

}  // namespace

void bind_tables(py::module_& module) {
  module.def("tables", &tables, py::arg("isa"), py::arg("out").noconvert(), py::arg("q").noconvert(),
             py::arg("codebooks").noconvert(), py::arg("l2"), py::arg("by_column"), py::arg("num_threads"));
}

}  // namespace vecpress
