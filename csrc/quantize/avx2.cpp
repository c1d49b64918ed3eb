// Labels by thresholds with AVX2.
#include "core/target.hpp"
#include "quantize/quantize.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "quantize/quantize.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Quantize> registered(Isa::avx2, avx2::quantize_values);
}  // namespace vecpress

#endif
