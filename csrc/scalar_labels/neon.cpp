// Labels on grids with NEON.
#include "core/target.hpp"
#include "scalar_labels/scalar_labels.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "scalar_labels/scalar_labels.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<ScalarLabels> registered(Isa::neon, neon::label_rows);
}  // namespace vecpress

#endif
