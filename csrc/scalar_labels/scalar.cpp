// Labels on grids for the baseline machine.
#include "scalar_labels/scalar_labels.hpp"

namespace vecpress::scalar {
namespace {
#include "scalar_labels/scalar_labels.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<ScalarLabels> registered(Isa::scalar, scalar::label_rows);
}  // namespace vecpress
