// Labels by thresholds for the baseline machine.
#include "core/target.hpp"
#include "quantize/quantize.hpp"

namespace vecpress::scalar {
namespace {
#include "quantize/quantize.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Quantize> registered(Isa::scalar, scalar::quantize_values);
}  // namespace vecpress
