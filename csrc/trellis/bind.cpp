// Python binding of the scan `trellis`.
#include "core/bind_scan.hpp"
#include "encode_trellis/words.hpp"
#include "trellis/trellis.hpp"

namespace vecpress {

void bind_trellis(py::module_& module) {
  module.def(
      "trellis",
      [](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<float> rows,
         Array<uint8_t> words, Array<int8_t> levels, std::optional<Array<float>> tables, std::optional<Array<int64_t>> ids,
         std::optional<Array<uint64_t>> allow, FactorArgument scale, FactorArgument bias, Array<float> constant,
         int num_threads) {
        const std::vector<TrellisWord> all = words_of(words);
        expect(rows.ndim() == 2 && scores.ndim() == 2 && rows.shape(0) == scores.shape(0), "one row of results a query");
        expect(rows.shape(1) == components_of(all), "rows do not match the words");
        expect(!tables || (tables->ndim() == 3 && tables->shape(0) == rows.shape(0) && tables->shape(2) == 256),
               "tables expected 256 entries");
        const int64_t labels = tables ? tables->shape(1) : 0;
        expect(bytes_of(all) + labels == std::get<1>(layout) - std::get<2>(layout), "labels and words do not match the codes");

        std::vector<uint8_t> numbers;
        for (int64_t i = 0; i < levels.size(); ++i) {
          expect(levels.data()[i] >= -kLevelsZero, "levels expected -127 to 127");
          numbers.push_back(static_cast<uint8_t>(levels.data()[i] + kLevelsZero));
        }
        TrellisCode code;
        code.window = window_of(levels);
        code.words = all.data();
        code.n_words = static_cast<int64_t>(all.size());
        code.numbers = numbers.data();
        code.places = all.empty() ? 0 : 4 * (all.back().four + all.back().fours());
        std::vector<int32_t> place_of;
        std::vector<int8_t> inside(static_cast<size_t>(code.places + 64));  // whole units of dot/numbers.inl
        for (const TrellisWord& word : all)
          for (int64_t t = 0; t < word.steps; ++t) {
            place_of.push_back(static_cast<int32_t>(4 * word.four + t));
            inside[static_cast<size_t>(place_of.back())] = -1;
          }
        code.place_of = place_of.data();
        code.inside = inside.data();

        Scan scan;
        scan.operand = rows.data();
        scan.m = rows.shape(1);
        scan.trellis = &code;
        scan.labels = labels;
        scan.label_tables = tables ? tables->data() : nullptr;
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Trellis>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg("rows").noconvert(), py::arg("words").noconvert(), py::arg("levels").noconvert(),
      py::arg("tables").noconvert(), py::arg("ids").noconvert(), py::arg("allow").noconvert(), py::arg("scale"),
      py::arg("bias"), py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
