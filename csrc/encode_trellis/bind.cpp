// Python binding of `encode_trellis`.
#include "core/python.hpp"
#include "core/rows.hpp"
#include "encode_trellis/encode_trellis.hpp"
#include "encode_trellis/words.hpp"

namespace vecpress {
namespace {

void encode_trellis(int isa, Array<uint8_t> codes, Array<int8_t> values, Array<float> y, Array<uint8_t> words, Array<int8_t> levels,
                    int num_threads) {
  const auto kernel = kernel_of<EncodeTrellis>(isa);
  const std::vector<TrellisWord> all = words_of(words);
  expect(codes.ndim() == 2 && values.ndim() == 2 && y.ndim() == 2, "encode_trellis: arrays differ in axes");
  expect(codes.shape(0) == y.shape(0) && values.shape(0) == y.shape(0), "encode_trellis: arrays differ in rows");
  expect(y.shape(1) == components_of(all) && values.shape(1) == y.shape(1) && codes.shape(1) == bytes_of(all),
         "encode_trellis: arrays do not match the words");
  const EncodeTrellisArgs a{codes.mutable_data(), values.mutable_data(), y.data(), all.data(), static_cast<int64_t>(all.size()),
                            codes.shape(1), y.shape(1), levels.data(), window_of(levels)};
  run_without_gil(num_threads, [&](int threads, Control& control) {
    parallel_rows(y.shape(0), rows_per_piece(isa, 3 * a.m << a.window), threads, control,
                  [&](int64_t begin, int64_t end) { kernel(a, begin, end); });
  });
}

}  // namespace

void bind_encode_trellis(py::module_& module) {
  module.def("encode_trellis", &encode_trellis, py::arg("isa"), py::arg("codes").noconvert(), py::arg("values").noconvert(),
             py::arg("y").noconvert(), py::arg("words").noconvert(), py::arg("levels").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
