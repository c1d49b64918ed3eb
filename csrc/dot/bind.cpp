// Python binding of the scan `dot`.
#include "core/bind_scan.hpp"
#include "dot/dot.hpp"
#include "pack_codes/pack_codes.hpp"

namespace vecpress {

void bind_dot(py::module_& module) {
  module.def(
      "dot",
      [](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<float> rows,
         std::optional<Array<float>> levels, int n_bits, bool l2, std::optional<Array<int64_t>> ids,
         std::optional<Array<uint64_t>> allow, FactorArgument scale, FactorArgument bias, Array<float> constant,
         int num_threads) {
        expect(n_bits >= 1 && n_bits <= 8, "n_bits expected 1 to 8");
        expect(!levels || levels->size() == int64_t{1} << n_bits, "levels expected 2^n_bits numbers");
        expect(rows.ndim() == 2 && scores.ndim() == 2 && rows.shape(0) == scores.shape(0), "one row of results a query");
        Scan scan;
        scan.operand = rows.data();
        scan.m = rows.shape(1);
        scan.n_bits = n_bits;
        scan.given_levels = levels ? levels->data() : nullptr;
        int64_t payload = 0;
        for (const int width : kPlanes[n_bits]) payload += plane_size(scan.m, width);
        expect(payload == std::get<1>(layout) - std::get<2>(layout), "rows do not match the codes");
        if (l2) {
          expect(std::get<0>(bias) == Factor::none, "squared distances take no bias");
          scan.distances = true;
          scan.stretch = make_factor(scale, std::get<1>(layout));
          scale = FactorArgument{Factor::none, 0, 1.0f, std::nullopt};
        }
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Dot>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg("rows").noconvert(), py::arg("levels").noconvert(), py::arg("n_bits"), py::arg("l2"),
      py::arg("ids").noconvert(), py::arg("allow").noconvert(), py::arg("scale"), py::arg("bias"),
      py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
