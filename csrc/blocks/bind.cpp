// Python bindings of `put_rows` and `get_rows`. Everything that could lead outside an array is checked.
#include "blocks/layout.hpp"
#include "core/python.hpp"
#include "core/rows.hpp"

namespace vecpress {
namespace {

void put_rows(int isa, Array<uint8_t> data, Array<uint8_t> codes, int64_t start, int64_t head, int64_t group, int num_threads) {
  const auto kernel = kernel_of<PutRows>(isa);
  expect(codes.ndim() == 2, "blocks: codes expected two axes");
  const BlockLayout layout = checked_layout(data, codes.shape(1), head, group);
  const int64_t count = codes.shape(0), room = data.shape(0) * kBlockRows;
  expect(start >= 0 && start <= room && count <= room - start, "blocks: rows expected inside data");
  const PutRowsArgs a{data.mutable_data(), codes.data(), start, count, layout};
  const int64_t first = start / kBlockRows, blocks = count ? (start + count - 1) / kBlockRows + 1 - first : 0;
  const int64_t grain = rows_per_piece(isa, layout.code_size * kBlockRows);
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(blocks, grain, threads, control, [&](int64_t begin, int64_t end) { kernel(a, first + begin, first + end); });
  });
}

void get_rows(int isa, Array<uint8_t> out, Array<uint8_t> data, Array<int64_t> rows, int64_t head, int64_t group, int num_threads) {
  const auto kernel = kernel_of<GetRows>(isa);
  expect(out.ndim() == 2 && rows.ndim() == 1 && out.shape(0) == rows.shape(0), "blocks: out expected one code a row");
  const BlockLayout layout = checked_layout(data, out.shape(1), head, group);
  const int64_t count = rows.shape(0), room = data.shape(0) * kBlockRows;
  const int64_t* row = rows.data();
  for (int64_t i = 0; i < count; ++i) expect(row[i] >= 0 && row[i] < room, "blocks: rows expected inside data");
  const GetRowsArgs a{out.mutable_data(), data.data(), row, layout};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(count, rows_per_piece(isa, layout.code_size), threads, control,
                  [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_blocks(py::module_& module) {
  module.def("put_rows", &put_rows, py::arg("isa"), py::arg("data").noconvert(), py::arg("codes").noconvert(), py::arg("start"),
             py::arg("head"), py::arg("group"), py::arg("num_threads"));
  module.def("get_rows", &get_rows, py::arg("isa"), py::arg("out").noconvert(), py::arg("data").noconvert(),
             py::arg("rows").noconvert(), py::arg("head"), py::arg("group"), py::arg("num_threads"));
}

}  // namespace vecpress
