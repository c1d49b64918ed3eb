// Python binding of the scan `lut8`.
#include "core/bind_scan.hpp"
#include "lut8/lut8.hpp"

namespace vecpress {

void bind_lut8(py::module_& module) {
  module.def(
      "lut8",
      [](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<float> tables,
         std::optional<Array<int64_t>> ids, std::optional<Array<uint64_t>> allow, FactorArgument scale, FactorArgument bias,
         Array<float> constant, int num_threads) {
        expect(tables.ndim() == 3 && tables.shape(0) == scores.shape(0) && tables.shape(2) == 256, "tables expected [nq, m, 256]");
        Scan scan;
        scan.operand = tables.data();
        scan.m = tables.shape(1);
        scan.entries = 256;
        const int64_t payload = std::get<1>(layout) - std::get<2>(layout);
        expect(scan.m == payload, "tables do not match the codes");
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Lut8>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg("tables").noconvert(), py::arg("ids").noconvert(), py::arg("allow").noconvert(),
      py::arg("scale"), py::arg("bias"), py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
