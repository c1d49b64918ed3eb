// Sums by label with NEON.
#include "core/target.hpp"
#include "label_sums/label_sums.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "label_sums/label_sums.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<LabelSums> registered(Isa::neon, neon::sum_labels);
}  // namespace vecpress

#endif
