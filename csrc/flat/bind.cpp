// Python binding of the scan `flat`.
#include "core/bind_scan.hpp"
#include "flat/flat.hpp"

namespace vecpress {

void bind_flat(py::module_& module) {
  module.def(
      "flat",
      [](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<float> rows, int group,
         bool l2, std::optional<Array<int64_t>> ids, std::optional<Array<uint64_t>> allow, FactorArgument scale,
         FactorArgument bias, Array<float> constant, int num_threads) {
        const int64_t payload = std::get<1>(layout) - std::get<2>(layout);
        expect(group == 2 || group == 4, "group expected 2 or 4");
        expect(rows.ndim() == 2 && rows.shape(0) == scores.shape(0) && rows.shape(1) * group == payload, "rows do not match the codes");
        Scan scan;
        scan.operand = rows.data();
        scan.m = rows.shape(1);
        scan.group = group;
        scan.l2 = l2;
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Flat>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg("rows").noconvert(), py::arg("group"), py::arg("l2"), py::arg("ids").noconvert(),
      py::arg("allow").noconvert(), py::arg("scale"), py::arg("bias"), py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
