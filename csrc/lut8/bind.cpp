// Python binding of the scan `lut8`.
#include "core/bind_scan.hpp"
#include "lut8/lut8.hpp"

namespace vecpress {

void bind_lut8(py::module_& module) {
  bind_scan<Lut8, float>(module, "tables", [](const Array<float>& tables, int64_t payload) {
    expect(tables.ndim() == 3 && tables.shape(2) == 256, "tables expected [nq, m, 256]");
    Scan scan;
    scan.operand = tables.data();
    scan.m = tables.shape(1);
    scan.entries = 256;
    expect(scan.m == payload, "tables do not match the codes");
    return scan;
  });
}

}  // namespace vecpress
