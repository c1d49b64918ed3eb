// Python binding of the scan `sdc`.
#include "core/bind_scan.hpp"
#include "pack_codes/pack_codes.hpp"
#include "sdc/sdc.hpp"

namespace vecpress {

void bind_sdc(py::module_& module) {
  module.def(
      "sdc",
      [](int isa, Array<float> scores, Array<int64_t> found, Array<uint8_t> blocks, Layout layout, Array<uint8_t> codes,
         int64_t dim, int n_bits, int form, Array<float> weights, std::optional<Array<int64_t>> ids, std::optional<Array<uint64_t>> allow,
         FactorArgument scale, FactorArgument bias, Array<float> constant, int num_threads) {
        expect(n_bits == 1 || n_bits == 2 || n_bits == 4, "n_bits expected 1, 2 or 4");
        expect(dim >= 0 && dim <= 8192, "sums are exact up to 8192 dimensions");
        expect(form >= kFastest && form <= kByPlanes, "unknown form");
        expect(codes.ndim() == 2 && scores.ndim() == 2 && codes.shape(0) == scores.shape(0), "one row of results a query");
        expect(codes.shape(1) == plane_size(dim, n_bits), "codes do not match the dimensions");
        expect(codes.shape(1) == std::get<1>(layout) - std::get<2>(layout), "codes do not match the blocks");
        expect(weights.ndim() == 1 && weights.shape(0) == codes.shape(0), "one weight a query");
        for (int64_t q = 0; q < weights.shape(0); ++q)
          expect(weights.data()[q] > 0 && weights.data()[q] <= 3.402823466e38f, "weights expected above 0");
        Scan scan;
        scan.weights = weights.data();
        scan.operand = codes.data();
        scan.m = dim;
        scan.n_bits = n_bits;
        scan.form = form;
        ScanArguments arguments{scores, found, blocks, layout, ids, allow, scale, bias, constant, num_threads};
        call_scan<Sdc>(isa, scan, arguments);
      },
      py::arg("isa"), py::arg("scores").noconvert(), py::arg("found").noconvert(), py::arg("blocks").noconvert(),
      py::arg("layout"), py::arg("codes").noconvert(), py::arg("dim"), py::arg("n_bits"), py::arg("form"),
      py::arg("weights").noconvert(),
      py::arg("ids").noconvert(), py::arg("allow").noconvert(), py::arg("scale"), py::arg("bias"),
      py::arg("constant").noconvert(), py::arg("num_threads"));
}

}  // namespace vecpress
