// Labels by thresholds with AVX-512.
#include "core/target.hpp"
#include "quantize/quantize.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "quantize/quantize.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Quantize> registered(Isa::avx512, avx512::quantize_values);
}  // namespace vecpress

#endif
