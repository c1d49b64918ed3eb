// Python binding of the scan `lut4`.
#include "core/bind_scan.hpp"
#include "lut4/lut4.hpp"

namespace vecpress {

void bind_lut4(py::module_& module) {
  bind_scan<Lut4, float>(module, "tables", [](const Array<float>& tables, int64_t payload) {
    expect(tables.ndim() == 3 && tables.shape(2) == 16, "tables expected [nq, m, 16]");
    Scan scan;
    scan.operand = tables.data();
    scan.m = tables.shape(1);
    scan.entries = 16;
    expect(scan.m == 2 * payload || scan.m + 1 == 2 * payload, "tables do not match the codes");
    return scan;
  });
}

}  // namespace vecpress
