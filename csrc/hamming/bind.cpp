// Python binding of the scan `hamming`.
#include "core/bind_scan.hpp"
#include "hamming/hamming.hpp"

namespace vecpress {

void bind_hamming(py::module_& module) {
  bind_scan<Hamming, uint8_t>(module, "bits", [](const Array<uint8_t>& bits, int64_t payload) {
    expect(bits.ndim() == 2 && bits.shape(1) == payload, "bits do not match the codes");
    expect(payload < 8192, "bits are counted in 16 bits: at most 8191 bytes");
    Scan scan;
    scan.operand = bits.data();
    scan.m = payload;
    return scan;
  });
}

}  // namespace vecpress
