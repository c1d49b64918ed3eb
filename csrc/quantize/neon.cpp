// Labels by thresholds with NEON.
#include "core/target.hpp"
#include "quantize/quantize.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "quantize/quantize.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Quantize> registered(Isa::neon, neon::quantize_values);
}  // namespace vecpress

#endif
