// Python binding of the scan `hamming`.
#include "core/bind_scan.hpp"
#include "hamming/hamming.hpp"

namespace vecpress {

void bind_hamming(py::module_& module) {
  module.def(
      "hamming",
      [](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<uint8_t> bits,
         std::optional<Array<int64_t>> ids, std::optional<Array<uint64_t>> allow, FactorArgument scale, FactorArgument bias,
         Array<float> constant, int num_threads) {
        const int64_t payload = std::get<1>(layout) - std::get<2>(layout);
        expect(bits.ndim() == 2 && bits.shape(0) == scores.shape(0) && bits.shape(1) == payload, "bits do not match the codes");
        expect(payload < 8192, "hamming counts in 16 bits: at most 8191 bytes");
        Scan scan;
        scan.operand = bits.data();
        scan.m = payload;
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Hamming>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg("bits").noconvert(), py::arg("ids").noconvert(), py::arg("allow").noconvert(),
      py::arg("scale"), py::arg("bias"), py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
